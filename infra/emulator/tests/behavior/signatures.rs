//! Signed requests: the examples of AWS's documentation, and requests that must be refused.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html> and the pages after it.

use crate::support::{Server, send};
use emulator::{Access, Cloud};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The examples were signed on 24 May 2013 at midnight.
const SIGNED_AT: u64 = 1_369_353_600;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A server with the bucket of the examples, whose clock shows the examples' time plus some seconds.
struct Examples {
    cloud: Cloud,
    server: Server,
    _directory: tempfile::TempDir,
}

async fn serve(seconds_later: i64) -> Examples {
    let directory = tempfile::tempdir().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(SIGNED_AT.checked_add_signed(seconds_later).unwrap());
    let cloud = Cloud::open_with_clock(directory.path(), Arc::new(move || now)).unwrap();
    assert_eq!(send(&cloud, "PUT", "examplebucket", &[], "").await.0, 200);
    assert_eq!(send(&cloud, "PUT", "examplebucket/test.txt", &[], "Welcome to Amazon S3.").await.0, 200);
    let access =
        Access::Signed { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into() };
    let server = Server::start(&cloud, access).await;
    Examples { cloud, server, _directory: directory }
}

impl Examples {
    /// Sends a request; returns the whole response.
    async fn ask(&self, head: &[&str], body: &[u8]) -> String {
        let head = format!("{}\r\nconnection: close\r\n\r\n", head.join("\r\n"));
        self.server.ask(&[head.as_bytes(), body].concat(), false).await
    }

    async fn ask_code(&self, head: &[&str], body: &[u8]) -> (u16, String) {
        code(&self.ask(head, body).await)
    }
}

/// Status and error code of a response.
fn code(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
    let within = |from: &str, to: &str| answer.split_once(from)?.1.split_once(to).map(|(code, _)| code.to_owned());
    (status, within("<Code>", "</Code>").or_else(|| within("\"__type\":\"", "\"")).unwrap_or_default())
}

fn authorization(scope: &str, headers: &str, signature: &str) -> String {
    format!(
        "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/{scope}/aws4_request, \
         SignedHeaders={headers}, Signature={signature}"
    )
}

fn s3(headers: &str, signature: &str) -> String {
    authorization("us-east-1/s3", headers, signature)
}

/// The documentation's first example.
fn get(signature: &str) -> Vec<String> {
    [
        "GET /test.txt HTTP/1.1",
        "host: examplebucket.s3.amazonaws.com",
        "range: bytes=0-9",
        &format!("x-amz-content-sha256: {EMPTY}"),
        "x-amz-date: 20130524T000000Z",
        &s3("host;range;x-amz-content-sha256;x-amz-date", signature),
    ]
    .map(String::from)
    .to_vec()
}

const GET: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

fn lines(head: &[String]) -> Vec<&str> {
    head.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_signed_get_is_answered() {
    let answer = serve(0).await.ask(&lines(&get(GET)), b"").await;
    assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("\r\n\r\nWelcome to"), "{answer}");
    assert!(answer.contains("x-amz-request-id: "), "{answer}");
}

