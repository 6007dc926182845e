//! One statement from its text to its answer.

use crate::answer::Answer;
use crate::ddl;
use crate::error::SqlError;
use crate::protected::Protected;
use crate::query::{CATALOG, Session};
use crate::statement::{self, Action, TableName};
use crate::table_provider::FILES_URL;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use emulator_client::ObjectLocation;
use emulator_client::Store;
use emulator_client::data_catalog::DataCatalog;
use std::sync::Arc;

/// The longest statement, as on AWS.
pub const STATEMENT_BYTES_MAX: usize = 262_144;

/// Many passes walk the tree of a statement recursively, and the threads of a runtime have stacks of 2 MiB. So parsing and
/// planning run on a stack that suffices for the deepest statement.
const STACK_BYTES: usize = 64 << 20;
const STACK_LEFT_BYTES: usize = 32 << 20;

/// The resources that one engine may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The memory of all queries together. Sorts, joins and groups spill the rest to the system's temporary directory.
    pub memory_bytes_max: usize,
    /// The most bytes that spill to the disk.
    pub spill_bytes_max: u64,
    /// Threads of one query.
    pub parallelism: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let parallelism = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { memory_bytes_max: 1 << 30, spill_bytes_max: 16 << 30, parallelism }
    }
}

/// Answers SQL over the tables of a catalog. Clones are cheap and share the limits.
#[derive(Clone, Debug)]
pub struct Engine {
    session: Result<Session, SqlError>,
    protected: Arc<Protected>,
}

/// The surroundings of a statement.
#[derive(Clone, Debug)]
pub struct Context {
    /// The catalog of names without a catalog: `AwsDataCatalog`.
    pub catalog: String,
    /// The database of names without a database.
    pub database: String,
    /// The folder for the files of a CREATE TABLE AS that names no location.
    pub output: ObjectLocation,
    /// The id of the execution, which is part of the names of the files that it writes.
    pub id: String,
}

impl Context {
    /// The database of a name.
    pub(crate) fn database_of(&self, name: &TableName) -> String {
        name.database.clone().unwrap_or_else(|| self.database.to_lowercase())
    }
}

/// A parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    action: Action,
}

/// The type of a statement in Athena's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes the catalog.
    Ddl,
    /// Reads or writes rows.
    Dml,
    /// Describes the catalog or a plan.
    Utility,
}

impl Statement {
    /// Athena's StatementType.
    pub fn kind(&self) -> Kind {
        self.action.kind()
    }

    /// Athena's SubstatementType: `SELECT`, `CREATE_TABLE`, `SHOW_PARTITIONS`, …
    pub fn substatement(&self) -> &'static str {
        self.action.substatement()
    }
}

impl Engine {
    /// An engine over the tables of `catalog`, whose files are in `store`. It refuses to change what is `protected`.
    pub fn new(catalog: DataCatalog, store: Store, limits: Limits, protected: Protected) -> Self {
        let parallelism = limits.parallelism.max(1);
        let runtime = runtime(limits);
        let protected = Arc::new(protected);
        let session =
            runtime.map(|runtime| Session { catalog, store, runtime, parallelism, protected: Arc::clone(&protected) });
        Self { session, protected }
    }

    pub(crate) fn protected(&self) -> &Protected {
        &self.protected
    }

    /// Parses one statement and replaces each `?` by one of the `parameters`, which are SQL literals.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Syntax`]: StartQueryExecution refuses such a statement.
    pub fn parse(&self, sql: &str, parameters: &[String]) -> Result<Statement, SqlError> {
        let action = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || statement::parse(sql, parameters));
        Ok(Statement { action: action? })
    }

    /// Runs a statement. Computes the first rows of a query here, so that most errors occur here; the caller's reads drive
    /// the rest.
    ///
    /// # Errors
    /// The reason of a failed execution, in Athena's format.
    pub async fn run(&self, statement: Statement, context: &Context) -> Result<Answer, SqlError> {
        let mut running = std::pin::pin!(self.run_on_any_stack(statement, context));
        std::future::poll_fn(|task| stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || running.as_mut().poll(task)))
            .await
    }

    async fn run_on_any_stack(&self, statement: Statement, context: &Context) -> Result<Answer, SqlError> {
        let session = self.session.as_ref().map_err(Clone::clone)?;
        if !context.catalog.eq_ignore_ascii_case(CATALOG) {
            let message = format!("Catalog '{}' does not exist: expected AwsDataCatalog", context.catalog);
            return Err(SqlError::user(format!("CATALOG_NOT_FOUND: {message}")));
        }
        match statement.action {
            Action::Select(query) => session.begin(&query, context).await.map(Answer::from),
            Action::Explain { analyze, query } => session.explain(&query, context, analyze).await,
            Action::Insert { table, columns, query } => session.insert(&table, &columns, &query, context).await,
            Action::Unload { query, properties, location } => {
                session.unload(&query, properties, &location, context).await
            }
            Action::CreateTableAs { table, if_not_exists, properties, with_data, query } => {
                session.create_table_as(&table, if_not_exists, properties, with_data, &query, context).await
            }
            Action::CreateView { view, replace, query } => session.create_view(&view, replace, &query, context).await,
            Action::Hive(command) => ddl::run(session, command, context).await,
        }
    }
}

fn runtime(limits: Limits) -> Result<Arc<RuntimeEnv>, SqlError> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_temp_directory_size(limits.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes_max)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(SqlError::from)?;
    // A plan must name a store for its files. The scans here use readers of their own and never call it.
    let url = ObjectStoreUrl::parse(format!("{FILES_URL}lake")).map_err(SqlError::from)?;
    runtime.register_object_store(url.as_ref(), Arc::new(object_store::memory::InMemory::new()));
    Ok(runtime)
}
