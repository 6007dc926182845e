//! Hive's grammar: DDL, SHOW and DESCRIBE.

use super::create::{self, CreateTable};
use super::lexer::{Cursor, Name};
use crate::error::SqlError;
use std::collections::BTreeMap;

/// A statement of Hive's grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    CreateTable(Box<CreateTable>),
    CreateDatabase {
        name: String,
        if_not_exists: bool,
        comment: Option<String>,
        location: Option<String>,
        properties: BTreeMap<String, String>,
    },
    DropDatabase {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    /// DROP TABLE or DROP VIEW.
    Drop {
        table: Name,
        if_exists: bool,
        view: bool,
    },
    AddPartitions {
        table: Name,
        if_not_exists: bool,
        partitions: Vec<(PartitionSpec, Option<String>)>,
    },
    DropPartitions {
        table: Name,
        if_exists: bool,
        partitions: Vec<PartitionSpec>,
    },
    SetLocation {
        table: Name,
        location: String,
    },
    SetProperties {
        table: Name,
        properties: BTreeMap<String, String>,
    },
    AddColumns {
        table: Name,
        columns: Vec<emulator_client::data_catalog::Column>,
    },
    Repair(Name),
    ShowDatabases(Option<String>),
    /// SHOW TABLES or SHOW VIEWS.
    ShowTables {
        database: Option<String>,
        pattern: Option<String>,
        views: bool,
    },
    ShowColumns(Name),
    ShowPartitions(Name),
    ShowCreateTable(Name),
    ShowCreateView(Name),
    ShowProperties {
        table: Name,
        property: Option<String>,
    },
    Describe {
        table: Name,
        formatted: bool,
    },
}

/// `(dt = '2022-06-18', hour = '14')`.
pub(crate) type PartitionSpec = BTreeMap<String, String>;

impl Command {
    pub(super) fn is_read_only(&self) -> bool {
        self.substatement().starts_with("SHOW") || matches!(self, Self::Describe { .. })
    }

    pub(super) fn substatement(&self) -> &'static str {
        match self {
            Self::CreateTable(_) => "CREATE_TABLE",
            Self::CreateDatabase { .. } => "CREATE_DATABASE",
            Self::DropDatabase { .. } => "DROP_DATABASE",
            Self::Drop { view: false, .. } => "DROP_TABLE",
            Self::Drop { view: true, .. } => "DROP_VIEW",
            Self::AddPartitions { .. } => "ALTER_TABLE_ADD_PARTITION",
            Self::DropPartitions { .. } => "ALTER_TABLE_DROP_PARTITION",
            Self::SetLocation { .. } => "ALTER_TABLE_SET_LOCATION",
            Self::SetProperties { .. } => "ALTER_TABLE_SET_TBLPROPERTIES",
            Self::AddColumns { .. } => "ALTER_TABLE_ADD_COLUMNS",
            Self::Repair(_) => "MSCK_REPAIR_TABLE",
            Self::ShowDatabases(_) => "SHOW_DATABASES",
            Self::ShowTables { views: false, .. } => "SHOW_TABLES",
            Self::ShowTables { views: true, .. } => "SHOW_VIEWS",
            Self::ShowColumns(_) => "SHOW_COLUMNS",
            Self::ShowPartitions(_) => "SHOW_PARTITIONS",
            Self::ShowCreateTable(_) => "SHOW_CREATE_TABLE",
            Self::ShowCreateView(_) => "SHOW_CREATE_VIEW",
            Self::ShowProperties { .. } => "SHOW_TBLPROPERTIES",
            Self::Describe { .. } => "DESCRIBE_TABLE",
        }
    }
}

/// Parses a statement up to its end.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, SqlError> {
    let command = command(cursor)?;
    cursor.end()?;
    Ok(command)
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, SqlError> {
    if cursor.keywords(&["create", "external", "table"]) {
        return Ok(Command::CreateTable(Box::new(create::create_table(cursor)?)));
    }
    if cursor.keywords(&["create", "database"]) || cursor.keywords(&["create", "schema"]) {
        return create_database(cursor);
    }
    if cursor.keywords(&["drop", "database"]) || cursor.keywords(&["drop", "schema"]) {
        let if_exists = cursor.keywords(&["if", "exists"]);
        let name = cursor.identifier()?.to_lowercase();
        let cascade = cursor.keyword("cascade");
        let _ = !cascade && cursor.keyword("restrict");
        return Ok(Command::DropDatabase { name, if_exists, cascade });
    }
    if cursor.keywords(&["drop", "table"]) {
        let if_exists = cursor.keywords(&["if", "exists"]);
        let table = cursor.table()?;
        cursor.keyword("purge");
        return Ok(Command::Drop { table, if_exists, view: false });
    }
    if cursor.keywords(&["drop", "view"]) {
        let if_exists = cursor.keywords(&["if", "exists"]);
        return Ok(Command::Drop { table: cursor.table()?, if_exists, view: true });
    }
    if cursor.keywords(&["alter", "table"]) {
        return alter(cursor);
    }
    if cursor.keywords(&["msck", "repair", "table"]) {
        let table = cursor.table()?;
        let _ = cursor.keywords(&["add", "partitions"]);
        return Ok(Command::Repair(table));
    }
    if cursor.keyword("describe") || cursor.keyword("desc") {
        let formatted = cursor.keyword("formatted") || cursor.keyword("extended");
        return Ok(Command::Describe { table: cursor.table()?, formatted });
    }
    if cursor.keyword("show") {
        return show(cursor);
    }
    Err(cursor.unexpected(
        "'ALTER', 'CREATE', 'DESCRIBE', 'DROP', 'EXPLAIN', 'INSERT', 'MSCK', 'SELECT', 'SHOW', 'UNLOAD', 'VALUES', 'WITH'",
    ))
}

