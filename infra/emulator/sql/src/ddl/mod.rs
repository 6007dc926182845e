//! Hive's statements: they change the catalog or describe it, and answer with lines of text.

mod change;
mod partitions;
mod show;

use crate::answer::Answer;
use crate::engine::Context;
use crate::error::SqlError;
use crate::query::{Session, find_table};
use crate::statement::{Command, TableName};
use emulator_client::data_catalog::{DataCatalogError, Table};

/// Runs a command.
pub(crate) async fn run(session: &Session, command: Command, context: &Context) -> Result<Answer, SqlError> {
    let ddl = Ddl { session, context };
    match command {
        Command::CreateTable(table) => ddl.create_table(*table).await,
        Command::CreateDatabase { name, if_not_exists, comment, location, properties } => {
            ddl.create_database(name, if_not_exists, comment, location, properties).await
        }
        Command::DropDatabase { name, if_exists, cascade } => ddl.drop_database(&name, if_exists, cascade).await,
        Command::Drop { table, if_exists, view } => ddl.drop(&table, if_exists, view).await,
        Command::AddPartitions { table, if_not_exists, partitions } => {
            ddl.add_partitions(&table, if_not_exists, partitions).await
        }
        Command::DropPartitions { table, if_exists, partitions } => {
            ddl.drop_partitions(&table, if_exists, partitions).await
        }
        Command::SetLocation { table, location } => ddl.set_location(&table, location).await,
        Command::SetProperties { table, properties } => ddl.set_properties(&table, properties).await,
        Command::AddColumns { table, columns } => ddl.add_columns(&table, columns).await,
        Command::Repair(table) => ddl.repair(&table).await,
        Command::ShowDatabases(pattern) => ddl.show_databases(pattern).await,
        Command::ShowTables { database, pattern, views } => ddl.show_tables(database, pattern, views).await,
        Command::ShowColumns(table) => ddl.show_columns(&table).await,
        Command::ShowPartitions(table) => ddl.show_partitions(&table).await,
        Command::ShowCreateTable(table) => ddl.show_create_table(&table).await,
        Command::ShowCreateView(view) => ddl.show_create_view(&view).await,
        Command::ShowProperties { table, property } => ddl.show_properties(&table, property).await,
        Command::Describe { table, formatted } => ddl.describe(&table, formatted).await,
    }
}

/// The surroundings of a command.
struct Ddl<'a> {
    session: &'a Session,
    context: &'a Context,
}

impl Ddl<'_> {
    /// A table that the command may change.
    async fn table_to_change(&self, name: &TableName) -> Result<Table, SqlError> {
        self.session.protected.check_table(&self.context.database_of(name), &name.name)?;
        self.table(name).await
    }

    async fn table(&self, name: &TableName) -> Result<Table, SqlError> {
        let database = self.context.database_of(name);
        let table = find_table(&self.session.catalog, &database, &name.name).await?;
        table.ok_or_else(|| {
            let message = format!("FAILED: SemanticException [Error 10001]: Table not found {database}.{}", name.name);
            SqlError::user(message)
        })
    }
}

/// The error of a statement that Glue refuses.
fn failed(error: DataCatalogError) -> SqlError {
    SqlError::system(format!("FAILED: Execution Error, return code 1 from DDLTask. {error}"))
}
