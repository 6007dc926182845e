//! One statement from its text to its answer.

use crate::answer::Answer;
use crate::error::SqlError;
use aws::data_catalog::DataCatalog;
use aws::store::Store;
use lake::layout::Place;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest statement, as on AWS.
pub const STATEMENT_BYTES_MAX: usize = 262_144;

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
    _inner: Arc<(DataCatalog, Store, Limits)>,
}

/// What a statement runs in.
#[derive(Clone, Debug)]
pub struct Context {
    /// The catalog that names without one mean: `AwsDataCatalog`.
    pub catalog: String,
    /// The database that names without one mean.
    pub database: String,
    /// The bucket and the key's beginning below which CREATE TABLE AS without a location may write its files.
    pub output: Place,
    /// The execution's id; files that it writes bear it in their names.
    pub id: String,
}

/// A statement that was parsed.
#[derive(Clone, Debug)]
pub struct Statement {
    _text: String,
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
        Kind::Dml
    }

    /// Athena's SubstatementType: `SELECT`, `CREATE_TABLE`, `SHOW_PARTITIONS`, …
    pub fn substatement(&self) -> &'static str {
        "SELECT"
    }
}

impl Engine {
    /// An engine over what `catalog` names, whose files `store` reads.
    pub fn new(catalog: DataCatalog, store: Store, limits: Limits) -> Self {
        Self { _inner: Arc::new((catalog, store, limits)) }
    }

    /// Parses one statement, whose `?` are the `parameters` (literals, as SQL writes them).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Syntax`]: what StartQueryExecution refuses.
    pub fn parse(&self, sql: &str, parameters: &[String]) -> Result<Statement, SqlError> {
        let _ = parameters;
        Err(SqlError::syntax(format!("not there yet: {sql}")))
    }

    /// Runs a statement. Rows of a query are computed as they are taken.
    ///
    /// # Errors
    /// What Athena gives as the reason of a failed execution.
    pub async fn run(&self, statement: Statement, context: &Context) -> Result<Answer, SqlError> {
        let _ = (statement, context);
        Err(SqlError::system("not there yet"))
    }
}