fn create_database(cursor: &mut Cursor<'_>) -> Result<Command, SqlError> {
    let if_not_exists = cursor.keywords(&["if", "not", "exists"]);
    let name = cursor.identifier()?.to_lowercase();
    let comment = cursor.string_after("comment")?;
    let location = cursor.string_after("location")?;
    let with = cursor.keywords(&["with", "dbproperties"]);
    let properties = if with { create::pairs(cursor)? } else { BTreeMap::new() };
    Ok(Command::CreateDatabase { name, if_not_exists, comment, location, properties })
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Command, SqlError> {
    let table = cursor.table()?;
    if cursor.keywords(&["add", "columns"]) {
        return Ok(Command::AddColumns { table, columns: create::columns(cursor)? });
    }
    if cursor.keyword("add") {
        let if_not_exists = cursor.keywords(&["if", "not", "exists"]);
        let mut partitions = Vec::new();
        while partitions.is_empty() || cursor.peek_keywords(&["partition"]) {
            let spec = partition(cursor)?;
            let location = cursor.string_after("location")?;
            partitions.push((spec, location));
            cursor.sign(',');
        }
        return Ok(Command::AddPartitions { table, if_not_exists, partitions });
    }
    if cursor.keyword("drop") {
        let if_exists = cursor.keywords(&["if", "exists"]);
        let mut partitions = vec![partition(cursor)?];
        while cursor.sign(',') {
            partitions.push(partition(cursor)?);
        }
        return Ok(Command::DropPartitions { table, if_exists, partitions });
    }
    if cursor.keywords(&["set", "location"]) {
        return Ok(Command::SetLocation { table, location: cursor.string()? });
    }
    if cursor.keywords(&["set", "tblproperties"]) {
        return Ok(Command::SetProperties { table, properties: create::pairs(cursor)? });
    }
    Err(cursor.unexpected("'ADD', 'DROP', 'SET'"))
}

fn partition(cursor: &mut Cursor<'_>) -> Result<PartitionSpec, SqlError> {
    cursor.expect("partition")?;
    cursor.list(|cursor| {
        let name = cursor.identifier()?.to_lowercase();
        cursor.expect_sign('=')?;
        Ok((name, cursor.value()?))
    })
}

fn show(cursor: &mut Cursor<'_>) -> Result<Command, SqlError> {
    if cursor.keyword("databases") || cursor.keyword("schemas") {
        if cursor.keyword("in") || cursor.keyword("from") {
            cursor.identifier()?;
        }
        cursor.keyword("like");
        return Ok(Command::ShowDatabases(cursor.string().ok()));
    }
    let views = cursor.keyword("views");
    if views || cursor.keyword("tables") {
        let of = cursor.keyword("in") || cursor.keyword("from");
        let database = if of { Some(cursor.table()?.name) } else { None };
        cursor.keyword("like");
        return Ok(Command::ShowTables { database, pattern: cursor.string().ok(), views });
    }
    if cursor.keyword("columns") {
        if !cursor.keyword("in") {
            cursor.expect("from")?;
        }
        let mut table = cursor.table()?;
        if cursor.keyword("in") || cursor.keyword("from") {
            table.database = Some(cursor.identifier()?.to_lowercase());
        }
        return Ok(Command::ShowColumns(table));
    }
    if cursor.keyword("partitions") {
        return Ok(Command::ShowPartitions(cursor.table()?));
    }
    if cursor.keywords(&["create", "table"]) {
        return Ok(Command::ShowCreateTable(cursor.table()?));
    }
    if cursor.keywords(&["create", "view"]) {
        return Ok(Command::ShowCreateView(cursor.table()?));
    }
    if cursor.keyword("tblproperties") {
        let table = cursor.table()?;
        let property = if cursor.sign('(') { Some(cursor.string()?) } else { None };
        if property.is_some() {
            cursor.expect_sign(')')?;
        }
        return Ok(Command::ShowProperties { table, property });
    }
    Err(cursor
        .unexpected("'COLUMNS', 'CREATE', 'DATABASES', 'PARTITIONS', 'SCHEMAS', 'TABLES', 'TBLPROPERTIES', 'VIEWS'"))
}
