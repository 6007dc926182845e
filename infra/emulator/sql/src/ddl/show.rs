//! SHOW and DESCRIBE.

use super::{Ddl, failed};
use crate::answer::{Answer, Column};
use crate::error::SqlError;
use crate::partition;
use crate::sql_type::SqlType;
use crate::statement::{TableName, like};
use crate::view;
use emulator_client::data_catalog::{Column as CatalogColumn, Table};
use std::collections::BTreeMap;

fn answer(names: &[&str], lines: Vec<String>) -> Answer {
    Answer::lines(names.iter().map(|name| Column::new(*name, SqlType::Varchar(None))).collect(), lines)
}

impl Ddl<'_> {
    pub(super) async fn show_databases(&self, pattern: Option<String>) -> Result<Answer, SqlError> {
        let databases = self.session.catalog.databases().await.map_err(failed)?;
        let names = databases.into_iter().map(|database| database.name);
        let mut names: Vec<_> =
            names.filter(|name| pattern.as_ref().is_none_or(|pattern| like(pattern, name))).collect();
        names.sort();
        Ok(answer(&["database_name"], names))
    }

    pub(super) async fn show_tables(
        &self,
        database: Option<String>,
        pattern: Option<String>,
        views: bool,
    ) -> Result<Answer, SqlError> {
        let database = database.unwrap_or_else(|| self.context.database.to_lowercase());
        let tables = match self.session.catalog.tables(&database).await {
            Err(error) if error.is_missing() => {
                return Err(SqlError::user(format!(
                    "FAILED: SemanticException [Error 10072]: Database does not exist: {database}"
                )));
            }
            other => other.map_err(failed)?,
        };
        let tables = tables.into_iter().filter(|table| !views || table.view.is_some()).map(|table| table.name);
        let mut names: Vec<_> =
            tables.filter(|name| pattern.as_ref().is_none_or(|pattern| like(pattern, name))).collect();
        names.sort();
        Ok(answer(&[if views { "views" } else { "tab_name" }], names))
    }

    pub(super) async fn show_columns(&self, name: &TableName) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        let names = table.columns.iter().chain(&table.partition_keys).map(|column| format!("{:<20}", column.name));
        Ok(answer(&["field"], names.collect()))
    }

    pub(super) async fn show_partitions(&self, name: &TableName) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        if table.partition_keys.is_empty() {
            return Err(SqlError::user(format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. Table {} is not a \
                 partitioned table",
                table.name
            )));
        }
        let listed = self.session.catalog.partitions(&table.database, &table.name, None).await.map_err(failed)?;
        let mut names: Vec<_> = listed.iter().map(|listed| partition::name(&table, &listed.values)).collect();
        names.sort();
        Ok(answer(&["partition"], names))
    }

    pub(super) async fn show_properties(&self, name: &TableName, of: Option<String>) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        let wanted = table.parameters.iter().filter(|(name, _)| of.as_ref().is_none_or(|of| of == *name));
        Ok(answer(&["prpt_name", "prpt_value"], wanted.map(|(name, value)| format!("{name}\t{value}")).collect()))
    }

    pub(super) async fn show_create_view(&self, name: &TableName) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        let (text, _) = view::text_of(&table, 0)?;
        let lines = std::iter::once(format!("CREATE VIEW {}.{} AS", table.database, table.name));
        Ok(answer(&["create view"], lines.chain(text.lines().map(str::to_owned)).collect()))
    }

    pub(super) async fn show_create_table(&self, name: &TableName) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        if table.view.is_some() {
            let message = format!("{}.{} is a view: use SHOW CREATE VIEW", table.database, table.name);
            return Err(SqlError::user(format!("FAILED: SemanticException {message}")));
        }
        Ok(answer(&["createtab_stmt"], create_statement(&table)))
    }

    pub(super) async fn describe(&self, name: &TableName, formatted: bool) -> Result<Answer, SqlError> {
        let table = self.table(name).await?;
        let line = |column: &CatalogColumn| {
            let comment = column.comment.as_deref().unwrap_or_default();
            format!("{:<20}\t{:<20}\t{comment:<20}", column.name, column.kind)
        };
        let mut lines: Vec<_> = Vec::new();
        let head = || [format!("# {:<18}\t{:<20}\t{:<20}", "col_name", "data_type", "comment"), "\t \t ".to_owned()];
        if formatted {
            lines.extend(head());
        }
        lines.extend(table.columns.iter().chain(&table.partition_keys).map(line));
        if !table.partition_keys.is_empty() {
            lines.extend(["\t \t ".to_owned(), "# Partition Information\t \t ".to_owned()]);
            lines.extend(head());
            lines.extend(table.partition_keys.iter().map(line));
        }
        if formatted {
            let property = |name: &str, value: &str| format!("{name:<20}\t{value:<20}\t ");
            let storage = &table.storage;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            lines.extend(["\t \t ".to_owned(), "# Detailed Table Information\t \t ".to_owned()]);
            lines.push(property("Database:", &table.database));
            lines.push(property("Location:", &text(&storage.location)));
            lines.push(property("Table Type:", &table.kind));
            lines.push("Table Parameters:\t \t ".to_owned());
            lines.extend(table.parameters.iter().map(|(name, value)| format!("\t{name:<20}\t{value:<20}")));
            lines.extend(["\t \t ".to_owned(), "# Storage Information\t \t ".to_owned()]);
            lines.push(property("SerDe Library:", &text(&storage.serde)));
            lines.push(property("InputFormat:", &text(&storage.input_format)));
            lines.push(property("OutputFormat:", &text(&storage.output_format)));
        }
        Ok(answer(&["col_name", "data_type", "comment"], lines))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The definition of a table in Hive's DDL.
pub(crate) fn create_statement(table: &Table) -> Vec<String> {
    let columns = |columns: &[CatalogColumn]| {
        let column = |CatalogColumn { name, kind, comment }: &CatalogColumn| {
            let comment = comment.as_ref().map(|text| format!(" COMMENT {}", quoted(text))).unwrap_or_default();
            format!("  `{name}` {kind}{comment}")
        };
        columns.iter().map(column).collect::<Vec<_>>().join(", \n") + ")\n"
    };
    let pairs = |pairs: &BTreeMap<String, String>| {
        let pair = |(name, value): (&String, &String)| format!("  {}={}", quoted(name), quoted(value));
        pairs.iter().map(pair).collect::<Vec<_>>().join(", \n") + ") \n"
    };
    let text = |text: &Option<String>| quoted(text.as_deref().unwrap_or_default());
    let mut sql = format!("CREATE EXTERNAL TABLE `{}.{}`(\n{}", table.database, table.name, columns(&table.columns));
    if let Some(comment) = &table.description {
        sql += &format!("COMMENT {}\n", quoted(comment));
    }
    if !table.partition_keys.is_empty() {
        sql += &format!("PARTITIONED BY ( \n{}", columns(&table.partition_keys));
    }
    let storage = &table.storage;
    sql += &format!("ROW FORMAT SERDE \n  {} \n", text(&storage.serde));
    if !storage.serde_parameters.is_empty() {
        sql += &format!("WITH SERDEPROPERTIES ( \n{}", pairs(&storage.serde_parameters));
    }
    sql += &format!("STORED AS INPUTFORMAT \n  {} \n", text(&storage.input_format));
    sql += &format!("OUTPUTFORMAT \n  {}\nLOCATION\n  {}\n", text(&storage.output_format), text(&storage.location));
    if !table.parameters.is_empty() {
        sql += &format!("TBLPROPERTIES (\n{}", pairs(&table.parameters));
    }
    sql.lines().map(str::to_owned).collect()
}
