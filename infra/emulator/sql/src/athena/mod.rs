//! The Athena API over the engine: the name of an operation and JSON in, a status and JSON out. No HTTP.
//!
//! Executions, work groups and saved queries are JSON documents below `athena/` in one bucket. Results are at the location
//! of the call or the work group, by default below `athena/results/`. Documents and results outlive the process: a page of
//! a result is read from S3.
//!
//! **Results are copies.** A result that holds personal data stays when the rows of its table are erased, as on AWS. So
//! results in the default location expire: the API removes executions older than [`Settings::kept_ms`], with their results
//! there, when it starts and then hourly. Results in other locations and tables of CREATE TABLE AS stay until the client
//! removes them.
//!
//! | module | contents |
//! |---|---|
//! | `executions` | the operations on executions |
//! | `runner` | runs one execution from the queue to its end |
//! | `execution` | the document of an execution, and its JSON in the API |
//! | `history` | all executions, across restarts |
//! | `result_writer`, `csv`, `metadata` | write a result to S3 |
//! | `page` | reads a page of a result |
//! | `work_groups`, `saved_queries`, `catalog` | the rest of the API |
//! | `prepared_sql` | PREPARE, EXECUTE and DEALLOCATE PREPARE |
//! | `documents` | JSON documents in S3 |
//! | `location` | the locations where results may be |
//! | `fault` | errors of the API |

