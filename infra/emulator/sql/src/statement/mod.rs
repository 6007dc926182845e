//! The parser: from the text of a statement to an [`Action`].
//!
//! Athena has two grammars. Most DDL is in Hive's, where names are in backticks and double quotes are strings. Queries and
//! statements that contain queries are in Trino's, where double quotes are identifiers. The first words select one.

mod create;
mod hive;
mod lexer;
mod trino;

pub(crate) use create::{CreateTable, PARQUET_INPUT, PARQUET_OUTPUT, PARQUET_SERDE};
pub(crate) use hive::{Command, PartitionSpec};
pub(crate) use lexer::{Cursor, like};
pub(crate) use trino::{Query, UNIQUE};

use crate::engine::{Kind, STATEMENT_BYTES_MAX};
use crate::error::SqlError;
use lexer::Name;
use std::collections::BTreeMap;

/// The name of a table in a statement, with its database if the statement names one.
pub(crate) type TableName = Name;

/// A parsed statement.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Select(Query),
    Explain { analyze: bool, query: Query },
    Insert { table: TableName, columns: Vec<String>, query: Query },
    Unload { query: Query, properties: Properties, location: String },
    CreateTableAs { table: TableName, if_not_exists: bool, properties: Properties, with_data: bool, query: Query },
    CreateView { view: TableName, replace: bool, query: Query },
    Hive(Command),
}

/// `WITH (name = value, …)`. The value of an array is a list.
pub(crate) type Properties = BTreeMap<String, Vec<String>>;

/// Parses one statement.
pub(crate) fn parse(sql: &str, parameters: &[String]) -> Result<Action, SqlError> {
    if sql.len() > STATEMENT_BYTES_MAX {
        let message = format!("the statement has {} bytes, more than {STATEMENT_BYTES_MAX}", sql.len());
        return Err(SqlError::syntax(format!("Query string is too long: {message}")));
    }
    let mut cursor = Cursor::new(sql)?;
    cursor.one_statement()?;
    let cursor = &mut cursor;
    let action = if cursor.keyword("explain") {
        explain(cursor, parameters)?
    } else if cursor.keywords(&["insert", "into"]) {
        let table = cursor.table()?;
        let named = cursor.peek_sign('(') && !cursor.is_query();
        let columns = if named { cursor.list(|cursor| Ok(cursor.identifier()?.to_lowercase()))? } else { Vec::new() };
        Action::Insert { table, columns, query: cursor.query(parameters)? }
    } else if cursor.keyword("unload") {
        let query = cursor.query_in_parentheses(parameters)?;
        cursor.expect("to")?;
        let location = cursor.string()?;
        cursor.expect("with")?;
        let properties = cursor.properties()?;
        cursor.end()?;
        Action::Unload { query, properties, location }
    } else if cursor.keywords(&["create", "table"]) {
        create_table_as(cursor, parameters)?
    } else if cursor.peek_keywords(&["create", "view"]) || cursor.peek_keywords(&["create", "or", "replace", "view"]) {
        let replace = !cursor.keywords(&["create", "view"]) && cursor.keywords(&["create", "or", "replace", "view"]);
        let view = cursor.table()?;
        cursor.expect("as")?;
        Action::CreateView { view, replace, query: cursor.query(parameters)? }
    } else if cursor.is_query() {
        Action::Select(cursor.query(parameters)?)
    } else {
        Action::Hive(hive::parse(cursor)?)
    };
    Ok(action)
}

fn explain(cursor: &mut Cursor<'_>, parameters: &[String]) -> Result<Action, SqlError> {
    let analyze = cursor.keyword("analyze");
    if cursor.peek_sign('(') && !cursor.is_query() {
        cursor.skip_parentheses()?;
    }
    if !cursor.is_query() {
        return Err(cursor.unexpected("a query"));
    }
    Ok(Action::Explain { analyze, query: cursor.query(parameters)? })
}

fn create_table_as(cursor: &mut Cursor<'_>, parameters: &[String]) -> Result<Action, SqlError> {
    let if_not_exists = cursor.keywords(&["if", "not", "exists"]);
    let table = cursor.table()?;
    if cursor.peek_sign('(') {
        let message = "no viable alternative at input 'create table': tables are made with CREATE EXTERNAL TABLE, or with \
                    CREATE TABLE … AS SELECT (Iceberg tables are not supported here)";
        return Err(SqlError::syntax(format!("line 1:1: {message}")));
    }
    cursor.string_after("comment")?;
    let properties = if cursor.keyword("with") { cursor.properties()? } else { Properties::new() };
    cursor.expect("as")?;
    let (query, with_data) = cursor.query_with_data(parameters)?;
    Ok(Action::CreateTableAs { table, if_not_exists, properties, with_data, query })
}

impl Action {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Select(_) | Self::Insert { .. } | Self::Unload { .. } => Kind::Dml,
            Self::Explain { .. } => Kind::Utility,
            Self::CreateTableAs { .. } | Self::CreateView { .. } => Kind::Ddl,
            Self::Hive(command) if command.is_read_only() => Kind::Utility,
            Self::Hive(_) => Kind::Ddl,
        }
    }

    pub(crate) fn substatement(&self) -> &'static str {
        match self {
            Self::Select(_) => "SELECT",
            Self::Explain { .. } => "EXPLAIN",
            Self::Insert { .. } => "INSERT",
            Self::Unload { .. } => "UNLOAD",
            Self::CreateTableAs { .. } => "CREATE_TABLE_AS_SELECT",
            Self::CreateView { .. } => "CREATE_VIEW",
            Self::Hive(command) => command.substatement(),
        }
    }
}

#[cfg(test)]
mod tests;
