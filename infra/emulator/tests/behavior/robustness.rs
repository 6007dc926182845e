//! Every invalid request gets an error response, and the server goes on.

use crate::support::{cloud_with_bucket, send};
use emulator::{Access, Cloud};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves without access control until the set is dropped.
async fn serve(cloud: &Cloud) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cloud, mut server) = (cloud.clone(), JoinSet::new());
    server.spawn(async move { cloud.serve(listener, Access::Anyone, std::future::pending()).await.unwrap() });
    (address, server)
}

/// Sends bytes; returns the whole response, which is empty if the server only closed the connection.
async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    talk(address, bytes, false).await
}

/// Like `ask`; with `and_no_more` it closes its side, as an incomplete request must.
async fn talk(address: SocketAddr, bytes: &[u8], and_no_more: bool) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // The server may refuse, and close, before it has read everything.
    let _ = stream.write_all(bytes).await;
    if and_no_more {
        let _ = stream.shutdown().await;
    }
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const METHODS: [&str; 10] = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO", ""];
const PATHS: [&str; 19] = [
    "/",
    "/bucket",
    "/bucket/",
    "/bucket/key",
    "/bucket/%zz",
    "/bucket/%ff",
    "//",
    "/..",
    "*",
    "http://localhost/bucket/key",
    "/bucket?delete",
    "/bucket/key?uploads",
    "/bucket/key?partNumber=x&uploadId=y",
    "/bucket?list-type=2&max-keys=x&continuation-token=%00",
    "/bucket?list-type=2&list-type=2&encoding-type=x",
    "/bucket?location",
    "/bucket/key?X-Amz-Signature=1",
    "/?Action=x",
    "/bucket/key?%ff=%zz",
];
const VERSIONS: [&str; 4] = ["HTTP/1.1", "HTTP/1.0", "HTTP/9", ""];
const HEADERS: [&str; 23] = [
    "host: localhost",
    "host: a.localhost",
    "host: bucket.localhost",
    "host: \u{ff}",
    "content-length: 5",
    "content-length: -1",
    "content-length: 99999999999999999999",
    "transfer-encoding: chunked",
    "x-amz-target: AWSGlue.GetDatabase",
    "x-amz-target: \u{ff}",
    "content-type: application/x-www-form-urlencoded",
    "content-type: multipart/form-data; boundary=x",
    "authorization: AWS4-HMAC-SHA256 x",
    "x-amz-content-sha256: STREAMING-x",
    "x-amz-decoded-content-length: 5",
    "x-amz-decoded-content-length: x",
    "x-amz-trailer: x-amz-checksum-crc32",
    "range: bytes=9-1",
    "if-match: \"",
    "if-modified-since: x",
    "content-md5: x",
    "x-amz-copy-source: %zz",
    "x-amz-checksum-crc32: x",
];

#[tokio::test]
async fn random_requests_never_fail_internally() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let (address, _server) = serve(&cloud).await;
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..3000 {
        let mut pick = |all: &[&str]| all[random.usize(..all.len())].to_owned();
        let mut request = format!("{} {} {}\r\n", pick(&METHODS), pick(&PATHS), pick(&VERSIONS));
        for _ in 0..random.usize(..6) {
            request += &format!("{}\r\n", HEADERS[random.usize(..HEADERS.len())]);
        }
        request += "connection: close\r\n\r\n";
        // One byte per character, as in HTTP.
        let mut bytes: Vec<_> = request.chars().map(|char| char as u8).collect();
        bytes.extend((0..random.usize(..20)).map(|_| random.u8(..)));
        if random.u8(..) < 25 {
            bytes.truncate(random.usize(..bytes.len()));
        }
        let answer = talk(address, &bytes, true).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // 501 says that something is not implemented.
        assert!(!status.starts_with('5') || status == "501", "{request}\n{answer}");
    }
    assert_eq!(send(&cloud, "HEAD", "bucket", &[], "").await.0, 200);
}

#[tokio::test]
async fn requests_above_limits_are_refused() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let (address, _server) = serve(&cloud).await;
    let status = async |head: &str, body: &[u8]| {
        let head = format!("{head}\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let answer = ask(address, &[head.as_bytes(), body].concat()).await;
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
    let (address, _server) = serve(&cloud).await;
    let put = "PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let answer = ask(address, format!("{put}2\r\nok\r\n0\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 411") && answer.contains("MissingContentLength"), "{answer}");
    assert_eq!(send(&cloud, "HEAD", "bucket/key", &[], "").await.0, 404);
}

#[tokio::test]
async fn old_and_unusual_clients_are_answered() {
    let (_directory, cloud) = cloud_with_bucket().await;
    let (address, _server) = serve(&cloud).await;
    for (put, get) in [
        ("PUT /bucket/key HTTP/1.0\r\nhost: localhost\r\n", "GET /bucket/key HTTP/1.0\r\nhost: localhost\r\n"),
        (
            "PUT http://localhost/bucket/key HTTP/1.1\r\nhost: localhost\r\n",
            "GET /key HTTP/1.1\r\nhost: BUCKET.localhost:1\r\n",
        ),
    ] {
        let answer = ask(address, format!("{put}content-length: 5\r\nconnection: close\r\n\r\nhello").as_bytes()).await;
        assert!(answer.contains(" 200 OK"), "{put}: {answer}");
        let answer = ask(address, format!("{get}connection: close\r\n\r\n").as_bytes()).await;
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
