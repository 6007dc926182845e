//! One statement from its text to its answer.

use crate::answer::Answer;
use crate::ddl;
use crate::error::SqlError;
use crate::protected::Protected;
use crate::query::{CATALOG, Session};
use crate::registered::FILES_URL;
use crate::statement::{self, Action};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use emulator_client::ObjectLocation;
use emulator_client::Store;
use emulator_client::data_catalog::DataCatalog;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest statement, as on AWS.
pub const STATEMENT_BYTES_MAX: usize = 262_144;

/// Statements are trees, which are walked down from many places; the threads of a runtime have stacks of 2 MiB. So
/// parsing and planning get one that is enough for the deepest statement there may be.
const STACK_BYTES: usize = 64 << 20;
const STACK_LEFT_BYTES: usize = 32 << 20;

/// What one engine may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory of all its queries together; what sorts, joins and groups need beyond it goes to the disk.
    pub memory_bytes_max: usize,
    /// What may be on the disk for that.
    pub spill_bytes_max: u64,
    /// Where: none is the system's temporary directory.
    pub spill_directory: Option<PathBuf>,
    /// Threads of one query.
    pub parallelism: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let parallelism = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { memory_bytes_max: 1 << 30, spill_bytes_max: 16 << 30, spill_directory: None, parallelism }
    }
}

/// Answers SQL over the tables of a catalog. Clones are cheap and share the limits.
#[derive(Clone, Debug)]
pub struct Engine {
    session: Result<Session, SqlError>,
    protected: Arc<Protected>,
}

/// What a statement runs in.
#[derive(Clone, Debug)]
pub struct Context {
    /// The catalog that names without one mean: `AwsDataCatalog`.
    pub catalog: String,
    /// The database that names without one mean.
    pub database: String,
    /// The bucket and the key's beginning below which CREATE TABLE AS without a location may write its files.
    pub output: ObjectLocation,
    /// The execution's id; files that it writes bear it in their names.
    pub id: String,
}

/// A statement that was parsed.
#[derive(Clone, Debug)]
pub struct Statement {
    action: Action,
}

/// What kind of statement it is, as Athena sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes the catalog.
    Ddl,
    /// It reads or writes rows.
    Dml,
    /// It tells about the catalog or a plan.
    Utility,
}

impl Statement {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.action.kind()
    }

    /// Athena's SubstatementType: `SELECT`, `CREATE_TABLE`, `SHOW_PARTITIONS`, …
    pub fn substatement(&self) -> &'static str {
        self.action.substatement()
    }
}

impl Engine {
    /// An engine over what `catalog` names, whose files `store` reads. It refuses to change what is `protected`.
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

    /// Parses one statement, whose `?` are the `parameters` (literals, as SQL writes them).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Syntax`]: what StartQueryExecution refuses.
    pub fn parse(&self, sql: &str, parameters: &[String]) -> Result<Statement, SqlError> {
        let action = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || statement::parse(sql, parameters));
        Ok(Statement { action: action? })
    }

    /// Runs a statement. Rows of a query are computed as they are taken, but the first of them are there, so that most
    /// errors show here.
    ///
    /// # Errors
    /// What Athena gives as the reason of a failed execution.
    pub async fn run(&self, statement: Statement, context: &Context) -> Result<Answer, SqlError> {
        let mut running = std::pin::pin!(self.run_on_any_stack(statement, context));
        std::future::poll_fn(|task| stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || running.as_mut().poll(task)))
            .await
    }

    async fn run_on_any_stack(&self, statement: Statement, context: &Context) -> Result<Answer, SqlError> {
        let session = self.session.as_ref().map_err(Clone::clone)?;
        if !context.catalog.eq_ignore_ascii_case(CATALOG) {
            let told = format!("Catalog '{}' does not exist: expected AwsDataCatalog", context.catalog);
            return Err(SqlError::user(format!("CATALOG_NOT_FOUND: {told}")));
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
    let mode = match limits.spill_directory {
        Some(directory) => DiskManagerMode::Directories(vec![directory]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes_max)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(SqlError::from)?;
    // Plans name a store for their files, but these have readers of their own: nothing is ever asked of it.
    let url = ObjectStoreUrl::parse(format!("{FILES_URL}lake")).map_err(SqlError::from)?;
    runtime.register_object_store(url.as_ref(), Arc::new(object_store::memory::InMemory::new()));
    Ok(runtime)
}
