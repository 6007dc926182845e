//! Opening, locking, counting, serving.

use crate::support::{Server, cloud_with_bucket, put, send};
use emulator::{Access, Cloud, OpenError, Requests};
use futures::FutureExt;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    let error = Cloud::open(directory.path()).unwrap_err();
    assert!(matches!(&error, OpenError::InUse(path) if path == directory.path()));
    assert!(error.to_string().contains("is already open"), "{error}");
    // A client keeps it open, too, because it can write.
    let client = cloud.http_client();
    drop(cloud);
    assert!(matches!(Cloud::open(directory.path()), Err(OpenError::InUse(_))));
    drop(client);
    Cloud::open(directory.path()).unwrap();
}

#[tokio::test]
async fn an_unusable_directory_is_an_error_with_a_cause() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Cloud::open(file.path()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn objects_and_catalog_survive_reopening() {
    let (directory, cloud) = cloud_with_bucket().await;
    send(&cloud, "PUT", "bucket/k", &[("content-type", "text/plain"), ("x-amz-meta-a", "b")], "hello").await;
    let glue = async |cloud: &Cloud, operation: &str, body: &str| {
        send(cloud, "POST", "", &[("x-amz-target", &format!("AWSGlue.{operation}"))], body).await
    };
    let calls = [
        ("CreateDatabase", r#"{"DatabaseInput":{"Name":"photos"}}"#),
        ("CreateTable", r#"{"DatabaseName":"photos","TableInput":{"Name":"T","PartitionKeys":[{"Name":"dt"}]}}"#),
        (
            "BatchCreatePartition",
            r#"{"DatabaseName":"photos","TableName":"t","PartitionInputList":[{"Values":["1"]},{"Values":["2"]}]}"#,
        ),
        ("DeletePartition", r#"{"DatabaseName":"photos","TableName":"t","PartitionValues":["1"]}"#),
    ];
    for (operation, body) in calls {
        assert_eq!(glue(&cloud, operation, body).await.0, 200, "{operation}");
    }
    drop(cloud);
    // A kill during an append leaves half a line.
    let partitions = directory.path().join(".emulator/glue/photos/t/partitions.jsonl");
    let mut torn = std::fs::read(&partitions).unwrap();
    torn.extend(br#"{"Put":{"Val"#);
    std::fs::write(&partitions, torn).unwrap();

    let cloud = Cloud::open(directory.path()).unwrap();
    let list = r#"{"DatabaseName":"photos","TableName":"t"}"#;
    let (status, answer) = glue(&cloud, "GetPartitions", list).await;
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let values: Vec<_> = answer["Partitions"].as_array().unwrap().iter().map(|p| p["Values"][0].clone()).collect();
    assert_eq!(values, ["2"]);
    let (_, table) = glue(&cloud, "GetTable", r#"{"DatabaseName":"PHOTOS","Name":"t"}"#).await;
    assert!(table.contains(r#""PartitionKeys":[{"Name":"dt"}]"#), "{table}");
    assert_eq!(send(&cloud, "GET", "bucket/k", &[], "").await, (200, "hello".into()));
}

#[tokio::test]
async fn requests_are_counted_by_kind_including_refused_ones() {
    let (_directory, cloud) = cloud_with_bucket().await;
    put(&cloud, "a/b", "").await;
    assert_eq!(send(&cloud, "PUT", "bucket/a/b", &[("if-none-match", "*")], "").await.0, 412);
    assert_eq!(send(&cloud, "GET", "bucket/none", &[], "").await.0, 404);
    assert_eq!(send(&cloud, "HEAD", "bucket/a/b", &[], "").await.0, 200);
    assert_eq!(send(&cloud, "GET", "bucket?list-type=2", &[], "").await.0, 200);
    assert_eq!(send(&cloud, "DELETE", "bucket/a/b", &[], "").await.0, 204);
    assert_eq!(send(&cloud, "POST", "", &[("x-amz-target", "AWSGlue.Unknown")], "{}").await.0, 400);
    let expected = Requests { get: 1, head: 1, put: 2, list: 1, delete: 1, glue: 1, other: 1 };
    assert_eq!(cloud.requests(), expected);
}

#[tokio::test]
async fn listeners_are_called_for_every_stored_object() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let stored = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&stored);
    cloud.on_stored(move |object| record.lock().unwrap().push(object.clone()));
    put(&cloud, "a%20b", "hello").await;
    send(&cloud, "PUT", "bucket/a%20b", &[("if-none-match", "*")], "").await;
    let stored = stored.lock().unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].bucket.as_str(), stored[0].key.as_str(), stored[0].size), ("bucket", "a b", 5));
    assert_eq!(stored[0].etag, "5d41402abc4b2a76b9719d911017c592");
}

#[tokio::test]
async fn bucket_names_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    for name in [".emulator", "..", "ab", "Upper", "under_score", "%2E%2E"] {
        assert_eq!(send(&cloud, "PUT", name, &[], "").await.0, 400, "{name}");
        assert_eq!(send(&cloud, "GET", &format!("{name}/lock"), &[], "").await.0, 400, "{name}");
    }
}

#[tokio::test]
async fn a_server_finishes_the_requests_in_progress_and_stops() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let server = Server::start(&cloud, Access::Anyone).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /bucket/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The response to `Expect` shows that the request is in progress.
    let mut buffer = vec![0; 1024];
    let read = slow.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100"));
    let stopped = server.stop();
    slow.write_all(b"0123456789").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopped.await.unwrap().unwrap();
    assert_eq!(send(&cloud, "GET", "bucket/slow", &[], "").await, (200, "0123456789".into()));
}

/// A client that disconnects during a body leaves no object and no temporary file.
#[tokio::test]
async fn an_incomplete_body_is_not_stored() {
    let (directory, cloud) = cloud_with_bucket().await;
    let server = Server::start(&cloud, Access::Anyone).await;
    let half = "PUT /bucket/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234";
    // The connection ends, with an error answer or without.
    assert!(!server.ask(half.as_bytes(), true).await.starts_with("HTTP/1.1 200"));
    server.stop().await.unwrap().unwrap();
    assert_eq!(send(&cloud, "GET", "bucket/half", &[], "").await.0, 404);
    assert_eq!(std::fs::read_dir(directory.path().join(".emulator/tmp")).unwrap().count(), 0);
}

/// Another JSON service, whose handler owns a client of the cloud.
#[tokio::test]
async fn a_json_service_calls_its_handler_and_does_not_keep_the_directory_open() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    let unknown = send(&cloud, "POST", "", &[("x-amz-target", "Other.Do")], "{}").await;
    assert_eq!(unknown.0, 400);
    assert!(unknown.1.contains("UnknownOperationException") && unknown.1.contains("Other.Do"), "{}", unknown.1);
    let client = cloud.http_client();
    let handler: emulator::JsonHandler = Arc::new(move |operation, body| {
        let client = client.clone();
        async move {
            let _used = client;
            (http::StatusCode::CONFLICT, format!("{operation} {}", String::from_utf8_lossy(&body)))
        }
        .boxed()
    });
    cloud.serve_json("Other", handler);
    let answer = send(&cloud, "POST", "", &[("x-amz-target", "Other.Do")], "{}").await;
    assert_eq!(answer, (409, "Do {}".into()));
    assert_eq!(cloud.requests(), Requests { other: 2, ..Requests::default() });
    drop(cloud);
    Cloud::open(directory.path()).unwrap();
}
