//! Creates, alters and drops databases and tables.

use super::{Ddl, failed};
use crate::answer::Answer;
use crate::error::SqlError;
use crate::files::parse_location;
use crate::statement::{CreateTable, TableName};
use emulator_client::data_catalog::{Column, Database, Table};
use std::collections::BTreeMap;

impl Ddl<'_> {
    pub(super) async fn create_database(
        &self,
        name: String,
        if_not_exists: bool,
        description: Option<String>,
        location: Option<String>,
        parameters: BTreeMap<String, String>,
    ) -> Result<Answer, SqlError> {
        let database = Database { name: name.clone(), description, location, parameters };
        match self.session.catalog.create_database(&database).await {
            Err(error) if error.exists() && if_not_exists => Ok(Answer::empty()),
            Err(error) if error.exists() => Err(SqlError::user(format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. Database {name} \
                 already exists"
            ))),
            other => other.map(|()| Answer::empty()).map_err(failed),
        }
    }

    pub(super) async fn drop_database(&self, name: &str, if_exists: bool, cascade: bool) -> Result<Answer, SqlError> {
        self.session.protected.check_database(name)?;
        let catalog = &self.session.catalog;
        if catalog.database(name).await.map_err(failed)?.is_none() {
            return match if_exists {
                true => Ok(Answer::empty()),
                false => Err(SqlError::user(format!(
                    "FAILED: SemanticException [Error 10072]: Database does not exist: {name}"
                ))),
            };
        }
        if !cascade && !catalog.tables(name).await.map_err(failed)?.is_empty() {
            return Err(SqlError::user(format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. \
                 InvalidOperationException(message:Database {name} is not empty. One or more tables exist.)"
            )));
        }
        catalog.drop_database(name).await.map(|()| Answer::empty()).map_err(failed)
    }

    pub(super) async fn create_table(&self, definition: CreateTable) -> Result<Answer, SqlError> {
        let Some(name) = definition.name else {
            return Err(SqlError::user("FAILED: ParseException: the statement names no table"));
        };
        let database = self.context.database_of(&name);
        parse_location(definition.storage.location.as_deref().unwrap_or_default())?;
        if self.session.catalog.database(&database).await.map_err(failed)?.is_none() {
            return Err(SqlError::user(format!(
                "FAILED: SemanticException [Error 10072]: Database does not exist: {database}"
            )));
        }
        let mut parameters = definition.properties;
        parameters.insert("EXTERNAL".to_owned(), "TRUE".to_owned());
        let table = Table {
            database: database.clone(),
            name: name.name.clone(),
            description: definition.comment,
            kind: "EXTERNAL_TABLE".to_owned(),
            columns: definition.columns,
            partition_keys: definition.partition_keys,
            storage: definition.storage,
            parameters,
            view: None,
        };
        match self.session.catalog.create_table(&table).await {
            Err(error) if error.exists() && definition.if_not_exists => Ok(Answer::empty()),
            Err(error) if error.exists() => Err(SqlError::user(format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. \
                 AlreadyExistsException(message:Table {} already exists)",
                name.name
            ))),
            other => other.map(|()| Answer::empty()).map_err(failed),
        }
    }

    pub(super) async fn drop(&self, name: &TableName, if_exists: bool, view: bool) -> Result<Answer, SqlError> {
        let database = self.context.database_of(name);
        self.session.protected.check_table(&database, &name.name)?;
        let found = crate::query::find_table(&self.session.catalog, &database, &name.name).await?;
        match found {
            None if if_exists => return Ok(Answer::empty()),
            Some(found) if found.view.is_some() != view => {
                let (is, with) = if view { ("a table", "DROP TABLE") } else { ("a view", "DROP VIEW") };
                let message = format!("{database}.{} is {is}: use {with}", name.name);
                return Err(SqlError::user(format!("FAILED: SemanticException {message}")));
            }
            _ => {}
        }
        match self.session.catalog.drop_table(&database, &name.name).await {
            Err(error) if error.is_missing() => Err(SqlError::user(format!(
                "FAILED: SemanticException [Error 10001]: Table not found {database}.{}",
                name.name
            ))),
            other => other.map(|()| Answer::empty()).map_err(failed),
        }
    }

    pub(super) async fn set_location(&self, name: &TableName, location: String) -> Result<Answer, SqlError> {
        let mut table = self.table_to_change(name).await?;
        parse_location(&location)?;
        table.storage.location = Some(location);
        self.session.catalog.replace_table(&table).await.map(|()| Answer::empty()).map_err(failed)
    }

    pub(super) async fn set_properties(
        &self,
        name: &TableName,
        properties: BTreeMap<String, String>,
    ) -> Result<Answer, SqlError> {
        let mut table = self.table_to_change(name).await?;
        table.parameters.extend(properties);
        self.session.catalog.replace_table(&table).await.map(|()| Answer::empty()).map_err(failed)
    }

    pub(super) async fn add_columns(&self, name: &TableName, columns: Vec<Column>) -> Result<Answer, SqlError> {
        let mut table = self.table_to_change(name).await?;
        for column in columns {
            if table.columns.iter().chain(&table.partition_keys).any(|other| other.name == column.name) {
                return Err(SqlError::user(format!(
                    "FAILED: SemanticException [Error 10036]: Duplicate column name: {}",
                    column.name
                )));
            }
            table.columns.push(column);
        }
        self.session.catalog.replace_table(&table).await.map(|()| Answer::empty()).map_err(failed)
    }
}
