//! Executions from their start to their end.

use crate::api::{athena, athena_with, call};
use serde_json::{Value, json};

/// A query that runs until it is stopped.
const ENDLESS: &str = "SELECT count(*) FROM UNNEST(sequence(1, 20000)) AS a (n), UNNEST(sequence(1, 20000)) AS b (m), \
                       UNNEST(sequence(1, 20000)) AS c (o) WHERE n * m + o = -1";

#[tokio::test]
async fn syntax_error_is_refused_at_once() {
    let api = athena().await;
    for sql in ["SELEC 1", "SELECT 1; SELECT 2", ""] {
        let (kind, message) = api.refused("StartQueryExecution", json!({"QueryString": sql})).await;
        assert_eq!(kind, "InvalidRequestException", "{sql}: {message}");
    }
    let (_, message) = api.refused("StartQueryExecution", json!({"QueryString": "SELEC 1"})).await;
    assert!(message.starts_with("line 1:1: mismatched input 'SELEC'"), "{message}");
}

#[tokio::test]
async fn missing_table_fails_with_reason_of_athena() {
    let api = athena().await;
    let message = api.reason("SELECT * FROM nowhere").await;
    assert!(
        message.starts_with("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.stedi.nowhere' does not exist"),
        "{message}"
    );
    let (id, execution) = api.run("SELECT foo FROM customer_trusted").await;
    let error = &execution["Status"]["AthenaError"];
    assert_eq!((&error["ErrorCategory"], &error["Retryable"]), (&json!(2), &json!(false)));
    assert!(error["ErrorMessage"].as_str().unwrap().starts_with("COLUMN_NOT_FOUND"), "{error}");
    let (_, message) = api.refused("GetQueryResults", json!({"QueryExecutionId": id})).await;
    assert!(message.contains("FAILED"), "{message}");
}

#[tokio::test]
async fn call_sent_twice_starts_one_execution() {
    let api = athena().await;
    let token = "0123456789012345678901234567890123456789";
    let request = json!({"QueryString": "SELECT 1", "ClientRequestToken": token});
    let first = api.call("StartQueryExecution", request.clone()).await;
    assert_eq!(api.call("StartQueryExecution", request).await, first);
    let other = json!({"QueryString": "SELECT 2", "ClientRequestToken": token});
    let (_, message) = api.refused("StartQueryExecution", other).await;
    assert!(message.contains("dempotent"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_query_is_cancelled_and_leaves_nothing() {
    let api = athena().await;
    let id = api.start(ENDLESS).await;
    let (_, message) = api.refused("GetQueryResults", json!({"QueryExecutionId": id})).await;
    assert!(message.starts_with("Query has not yet finished. Current state: "), "{message}");
    api.call("StopQueryExecution", json!({"QueryExecutionId": id})).await;
    assert_eq!(api.end(&id).await["Status"]["State"], "CANCELLED");
    assert_eq!(api.keys("athena/results/").await, Vec::<String>::new());
    // A second stop is not an error.
    api.call("StopQueryExecution", json!({"QueryExecutionId": id})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_beyond_queue_is_refused() {
    let api = athena_with(|settings| (settings.running_max, settings.waiting_max) = (1, 1)).await;
    let running = api.start(ENDLESS).await;
    let waiting = api.start("SELECT 1").await;
    let (kind, _) = api.refused("StartQueryExecution", json!({"QueryString": "SELECT 2"})).await;
    assert_eq!(kind, "TooManyRequestsException");
    api.call("StopQueryExecution", json!({"QueryExecutionId": running})).await;
    assert_eq!(api.end(&waiting).await["Status"]["State"], "SUCCEEDED");
    assert_eq!(api.end(&running).await["Status"]["State"], "CANCELLED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn execution_of_ended_process_has_failed() {
    let api = athena().await;
    let id = api.start(ENDLESS).await;
    // The first API is not stopped, as after a kill of its process.
    let restarted = api.restart();
    let request = json!({"QueryExecutionId": id});
    let execution = call(&restarted, "GetQueryExecution", request).await["QueryExecution"].take();
    assert_eq!(execution["Status"]["State"], "FAILED");
    assert!(execution["Status"]["StateChangeReason"].as_str().unwrap().contains("has ended"), "{execution}");
    api.athena.stop().await;
}

#[tokio::test]
async fn executions_are_listed_newest_first_and_read_in_batches() {
    let api = athena().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        api.now_ms.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        ids.push(api.run(&format!("SELECT {n}")).await.0);
    }
    ids.reverse();
    let first = api.call("ListQueryExecutions", json!({"MaxResults": 2})).await;
    assert_eq!(first["QueryExecutionIds"], json!(ids[..2]));
    let second = api.call("ListQueryExecutions", json!({"MaxResults": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((&second["QueryExecutionIds"], &second["NextToken"]), (&json!(ids[2..]), &Value::Null));
    let request = json!({"QueryExecutionIds": [ids[0], "not-there"]});
    let batch = api.call("BatchGetQueryExecution", request).await;
    assert_eq!(batch["QueryExecutions"][0]["Query"], "SELECT 2");
    assert_eq!(batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"], "not-there");
}

#[tokio::test]
async fn parameters_replace_placeholders() {
    let api = athena().await;
    let id = api.start_with(json!({"QueryString": "SELECT ? || 'b'", "ExecutionParameters": ["'a'"]})).await;
    api.end(&id).await;
    assert_eq!(api.page(&id, None, 1000).await.0[1..], ["ab"]);
    api.rows("PREPARE one FROM SELECT ? + 1 AS n").await;
    assert_eq!(api.rows("EXECUTE one USING 41").await, ["n", "42"]);
    let request = json!({"StatementName": "one", "WorkGroup": "primary"});
    let found = api.call("GetPreparedStatement", request.clone()).await;
    assert_eq!(found["PreparedStatement"]["QueryStatement"], "SELECT ? + 1 AS n");
    api.rows("DEALLOCATE PREPARE one").await;
    assert_eq!(api.refused("GetPreparedStatement", request).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn unknown_operation_and_parameter_are_refused_by_name() {
    let api = athena().await;
    let (kind, message) = api.refused("StartSession", json!({})).await;
    assert_eq!(kind, "UnknownOperationException");
    assert!(message.contains("StartSession"), "{message}");
    let (_, message) = api.refused("StartQueryExecution", json!({"QueryString": "SELECT 1", "Surprise": 1})).await;
    assert!(message.contains("Surprise"), "{message}");
    let (status, document) = api.athena.answer("GetQueryExecution", b"{").await;
    assert_eq!(status, 400, "{document}");
    assert!(document.contains("SerializationException"), "{document}");
}
