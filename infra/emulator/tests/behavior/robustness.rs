//! Limits of requests, and unusual clients. `tests/clients/test_hostile.py` sends random requests.

use crate::support::{Server, cloud_with_bucket, send};
use emulator::Access;

#[tokio::test]
async fn requests_above_limits_are_refused() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let server = Server::start(&cloud, Access::Anyone).await;
    let status = async |head: &str, body: &[u8]| {
        let head = format!("{head}\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let answer = server.ask(&[head.as_bytes(), body].concat(), false).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status(&format!("PUT /bucket/{} HTTP/1.1", "k".repeat(1024)), b"").await, "200");
    assert_eq!(status(&format!("PUT /bucket/{} HTTP/1.1", "k".repeat(1025)), b"").await, "400");
    assert_eq!(status(&format!("PUT /bucket/key HTTP/1.1\r\nx: {}", "y".repeat(1 << 20)), b"").await, "431");
    let call = "POST / HTTP/1.1\r\nx-amz-target: AWSGlue.GetDatabase";
    assert_eq!(status(call, &vec![b' '; 4 << 20 | 1]).await, "413");
    let form = "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded";
    assert_eq!(status(form, &vec![b'a'; 64 << 10 | 1]).await, "413");
}

#[tokio::test]
async fn a_body_without_a_length_is_refused() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let server = Server::start(&cloud, Access::Anyone).await;
    let put = "PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let answer = server.ask(format!("{put}2\r\nok\r\n0\r\n\r\n").as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 411") && answer.contains("MissingContentLength"), "{answer}");
    assert_eq!(send(&cloud, "HEAD", "bucket/key", &[], "").await.0, 404);
}

#[tokio::test]
async fn old_and_unusual_clients_are_answered() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let server = Server::start(&cloud, Access::Anyone).await;
    for (put, get) in [
        ("PUT /bucket/key HTTP/1.0\r\nhost: localhost\r\n", "GET /bucket/key HTTP/1.0\r\nhost: localhost\r\n"),
        (
            "PUT http://localhost/bucket/key HTTP/1.1\r\nhost: localhost\r\n",
            "GET /key HTTP/1.1\r\nhost: BUCKET.localhost:1\r\n",
        ),
    ] {
        let put = format!("{put}content-length: 5\r\nconnection: close\r\n\r\nhello");
        let answer = server.ask(put.as_bytes(), false).await;
        assert!(answer.contains(" 200 OK"), "{put}: {answer}");
        let answer = server.ask(format!("{get}connection: close\r\n\r\n").as_bytes(), false).await;
        assert!(answer.ends_with("\r\n\r\nhello"), "{get}: {answer}");
    }
}

#[tokio::test]
async fn sts_answers_only_get_caller_identity() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let (status, answer) = send(&cloud, "POST", "", &form, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status, 200);
    assert!(answer.contains("<Arn>arn:aws:iam::000000000000:root</Arn>"), "{answer}");
    let (status, answer) = send(&cloud, "POST", "", &form, "Action=AssumeRole%3C&Version=2011-06-15").await;
    assert_eq!(status, 400);
    assert!(answer.contains("<Code>InvalidAction</Code>") && answer.contains("AssumeRole&lt;"), "{answer}");
}
