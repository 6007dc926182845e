//! The Athena API over the engine: an operation's name and JSON in, a status and JSON out. No HTTP.
//!
//! Executions, work groups and saved queries are JSON documents in the lake's bucket, below `athena/`; results are where
//! a call or a work group says, else below `athena/results/`. No table is there, and no function is woken. All outlives
//! the process: a result is read from S3, page by page.
//!
//! **Results are copies.** Rows of trusted tables hold personal data, and a result of such rows stays when a customer
//! withdraws consent: it is the analyst's copy, as on AWS. So what is in the default location does not stay: executions
//! older than [`Settings::kept_ms`] are removed with their results there when the stack starts, and hourly. Whoever names
//! another location, or makes a table of rows (CREATE TABLE AS), has to remove them.
//!
//! | module | knows |
//! |---|---|
//! | `start` | what becomes an execution |
//! | `running` | one execution from the queue to its end |
//! | `execution` | what is kept of it, and how it is shown |
//! | `history` | all of them, across restarts |
//! | `writing`, `csv`, `metadata` | a result on its way into S3 |
//! | `page` | a result on its way back |
//! | `work_groups`, `saved`, `catalog` | the rest of the API |
//! | `spoken` | the SQL that speaks of prepared statements |
//! | `shelf` | documents in S3 |
//! | `location` | where results may go |
//! | `fault` | refusals |

mod catalog;
mod clock;
mod csv;
mod execution;
mod fault;
mod history;
mod location;
mod metadata;
mod page;
mod running;
mod saved;
mod shelf;
mod spoken;
mod start;
mod work_groups;
mod writing;

pub use clock::Clock;

use crate::engine::Engine;
use emulator_client::Store;
use emulator_client::data_catalog::DataCatalog;
use fault::Fault;
use history::History;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// How often is looked for what is too old.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1000;

/// What one API may use, and where it keeps things.
#[derive(Clone)]
pub struct Settings {
    /// The lake's bucket.
    pub bucket: String,
    /// The region in the names of what is tagged.
    pub region: String,
    /// How many queries run at once.
    pub running_max: usize,
    /// How many wait for that; more are refused.
    pub waiting_max: usize,
    /// How long executions are remembered, and how long their results stay in the default location: milliseconds.
    pub kept_ms: i64,
    /// What time it is.
    pub clock: Clock,
}

impl Settings {
    /// The usual, in `bucket`: four queries at once, a hundred waiting, kept for 24 hours.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        let (bucket, region, clock) = (bucket.into(), region.into(), clock::of_this_machine());
        Self { bucket, region, running_max: 4, waiting_max: 100, kept_ms: 24 * HOUR_MS, clock }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// The Athena API. Clones are the same.
#[derive(Clone)]
pub struct Athena {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    catalog: DataCatalog,
    store: Store,
    settings: Settings,
    history: History,
    places: Semaphore,
    ready: OnceCell<()>,
}

impl fmt::Debug for Athena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Athena").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Athena {
    /// The API over `engine`, which keeps what it keeps through `store`, and tells of what `catalog` has.
    pub fn new(engine: Engine, catalog: DataCatalog, store: Store, settings: Settings) -> Self {
        let history = History::new(store.clone(), &settings.bucket, Arc::clone(&settings.clock));
        let places = Semaphore::new(settings.running_max.max(1));
        let ready = OnceCell::new();
        Self { inner: Arc::new(Inner { engine, catalog, store, settings, history, places, ready }) }
    }

    /// Finds what an earlier process left, removes what is too old, and does so hourly from now on. The first call does
    /// this if nobody did before.
    ///
    /// # Errors
    /// If S3 fails.
    pub async fn recover(&self) -> Result<(), String> {
        self.ready().await.map_err(|fault| fault.answer().1)
    }

    /// Answers a call: `operation` is the name after the dot of `X-Amz-Target`. Gives the HTTP status and the document.
    pub async fn answer(&self, operation: &str, body: &[u8]) -> (u16, String) {
        let answer = async {
            self.ready().await?;
            self.inner.call(operation, body).await
        };
        match answer.await {
            Ok(document) => (200, document.to_string()),
            Err(fault) => fault.answer(),
        }
    }

    /// Cancels all queries, and waits until nothing of them runs.
    pub async fn stop(&self) {
        self.inner.history.stop_all().await;
    }