/// Reads the parameters of a call into variables. Those after `unused` are known, and of no effect here.
macro_rules! parameters {
    ($body:ident, { $($(#[$meta:meta])* $name:ident: $kind:ty),* $(; unused $($unused:ident: $unused_kind:ty),+)? }) => {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Parameters {
            $($(#[$meta])* $name: $kind,)*
            $($(
                #[expect(dead_code, reason = "known, and of no effect here")]
                $unused: $unused_kind,
            )+)?
        }
        let Parameters { $($name,)* .. } = crate::athena::read($body)?;
    };
}

mod catalog;
mod clock;
pub(crate) mod csv;
mod documents;
mod execution;
mod executions;
mod fault;
mod history;
mod location;
mod metadata;
mod page;
mod prepared_sql;
mod result_writer;
mod runner;
mod saved_queries;
mod work_groups;

pub use clock::Clock;

use crate::engine::Engine;
use emulator_client::Store;
use emulator_client::data_catalog::DataCatalog;
use fault::Fault;
use history::History;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// The pause between two removals of expired executions.
const EXPIRY_PERIOD: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1000;

/// The settings of an API.
#[derive(Clone)]
pub struct Settings {
    /// The bucket of the API's documents and of results by default.
    pub bucket: String,
    /// The region in ARNs.
    pub region: String,
    /// The most queries that run at a time.
    pub running_max: usize,
    /// The most queries that wait; further calls are refused.
    pub waiting_max: usize,
    /// How long executions, and their results in the default location, are kept: milliseconds.
    pub kept_ms: i64,
    /// The time.
    pub clock: Clock,
}

impl Settings {
    /// Default settings for `bucket`: four queries run, a hundred wait, and executions are kept for 24 hours.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        let (bucket, region, clock) = (bucket.into(), region.into(), clock::of_this_machine());
        Self { bucket, region, running_max: 4, waiting_max: 100, kept_ms: 24 * HOUR_MS, clock }
    }
}

/// The Athena API. Clones share their state.
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
    permits: Semaphore,
    ready: OnceCell<()>,
}

impl Athena {
    /// The API over `engine`, which describes `catalog` and keeps its documents in `store`.
    pub fn new(engine: Engine, catalog: DataCatalog, store: Store, settings: Settings) -> Self {
        let history = History::new(store.clone(), &settings.bucket, Arc::clone(&settings.clock));
        let permits = Semaphore::new(settings.running_max.max(1));
        let ready = OnceCell::new();
        Self { inner: Arc::new(Inner { engine, catalog, store, settings, history, permits, ready }) }
    }

    /// Reads the executions of earlier processes and removes expired ones, now and then hourly. Without a call of this, the
    /// first operation does it.
    ///
    /// # Errors
    /// If S3 fails.
    pub async fn recover(&self) -> Result<(), String> {
        self.ready().await.map_err(|fault| fault.answer().1)
    }

    /// Answers a call; returns the HTTP status and the document. `operation` is the part of `X-Amz-Target` after the dot.
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

    /// Cancels all queries and waits until they have ended.
    pub async fn stop(&self) {
        self.inner.history.stop_all().await;
    }

    async fn ready(&self) -> Result<(), Fault> {
        let recover = || async {
            self.inner.history.recover().await?;
            self.inner.remove_expired().await?;
            tokio::spawn(expire_periodically(Arc::downgrade(&self.inner)));
            Ok(())
        };
        self.inner.ready.get_or_try_init(recover).await.copied()
    }
}

/// Removes expired executions until the API is dropped.
async fn expire_periodically(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(EXPIRY_PERIOD).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(fault) = inner.remove_expired().await {
            tracing::warn!(?fault, "cannot remove expired executions");
        }
    }
}

impl Inner {
    async fn remove_expired(&self) -> Result<(), Fault> {
        let before_ms = (self.settings.clock)().saturating_sub(self.settings.kept_ms);
        let removed = self.history.expire(before_ms).await?;
        tracing::info!(removed, "removed expired executions");
        Ok(())
    }

    async fn call(self: &Arc<Self>, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "StartQueryExecution" => self.start(body).await,
            "GetQueryExecution" => self.get_execution(body).await,
            "BatchGetQueryExecution" => self.get_executions(body).await,
            "ListQueryExecutions" => self.list_executions(body).await,
            "StopQueryExecution" => self.stop_execution(body).await,
            "GetQueryResults" => self.get_results(body).await,
            "ListWorkGroups" => self.list_work_groups(body).await,
            "GetWorkGroup" => self.get_work_group(body).await,
            "CreateWorkGroup" => self.create_work_group(body).await,
            "UpdateWorkGroup" => self.update_work_group(body).await,
            "DeleteWorkGroup" => self.delete_work_group(body).await,
            "ListTagsForResource" => self.list_tags(body).await,
            "ListDataCatalogs" => catalog::list_catalogs(body),
            "GetDataCatalog" => catalog::get_catalog(body),
            "ListDatabases" => self.list_databases(body).await,
            "GetDatabase" => self.get_database(body).await,
            "ListTableMetadata" => self.list_tables(body).await,
            "GetTableMetadata" => self.get_table(body).await,
            "CreateNamedQuery" => self.create_named(body).await,
            "GetNamedQuery" => self.get_named(body).await,
            "UpdateNamedQuery" => self.update_named(body).await,
            "ListNamedQueries" => self.list_named(body).await,
            "DeleteNamedQuery" => self.delete_named(body).await,
            "CreatePreparedStatement" => self.create_prepared(body).await,
            "GetPreparedStatement" => self.get_prepared(body).await,
            "UpdatePreparedStatement" => self.update_prepared(body).await,
            "ListPreparedStatements" => self.list_prepared(body).await,
            "DeletePreparedStatement" => self.delete_prepared(body).await,
            _ => Err(Fault::unknown(operation)),
        }
    }
}

/// Parses the parameters of a call. Refuses unknown parameters by name, since to ignore one may give a wrong answer.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| Fault::unreadable(format!("the body is not a JSON document: {error}")))?;
    if !document.is_object() {
        return Err(Fault::unreadable("the body is not a JSON object"));
    }
    serde_json::from_value(document).map_err(|error| {
        let message = error.to_string();
        let message = if message.starts_with("unknown field") {
            format!("{message}: not implemented by this endpoint")
        } else {
            message
        };
        Fault::invalid(message)
    })
}

/// The length of a page: the requested one, or `length_max`.
fn page_length(request: Option<u32>, length_max: u32) -> Result<usize, Fault> {
    match request {
        None | Some(0) => Ok(length_max as usize),
        Some(n) if n <= length_max => Ok(n as usize),
        Some(n) => Err(Fault::invalid(format!("MaxResults is {n}, expected at most {length_max}"))),
    }
}

/// Adds the token of the next page.
fn with_next_token(mut page: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        page["NextToken"] = Value::from(next);
    }
    page
}

/// Removes the fields that have no value.
fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(|field| *field = without_nulls(field.take()));
    }
    value
}
