//! Executions from their start to their end.

use crate::api::{athena, athena_with, call};
use serde_json::{Value, json};

/// A query that runs until it is stopped.
const ENDLESS: &str = "SELECT count(*) FROM UNNEST(sequence(1, 20000)) AS a (n), UNNEST(sequence(1, 20000)) AS b (m), \
                       UNNEST(sequence(1, 20000)) AS c (o) WHERE n * m + o = -1";

#[tokio::test]
async fn what_is_no_statement_is_refused_at_once() {
    let called = athena().await;
    for sql in ["SELEC 1", "SELECT 1; SELECT 2", ""] {
        let (kind, told) = called.refused("StartQueryExecution", json!({"QueryString": sql})).await;
        assert_eq!(kind, "InvalidRequestException", "{sql}: {told}");
    }
    let (_, told) = called.refused("StartQueryExecution", json!({"QueryString": "SELEC 1"})).await;
    assert!(told.starts_with("line 1:1: mismatched input 'SELEC'"), "{told}");
}

#[tokio::test]
async fn what_is_not_there_fails_with_athenas_reason() {
    let called = athena().await;
    let told = called.reason("SELECT * FROM nowhere").await;
    assert!(
        told.starts_with("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.stedi.nowhere' does not exist"),
        "{told}"
    );
    let (id, execution) = called.run("SELECT foo FROM customer_trusted").await;
    let error = &execution["Status"]["AthenaError"];
    assert_eq!((&error["ErrorCategory"], &error["Retryable"]), (&json!(2), &json!(false)));
    assert!(error["ErrorMessage"].as_str().unwrap().starts_with("COLUMN_NOT_FOUND"), "{error}");
    let (_, told) = called.refused("GetQueryResults", json!({"QueryExecutionId": id})).await;
    assert!(told.contains("FAILED"), "{told}");
}

#[tokio::test]
async fn a_call_sent_twice_starts_one_execution() {
    let called = athena().await;
    let token = "0123456789012345678901234567890123456789";
    let asked = json!({"QueryString": "SELECT 1", "ClientRequestToken": token});
    let first = called.call("StartQueryExecution", asked.clone()).await;
    assert_eq!(called.call("StartQueryExecution", asked).await, first);
    let other = json!({"QueryString": "SELECT 2", "ClientRequestToken": token});
    let (_, told) = called.refused("StartQueryExecution", other).await;
    assert!(told.contains("dempotent"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_stopped_is_cancelled_and_leaves_nothing() {
    let called = athena().await;
    let id = called.start(ENDLESS).await;
    let (_, told) = called.refused("GetQueryResults", json!({"QueryExecutionId": id})).await;
    assert!(told.starts_with("Query has not yet finished. Current state: "), "{told}");
    called.call("StopQueryExecution", json!({"QueryExecutionId": id})).await;
    assert_eq!(called.end(&id).await["Status"]["State"], "CANCELLED");
    let listed = called.lake.store.list("lake", "athena/results/", true).await.unwrap();
    assert!(listed.objects.is_empty(), "{listed:?}");
    // Once more is no error.
    called.call("StopQueryExecution", json!({"QueryExecutionId": id})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_wait_and_more_are_refused() {
    let called = athena_with(|settings| (settings.running_max, settings.waiting_max) = (1, 1)).await;
    let running = called.start(ENDLESS).await;
    let waiting = called.start("SELECT 1").await;
    let (kind, _) = called.refused("StartQueryExecution", json!({"QueryString": "SELECT 2"})).await;
    assert_eq!(kind, "TooManyRequestsException");
    called.call("StopQueryExecution", json!({"QueryExecutionId": running})).await;
    assert_eq!(called.end(&waiting).await["Status"]["State"], "SUCCEEDED");
    assert_eq!(called.end(&running).await["Status"]["State"], "CANCELLED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_when_the_process_ended_has_failed() {
    let called = athena().await;
    let id = called.start(ENDLESS).await;
    // Nothing of the first API is told that another begins, as after a kill.
    let restarted = called.again();
    let asked = json!({"QueryExecutionId": id});
    let execution = call(&restarted, "GetQueryExecution", asked).await["QueryExecution"].take();
    assert_eq!(execution["Status"]["State"], "FAILED");
    assert!(execution["Status"]["StateChangeReason"].as_str().unwrap().contains("has ended"), "{execution}");
    called.athena.stop().await;
}

#[tokio::test]
async fn executions_are_listed_newest_first_and_told_in_batches() {
    let called = athena().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        called.now_ms.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        ids.push(called.run(&format!("SELECT {n}")).await.0);
    }
    ids.reverse();
    let first = called.call("ListQueryExecutions", json!({"MaxResults": 2})).await;
    assert_eq!(first["QueryExecutionIds"], json!(ids[..2]));
    let second = called.call("ListQueryExecutions", json!({"MaxResults": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((&second["QueryExecutionIds"], &second["NextToken"]), (&json!(ids[2..]), &Value::Null));
    let asked = json!({"QueryExecutionIds": [ids[0], "not-there"]});
    let batch = called.call("BatchGetQueryExecution", asked).await;
    assert_eq!(batch["QueryExecutions"][0]["Query"], "SELECT 2");
    assert_eq!(batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"], "not-there");
}

#[tokio::test]
async fn parameters_stand_for_question_marks_and_so_do_prepared_statements() {
    let called = athena().await;
    let asked = json!({"QueryString": "SELECT ? || 'b'", "ExecutionParameters": ["'a'"]});
    let id = called.call("StartQueryExecution", asked).await["QueryExecutionId"].as_str().unwrap().to_owned();
    called.end(&id).await;
    assert_eq!(called.page(&id, None, 1000).await.0[1..], ["ab"]);
    called.rows("PREPARE one FROM SELECT ? + 1 AS n").await;
    assert_eq!(called.rows("EXECUTE one USING 41").await, ["n", "42"]);
    let asked = json!({"StatementName": "one", "WorkGroup": "primary"});
    let found = called.call("GetPreparedStatement", asked.clone()).await;
    assert_eq!(found["PreparedStatement"]["QueryStatement"], "SELECT ? + 1 AS n");
    called.rows("DEALLOCATE PREPARE one").await;
    assert_eq!(called.refused("GetPreparedStatement", asked).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_not_known_is_refused_by_name() {
    let called = athena().await;
    let (kind, told) = called.refused("StartSession", json!({})).await;
    assert_eq!(kind, "UnknownOperationException");
    assert!(told.contains("StartSession"), "{told}");
    let (_, told) = called.refused("StartQueryExecution", json!({"QueryString": "SELECT 1", "Surprise": 1})).await;
    assert!(told.contains("Surprise"), "{told}");
    let (status, document) = called.athena.answer("GetQueryExecution", b"{").await;
    assert_eq!(status, 400, "{document}");
    assert!(document.contains("SerializationException"), "{document}");
}