    async fn ready(&self) -> Result<(), Fault> {
        let recover = || async {
            self.inner.history.recover().await?;
            self.inner.remove_expired().await?;
            tokio::spawn(keep_house(Arc::downgrade(&self.inner)));
            Ok(())
        };
        self.inner.ready.get_or_try_init(recover).await.copied()
    }
}

/// Until the API is gone.
async fn keep_house(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING_PERIOD).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(fault) = inner.remove_expired().await {
            tracing::warn!(?fault, "old executions cannot be removed");
        }
    }
}

impl Inner {
    async fn remove_expired(&self) -> Result<(), Fault> {
        let before_ms = (self.settings.clock)().saturating_sub(self.settings.kept_ms);
        let removed = self.history.expire(before_ms).await?;
        tracing::info!(removed, "executions that were too old");
        Ok(())
    }

    async fn call(self: &Arc<Self>, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "StartQueryExecution" => self.start(read(body)?, body).await,
            "GetQueryExecution" => self.get_execution(read(body)?).await,
            "BatchGetQueryExecution" => self.get_executions(read(body)?).await,
            "ListQueryExecutions" => self.list_executions(read(body)?).await,
            "StopQueryExecution" => self.stop_execution(read(body)?).await,
            "GetQueryResults" => self.get_results(read(body)?).await,
            "GetQueryRuntimeStatistics" => self.get_statistics(read(body)?).await,
            "ListWorkGroups" => self.list_work_groups(read(body)?).await,
            "GetWorkGroup" => self.get_work_group(read(body)?).await,
            "CreateWorkGroup" => self.create_work_group(read(body)?).await,
            "UpdateWorkGroup" => self.update_work_group(read(body)?).await,
            "DeleteWorkGroup" => self.delete_work_group(read(body)?).await,
            "ListEngineVersions" => work_groups::list_engine_versions(&read(body)?),
            "TagResource" => self.tag(read(body)?).await,
            "UntagResource" => self.untag(read(body)?).await,
            "ListTagsForResource" => self.list_tags(read(body)?).await,
            "ListDataCatalogs" => catalog::list_catalogs(&read(body)?),
            "GetDataCatalog" => catalog::get_catalog(&read(body)?),
            "ListDatabases" => self.list_databases(read(body)?).await,
            "GetDatabase" => self.get_database(read(body)?).await,
            "ListTableMetadata" => self.list_tables(read(body)?).await,
            "GetTableMetadata" => self.get_table(read(body)?).await,
            "CreateNamedQuery" => self.create_named(read(body)?).await,
            "GetNamedQuery" => self.get_named(read(body)?).await,
            "BatchGetNamedQuery" => self.get_all_named(read(body)?).await,
            "UpdateNamedQuery" => self.update_named(read(body)?).await,
            "ListNamedQueries" => self.list_named(read(body)?).await,
            "DeleteNamedQuery" => self.delete_named(read(body)?).await,
            "CreatePreparedStatement" => self.create_prepared(read(body)?).await,
            "GetPreparedStatement" => self.get_prepared(read(body)?).await,
            "BatchGetPreparedStatement" => self.get_all_prepared(read(body)?).await,
            "UpdatePreparedStatement" => self.update_prepared(read(body)?).await,
            "ListPreparedStatements" => self.list_prepared(read(body)?).await,
            "DeletePreparedStatement" => self.delete_prepared(read(body)?).await,
            _ => Err(Fault::unknown(operation)),
        }
    }
}

/// A call's parameters. One that is not known is refused by its name: to ignore it would be a wrong answer.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| Fault::unreadable(format!("the body is no JSON document: {error}")))?;
    if !document.is_object() {
        return Err(Fault::unreadable("the body is not a JSON object"));
    }
    serde_json::from_value(document).map_err(|error| {
        let told = error.to_string();
        let told =
            if told.starts_with("unknown field") { format!("{told}: not implemented by this endpoint") } else { told };
        Fault::invalid(told)
    })
}

/// The length of a page, of which a call may ask for less.
fn page_length(asked: Option<u32>, length_max: u32) -> Result<usize, Fault> {
    match asked {
        None | Some(0) => Ok(length_max as usize),
        Some(n) if n <= length_max => Ok(n as usize),
        Some(n) => Err(Fault::invalid(format!("MaxResults is {n}, expected at most {length_max}"))),
    }
}
