//! Statements that change the catalog or tell about it, answered in lines as Hive answers.

mod change;
mod partitions;
mod show;

use crate::answer::Answer;
use crate::engine::Context;
use crate::error::SqlError;
use crate::query::{Session, found};
use crate::statement::{Command, TableName};
use emulator_client::data_catalog::{DataCatalogError, Table};

/// Does what a command says.
pub(crate) async fn run(session: &Session, command: Command, context: &Context) -> Result<Answer, SqlError> {
    let ddl = Ddl { session, context };
    match command {
        Command::CreateTable(table) => ddl.create_table(*table).await,
        Command::CreateDatabase { name, if_not_exists, comment, location, properties } => {
            ddl.create_database(name, if_not_exists, comment, location, properties).await
        }
        Command::DropDatabase { name, if_exists, cascade } => ddl.drop_database(&name, if_exists, cascade).await,
        Command::DropTable { table, if_exists } => ddl.drop(&table, if_exists, false).await,
        Command::DropView { view, if_exists } => ddl.drop(&view, if_exists, true).await,
        Command::AddPartitions { table, if_not_exists, partitions } => {
            ddl.add_partitions(&table, if_not_exists, partitions).await
        }
        Command::DropPartitions { table, if_exists, partitions } => {
            ddl.drop_partitions(&table, if_exists, partitions).await
        }
        Command::SetLocation { table, location } => ddl.set_location(&table, location).await,
        Command::SetProperties { table, properties } => ddl.set_properties(&table, properties).await,
        Command::AddColumns { table, columns } => ddl.add_columns(&table, columns).await,
        Command::Repair { table } => ddl.repair(&table).await,
        Command::ShowDatabases { pattern } => ddl.show_databases(pattern).await,
        Command::ShowTables { database, pattern } => ddl.show_tables(database, pattern, false).await,
        Command::ShowViews { database, pattern } => ddl.show_tables(database, pattern, true).await,
        Command::ShowColumns { table } => ddl.show_columns(&table).await,
        Command::ShowPartitions { table } => ddl.show_partitions(&table).await,
        Command::ShowCreateTable { table } => ddl.show_create_table(&table).await,
        Command::ShowCreateView { view } => ddl.show_create_view(&view).await,
        Command::ShowProperties { table, property } => ddl.show_properties(&table, property).await,
        Command::Describe { table, formatted } => ddl.describe(&table, formatted).await,
    }
}

/// One command's surroundings.
struct Ddl<'a> {
    session: &'a Session,
    context: &'a Context,
}

impl Ddl<'_> {
    /// The database that a name means.
    fn database(&self, name: &TableName) -> String {
        name.database.clone().unwrap_or_else(|| self.context.database.to_lowercase())
    }

    async fn table(&self, name: &TableName) -> Result<Table, SqlError> {
        let database = self.database(name);
        let table = found(&self.session.catalog, &database, &name.name).await?;
        table.ok_or_else(|| {
            let told = format!("FAILED: SemanticException [Error 10001]: Table not found {database}.{}", name.name);
            SqlError::user(told)
        })
    }
}

/// Glue's error, as a failed statement.
fn failed(error: DataCatalogError) -> SqlError {
    SqlError::system(format!("FAILED: Execution Error, return code 1 from DDLTask. {error}"))
}
