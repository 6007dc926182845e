//! An Athena to call.

use aws::settings::Settings;
use emulator::Cloud;
use emulator_sql::athena::{Athena, Settings as Kept};
use emulator_sql::{Engine, Limits};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// 2026-01-01, in milliseconds.
pub(crate) const NEW_YEAR_MS: i64 = 1_767_225_600_000;
/// How often is looked whether a query is over, and how long.
const PAUSE: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 4_000;

pub(crate) struct Called {
    pub(crate) athena: Athena,
    pub(crate) lake: aws::lake::Lake,
    pub(crate) now_ms: Arc<AtomicI64>,
    _cloud: Cloud,
    _directory: Arc<tempfile::TempDir>,
}

/// Athena over an empty lake with the product's tables.
pub(crate) async fn athena() -> Called {
    athena_with(|_| {}).await
}

pub(crate) async fn athena_with(change: impl Fn(&mut Kept)) -> Called {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let cloud = Cloud::open(directory.path()).unwrap();
    let settings = Settings { lake_bucket: "lake".into(), charter: Default::default(), database: "stedi".into() };
    let lake = aws::connect::over(cloud.http_client(), "us-east-1", &settings);
    lake.store.create_bucket("lake").await.unwrap();
    lake.catalog.create_tables().await.unwrap();
    let now_ms = Arc::new(AtomicI64::new(NEW_YEAR_MS));
    let athena = begin(&lake, &now_ms, change);
    Called { athena, lake, now_ms, _cloud: cloud, _directory: directory }
}

fn begin(lake: &aws::lake::Lake, now_ms: &Arc<AtomicI64>, change: impl Fn(&mut Kept)) -> Athena {
    let mut kept = Kept::new("lake", "us-east-1");
    let now = Arc::clone(now_ms);
    kept.clock = Arc::new(move || now.load(Ordering::Relaxed));
    change(&mut kept);
    let (catalog, store) = (lake.data_catalog.clone(), lake.store.clone());
    Athena::new(Engine::new(catalog.clone(), store.clone(), Limits::default()), catalog, store, kept)
}

impl Called {
    /// As after a restart of the process: another API over the same lake.
    pub(crate) fn again(&self) -> Athena {
        begin(&self.lake, &self.now_ms, |_| {})
    }

    /// The text of an object; none if there is none.
    pub(crate) async fn text(&self, key: &str) -> Option<String> {
        match self.lake.store.read(&self.lake.at(key), None).await.unwrap() {
            emulator_client::Read::Found { body, .. } => Some(String::from_utf8_lossy(&body).into_owned()),
            _ => None,
        }
    }

    pub(crate) async fn call(&self, operation: &str, body: Value) -> Value {
        call(&self.athena, operation, body).await
    }

    /// What an operation refuses: the exception, and its message.
    pub(crate) async fn refused(&self, operation: &str, body: Value) -> (String, String) {
        let (status, document) = self.athena.answer(operation, body.to_string().as_bytes()).await;
        assert_eq!(status, 400, "{operation}: {document}");
        let document: Value = serde_json::from_str(&document).unwrap();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("message"), text("Message"));
        (text("__type"), text("message"))
    }

    pub(crate) async fn start(&self, sql: &str) -> String {
        let asked = json!({"QueryString": sql, "QueryExecutionContext": {"Database": "stedi"}});
        let answer = self.call("StartQueryExecution", asked).await;
        answer["QueryExecutionId"].as_str().unwrap().to_owned()
    }

    /// Runs a statement to its end: its id, and its execution.
    pub(crate) async fn run(&self, sql: &str) -> (String, Value) {
        let id = self.start(sql).await;
        let execution = self.end(&id).await;
        (id, execution)
    }

    pub(crate) async fn end(&self, id: &str) -> Value {
        for _ in 0..LOOKS_MAX {
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
        let mut asked = json!({"QueryExecutionId": id, "MaxResults": rows_max});
        if let Some(token) = token {
            asked["NextToken"] = json!(token);
        }
        let page = self.call("GetQueryResults", asked).await;
        (rows(&page), page["NextToken"].as_str().map(str::to_owned))
    }

    /// All rows of a statement that succeeds.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let (id, execution) = self.run(sql).await;
        assert_eq!(execution["Status"]["State"], "SUCCEEDED", "{sql}: {execution}");
        self.page(&id, None, 1000).await.0
    }

    /// The reason for which a statement fails.
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