#[tokio::test]
async fn a_signed_put_with_another_body_is_refused() {
    let served = serve(0).await;
    let headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class";
    let head = [
        "PUT /test%24file.text HTTP/1.1",
        "host: examplebucket.s3.amazonaws.com",
        "date: Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-date: 20130524T000000Z",
        "x-amz-storage-class: REDUCED_REDUNDANCY",
        "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "content-length: 21",
        &s3(headers, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ];
    let refused = served.ask_code(&head, b"Welcome to Amazon S4.").await;
    assert_eq!(refused, (400, "XAmzContentSHA256Mismatch".into()));
    assert_eq!(send(&served.cloud, "GET", "examplebucket/test$file.text", &[], "").await.0, 404);
    let answer = served.ask(&head, b"Welcome to Amazon S3.").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stored = send(&served.cloud, "GET", "examplebucket/test$file.text", &[], "").await;
    assert_eq!(stored, (200, "Welcome to Amazon S3.".into()));
}

/// The documentation's presigned address for one day.
const PRESIGNED: &str = "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
    &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1";

#[tokio::test]
async fn a_presigned_address_works_until_it_expires() {
    let host = "host: examplebucket.s3.amazonaws.com";
    for seconds in [-900, 0, 86_400] {
        let answer = serve(seconds).await.ask(&[PRESIGNED, host], b"").await;
        assert!(answer.ends_with("\r\n\r\nWelcome to Amazon S3."), "{seconds}: {answer}");
    }
    let answer = serve(86_401).await.ask(&[PRESIGNED, host], b"").await;
    assert_eq!(code(&answer), (403, "AccessDenied".into()));
    assert!(answer.contains("Request has expired"), "{answer}");
    let longer = PRESIGNED.replace("86400", "86401");
    let refused = serve(0).await.ask_code(&[&longer, host], b"").await;
    assert_eq!(refused, (403, "SignatureDoesNotMatch".into()));
    let put = PRESIGNED.replace("GET", "PUT");
    let refused = serve(0).await.ask_code(&[&put, host, "content-length: 0"], b"").await;
    assert_eq!(refused, (403, "SignatureDoesNotMatch".into()));
    let with_header = serve(0).await.ask_code(&[PRESIGNED, host, "x-amz-meta-a: b"], b"").await;
    assert_eq!(with_header, (403, "AccessDenied".into()));
}

/// Signature Version 2, which expires by the clock of the machine: in the year 2100.
#[tokio::test]
async fn an_address_of_version_2_is_for_one_key_and_method() {
    let (served, host) = (serve(0).await, "host: localhost");
    let signed = "GET /examplebucket/test.txt?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE\
                  &Signature=YVP2aYWML6vuD39GxaWkPuPrqac%3D&Expires=4102444800 HTTP/1.1";
    let answer = served.ask(&[signed, host], b"").await;
    assert!(answer.ends_with("\r\n\r\nWelcome to Amazon S3."), "{answer}");
    for (from, to, expected) in [
        ("test.txt", "other.txt", "SignatureDoesNotMatch"),
        ("GET", "DELETE", "SignatureDoesNotMatch"),
        ("7EXAMPLE", "7EXAMPLF", "InvalidAccessKeyId"),
        ("4102444800", "1175139620", "AccessDenied"),
        ("&Signature=YVP2aYWML6vuD39GxaWkPuPrqac%3D", "", "AccessDenied"),
    ] {
        assert_eq!(served.ask_code(&[&signed.replace(from, to), host], b"").await, (403, expected.into()), "{to}");
    }
    let (form, length) = ("content-type: multipart/form-data; boundary=x", "content-length: 5");
    let post = signed.replace("GET /examplebucket/test.txt", "POST /examplebucket");
    assert_eq!(served.ask_code(&[&post, host, form, length], b"--x--").await, (403, "AccessDenied".into()));
}

/// The documentation's upload in two chunks and a last one, each with its signature.
const CHUNKS: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];

fn chunks(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend([b'a'; 65536]);
    body.extend(format!("\r\n400;chunk-signature={second}\r\n").bytes());
    body.extend([b'a'; 1024]);
    body.extend(format!("\r\n0;chunk-signature={last}\r\n{end}").bytes());
    body
}

