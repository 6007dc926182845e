//! An Athena API to call.

use crate::fixture::{at, cloud, engine, protected};
use emulator::{Cloud, REGION};
use emulator_client::Clients;
use emulator_sql::Limits;
use emulator_sql::athena::{Athena, Settings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// 2026-01-01, in milliseconds.
pub(crate) const NEW_YEAR_MS: i64 = 1_767_225_600_000;
/// The pause between two polls of a running query, and the most polls.
const PAUSE: Duration = Duration::from_millis(5);
const POLLS_MAX: u32 = 4_000;

pub(crate) struct Api {
    pub(crate) athena: Athena,
    clients: Clients,
    pub(crate) now_ms: Arc<AtomicI64>,
    _cloud: Cloud,
    _directory: tempfile::TempDir,
}

/// Athena over a lake with empty tables, of which some are protected.
pub(crate) async fn athena() -> Api {
    athena_with(|_| {}).await
}

pub(crate) async fn athena_with(change: impl Fn(&mut Settings)) -> Api {
    let (_cloud, clients, _directory) = cloud().await;
    let now_ms = Arc::new(AtomicI64::new(NEW_YEAR_MS));
    let athena = begin(&clients, &now_ms, change);
    Api { athena, clients, now_ms, _cloud, _directory }
}

fn begin(clients: &Clients, now_ms: &Arc<AtomicI64>, change: impl Fn(&mut Settings)) -> Athena {
    let mut settings = Settings::new("lake", REGION);
    let now = Arc::clone(now_ms);
    settings.clock = Arc::new(move || now.load(Ordering::Relaxed));
    change(&mut settings);
    let engine = engine(clients, Limits::default(), protected());
    Athena::new(engine, clients.catalog.clone(), clients.store.clone(), settings)
}

impl Api {
    /// Another API over the same lake, as after a restart of the process.
    pub(crate) fn restart(&self) -> Athena {
        begin(&self.clients, &self.now_ms, |_| {})
    }

    /// The text of an object; none if there is no object.
    pub(crate) async fn text(&self, key: &str) -> Option<String> {
        let object = self.clients.store.read(&at(key)).await.unwrap();
        object.map(|object| String::from_utf8_lossy(&object.body).into_owned())
    }

    /// The keys of the objects below `prefix`.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let objects = self.clients.store.objects("lake", prefix, 1000).await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }

    pub(crate) async fn call(&self, operation: &str, body: Value) -> Value {
        call(&self.athena, operation, body).await
    }

    /// The exception and the message of a call that is refused.
    pub(crate) async fn refused(&self, operation: &str, body: Value) -> (String, String) {
        let (status, document) = self.athena.answer(operation, body.to_string().as_bytes()).await;
        assert_eq!(status, 400, "{operation}: {document}");
        let document: Value = serde_json::from_str(&document).unwrap();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("message"), text("Message"));
        (text("__type"), text("message"))
    }

    pub(crate) async fn start(&self, sql: &str) -> String {
        self.start_with(json!({"QueryString": sql, "QueryExecutionContext": {"Database": "stedi"}})).await
    }

    pub(crate) async fn start_with(&self, request: Value) -> String {
        let answer = self.call("StartQueryExecution", request).await;
        answer["QueryExecutionId"].as_str().unwrap().to_owned()
    }

    /// Runs a statement to its end; returns its id and its execution.
    pub(crate) async fn run(&self, sql: &str) -> (String, Value) {
        let id = self.start(sql).await;
        let execution = self.end(&id).await;
        (id, execution)
    }

    pub(crate) async fn end(&self, id: &str) -> Value {
        for _ in 0..POLLS_MAX {
            let execution =
                self.call("GetQueryExecution", json!({"QueryExecutionId": id})).await["QueryExecution"].take();
            if !matches!(execution["Status"]["State"].as_str(), Some("QUEUED" | "RUNNING")) {
                return execution;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{id} does not end");
    }

    /// The rows of a page, cells separated by `|`, and its token.
    pub(crate) async fn page(&self, id: &str, token: Option<&str>, rows_max: u32) -> (Vec<String>, Option<String>) {
        let mut request = json!({"QueryExecutionId": id, "MaxResults": rows_max});
        if let Some(token) = token {
            request["NextToken"] = json!(token);
        }
        let page = self.call("GetQueryResults", request).await;
        (rows(&page), page["NextToken"].as_str().map(str::to_owned))
    }

    /// All rows of a statement that succeeds.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let (id, execution) = self.run(sql).await;
        assert_eq!(execution["Status"]["State"], "SUCCEEDED", "{sql}: {execution}");
        self.page(&id, None, 1000).await.0
    }

    /// The reason of a statement that fails.
    pub(crate) async fn reason(&self, sql: &str) -> String {
        let (_, execution) = self.run(sql).await;
        assert_eq!(execution["Status"]["State"], "FAILED", "{sql}: {execution}");
        execution["Status"]["StateChangeReason"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn call(athena: &Athena, operation: &str, body: Value) -> Value {
    let (status, document) = athena.answer(operation, body.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{operation} {body}: {document}");
    serde_json::from_str(&document).unwrap()
}

fn rows(page: &Value) -> Vec<String> {
    let cell = |cell: &Value| cell["VarCharValue"].as_str().unwrap_or("∅").to_owned();
    let row = |row: &Value| row["Data"].as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join("|");
    page["ResultSet"]["Rows"].as_array().unwrap().iter().map(row).collect()
}
