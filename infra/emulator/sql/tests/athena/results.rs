//! The locations and pages of results.

use crate::api::{NEW_YEAR_MS, athena, call};
use serde_json::json;
use std::sync::atomic::Ordering;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn query_writes_rows_and_columns() {
    let api = athena().await;
    let sql = "SELECT * FROM (VALUES (1, 'a \"b\"', 1e0), (NULL, '', NULL)) AS t (n, \"Text\", x)";
    let (id, execution) = api.run(sql).await;
    assert_eq!(execution["Status"]["State"], "SUCCEEDED", "{execution}");
    assert_eq!(execution["StatementType"], "DML");
    assert_eq!(execution["SubstatementType"], "SELECT");
    let location = format!("athena/results/{id}.csv");
    assert_eq!(execution["ResultConfiguration"]["OutputLocation"], format!("s3://lake/{location}"));
    let text = api.text(&location).await.unwrap();
    assert!(text.ends_with("\n\"1\",\"a \"\"b\"\"\",\"1.0\"\n,\"\",\n"), "{text}");
    assert!(api.text(&format!("{location}.metadata")).await.unwrap().contains("varchar"));
    let (rows, token) = api.page(&id, None, 1000).await;
    assert_eq!(rows[1..], ["1|a \"b\"|1.0", "∅||∅"]);
    assert_eq!(token, None);
}

#[tokio::test]
async fn columns_are_described() {
    let api = athena().await;
    let (id, _) = api.run("SELECT 1 AS n, 'a' AS t, CAST(1.25 AS decimal(5,2)) AS d").await;
    let page = api.call("GetQueryResults", json!({"QueryExecutionId": id})).await;
    let columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"].as_array().unwrap();
    let message = |n: usize| [&columns[n]["Name"], &columns[n]["Type"], &columns[n]["Precision"], &columns[n]["Scale"]];
    assert_eq!(message(0)[..2], [&json!("n"), &json!("integer")]);
    assert_eq!(message(1)[..2], [&json!("t"), &json!("varchar")]);
    assert_eq!(message(2), [&json!("d"), &json!("decimal"), &json!(5), &json!(2)]);
    assert_eq!(page["UpdateCount"], 0);
}

#[tokio::test]
async fn header_is_on_first_page_only() {
    let api = athena().await;
    let (id, execution) = api.run("SELECT n FROM UNNEST(sequence(1, 2500)) AS t (n)").await;
    assert_eq!(execution["Status"]["State"], "SUCCEEDED", "{execution}");
    let (mut rows, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let (page, next) = api.page(&id, token.as_deref(), 999).await;
        rows.extend(page);
        pages += 1;
        token = next;
        if token.is_none() {
            break;
        }
    }
    let expected: Vec<_> = std::iter::once("n".to_owned()).chain((1..=2500).map(|n: u32| n.to_string())).collect();
    assert_eq!((rows, pages), (expected, 3));
    let (_, message) = api.refused("GetQueryResults", json!({"QueryExecutionId": id, "NextToken": "x"})).await;
    assert!(message.starts_with("NextToken"), "{message}");
    let (_, message) = api.refused("GetQueryResults", json!({"QueryExecutionId": id, "MaxResults": 1001})).await;
    assert!(message.contains("1000"), "{message}");
}

#[tokio::test]
async fn show_answers_with_lines() {
    let api = athena().await;
    let (id, execution) = api.run("SHOW TABLES IN stedi 'customer_t*'").await;
    assert_eq!(execution["StatementType"], "UTILITY");
    let location = format!("athena/results/{id}.txt");
    assert_eq!(execution["ResultConfiguration"]["OutputLocation"], format!("s3://lake/{location}"));
    assert_eq!(api.text(&location).await.as_deref(), Some("customer_trusted\n"));
    assert_eq!(api.page(&id, None, 1000).await.0, ["customer_trusted"]);
}

#[tokio::test]
async fn statement_that_writes_lists_files() {
    let api = athena().await;
    let sql = "CREATE TABLE made WITH (format = 'PARQUET', external_location = 's3://lake/made/') AS SELECT 1 AS n";
    let (id, execution) = api.run(sql).await;
    assert_eq!(execution["Status"]["State"], "SUCCEEDED", "{execution}");
    let manifest = execution["Statistics"]["DataManifestLocation"].as_str().unwrap().to_owned();
    let files = api.text(manifest.strip_prefix("s3://lake/").unwrap()).await.unwrap();
    assert!(files.starts_with("s3://lake/made/"), "{files}");
    let page = api.call("GetQueryResults", json!({"QueryExecutionId": id})).await;
    assert_eq!((&page["UpdateCount"], &page["ResultSet"]["Rows"]), (&json!(1), &json!([])));
    assert_eq!(api.rows("SELECT n FROM made").await, ["n", "1"]);
}

#[tokio::test]
async fn results_survive_restart_and_expire_after_day() {
    let api = athena().await;
    let (id, _) = api.run("SELECT 7 AS n").await;
    let request = json!({"QueryExecutionId": id});
    let before = api.call("GetQueryExecution", request.clone()).await;
    let restarted = api.restart();
    assert_eq!(call(&restarted, "GetQueryExecution", request.clone()).await, before);
    assert_eq!(
        call(&restarted, "GetQueryResults", request.clone()).await,
        api.call("GetQueryResults", request.clone()).await
    );
    api.now_ms.store(NEW_YEAR_MS + DAY_MS + 1, Ordering::Relaxed);
    let restarted = api.restart();
    restarted.recover().await.unwrap();
    assert_eq!(api.keys("athena/").await, Vec::<String>::new());
    let (status, _) = restarted.answer("GetQueryExecution", request.to_string().as_bytes()).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn result_in_custom_location_stays() {
    let api = athena().await;
    let request = json!({"QueryString": "SELECT 7 AS n", "ResultConfiguration": {"OutputLocation": "s3://lake/mine"}});
    let id = api.start_with(request).await;
    api.end(&id).await;
    api.now_ms.store(NEW_YEAR_MS + DAY_MS + 1, Ordering::Relaxed);
    api.restart().recover().await.unwrap();
    assert_eq!(api.text(&format!("mine/{id}.csv")).await.as_deref(), Some("\"n\"\n\"7\"\n"));
}

#[tokio::test]
async fn result_in_protected_location_is_refused() {
    let api = athena().await;
    for location in ["s3://lake/customer/landing/", "s3://lake/accelerometer/trusted/x", "s3://lake/_state/"] {
        let request = json!({"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": location}});
        let (kind, message) = api.refused("StartQueryExecution", request).await;
        assert_eq!(kind, "InvalidRequestException");
        assert!(message.contains(location), "{message}");
    }
}