#[tokio::test]
async fn a_signed_chunk_with_other_bytes_is_refused() {
    let served = serve(0).await;
    let headers = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
                   x-amz-storage-class";
    let head = [
        "PUT /examplebucket/chunkObject.txt HTTP/1.1",
        "host: s3.amazonaws.com",
        "x-amz-date: 20130524T000000Z",
        "x-amz-storage-class: REDUCED_REDUNDANCY",
        "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding: aws-chunked",
        "x-amz-decoded-content-length: 66560",
        "content-length: 66824",
        &s3(headers, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
    ];
    let whole = chunks(CHUNKS, "\r\n");
    for at in [100, 65_536 + 300, 66_700] {
        let mut other = whole.clone();
        other[at] = b'b';
        assert_eq!(served.ask_code(&head, &other).await, (403, "SignatureDoesNotMatch".into()), "{at}");
    }
    let swapped = chunks([CHUNKS[1], CHUNKS[0], CHUNKS[2]], "\r\n");
    assert_eq!(served.ask_code(&head, &swapped).await, (403, "SignatureDoesNotMatch".into()));
    let mut broken = whole.clone();
    broken[..5].copy_from_slice(b"zzzzz");
    assert_eq!(served.ask_code(&head, &broken).await, (400, "IncompleteBody".into()));
    assert_eq!(send(&served.cloud, "GET", "examplebucket/chunkObject.txt", &[], "").await.0, 404);
    assert_eq!(served.ask_code(&head, &whole).await, (200, String::new()));
    let (_, stored) = send(&served.cloud, "GET", "examplebucket/chunkObject.txt", &[], "").await;
    assert_eq!(stored, "a".repeat(66_560));
}

#[tokio::test]
async fn a_signed_trailer_is_verified() {
    let served = serve(0).await;
    let headers = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
                   x-amz-storage-class;x-amz-trailer";
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let trailer = "x-amz-checksum-crc32c:sOO8/Q==\r\n\
                   x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
    for (trailer, expected) in [
        (trailer.to_owned(), (200, "")),
        (trailer.replace("sOO8", "sOO9"), (403, "SignatureDoesNotMatch")),
        (trailer.replace("d81f", "d81e"), (403, "SignatureDoesNotMatch")),
        ("\r\n".into(), (400, "MalformedTrailerError")),
    ] {
        let body = chunks(signatures, &trailer);
        let head = [
            "PUT /examplebucket/chunkObject.txt HTTP/1.1",
            "host: s3.amazonaws.com",
            "x-amz-date: 20130524T000000Z",
            "x-amz-storage-class: REDUCED_REDUNDANCY",
            "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding: aws-chunked",
            "x-amz-decoded-content-length: 66560",
            "x-amz-trailer: x-amz-checksum-crc32c",
            &format!("content-length: {}", body.len()),
            &s3(headers, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"),
        ];
        assert_eq!(served.ask_code(&head, &body).await, (expected.0, expected.1.to_owned()), "{trailer}");
    }
}

#[tokio::test]
async fn requests_with_a_wrong_key_time_or_scope_are_refused() {
    let served = serve(0).await;
    let unsigned = ["GET /examplebucket/test.txt HTTP/1.1", "host: localhost"];
    assert_eq!(served.ask_code(&unsigned, b"").await, (403, "AccessDenied".into()));
    let other = get(&GET.replace("f0e8", "f0e9"));
    assert_eq!(served.ask_code(&lines(&other), b"").await, (403, "SignatureDoesNotMatch".into()));
    let changes = [
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF", (403, "InvalidAccessKeyId")),
        ("bytes=0-9", "bytes=0-8", (403, "SignatureDoesNotMatch")),
        ("us-east-1/s3", "eu-west-1/s3", (400, "AuthorizationHeaderMalformed")),
        ("us-east-1/s3", "us-east-1/glue", (400, "AuthorizationHeaderMalformed")),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", (400, "InvalidRequest")),
        ("AWS4-HMAC-SHA256 Credential=", "AWS AKIAIOSFODNN7EXAMPLE:", (400, "InvalidRequest")),
        ("aws4_request", "aws4", (400, "AuthorizationHeaderMalformed")),
        ("20130524T000000Z", "20130525T000000Z", (400, "AuthorizationHeaderMalformed")),
        ("SignedHeaders=host;", "SignedHeaders=", (403, "AccessDenied")),
        ("Signature=f0e8", "Signature=zzzz", (403, "SignatureDoesNotMatch")),
        ("x-amz-content-sha256: e3b0", "x-amz-content-sha256: e3b1", (403, "SignatureDoesNotMatch")),
        ("x-amz-date: ", "x-amz-meta-added: 1\r\nx-amz-date: ", (403, "AccessDenied")),
        ("x-amz-date: ", "x-amz-security-token: t\r\nx-amz-date: ", (400, "InvalidToken")),
        (&format!("x-amz-content-sha256: {EMPTY}"), "accept: */*", (400, "InvalidRequest")),
    ];
    for (from, to, expected) in changes {
        let head = get(GET).join("\r\n");
        assert!(head.contains(from));
        let refused = served.ask_code(&[&head.replace(from, to)], b"").await;
        assert_eq!(refused, (expected.0, expected.1.to_owned()), "{from} -> {to}");
    }
    for seconds in [-901, 901] {
        let refused = serve(seconds).await.ask_code(&lines(&get(GET)), b"").await;
        assert_eq!(refused, (403, "RequestTimeTooSkewed".into()), "{seconds}");
    }
}

#[tokio::test]
async fn json_services_and_sts_refuse_in_their_protocols() {
    let served = serve(0).await;
    let head = ["POST / HTTP/1.1", "host: localhost", "x-amz-target: AWSGlue.GetDatabases", "content-length: 2"];
    let refused = served.ask_code(&head, b"{}").await;
    assert_eq!(refused, (400, "MissingAuthenticationTokenException".into()));
    let signed = |key: &str| {
        authorization("us-east-1/glue", "host;x-amz-date;x-amz-target", &"0".repeat(64))
            .replace("AKIAIOSFODNN7EXAMPLE", key)
    };
    for (key, expected) in
        [("OTHER", "UnrecognizedClientException"), ("AKIAIOSFODNN7EXAMPLE", "InvalidSignatureException")]
    {
        let signed = signed(key);
        let head = [&head[..], &["x-amz-date: 20130524T000000Z", &signed]].concat();
        assert_eq!(served.ask_code(&head, b"{}").await, (400, expected.into()));
    }
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let length = format!("content-length: {}", form.len());
    let kind = "content-type: application/x-www-form-urlencoded; charset=utf-8";
    let head = ["POST / HTTP/1.1", "host: localhost", kind, &length];
    assert_eq!(served.ask_code(&head, form.as_bytes()).await, (403, "MissingAuthenticationToken".into()));
}
