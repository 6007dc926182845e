//! Sends requests in process, and makes functions that record their calls.

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use emulator::{Access, Cloud, Handler, Subscription};
use futures::FutureExt;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Sends a request in process; returns status and body.
pub(crate) async fn send(
    cloud: &Cloud,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut request = Request::new(SdkBody::from(body));
    request.set_method(method).unwrap();
    request.set_uri(format!("http://localhost/{path}")).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name.to_string(), value.to_string());
    }
    let response = connector(cloud).call(request).await.unwrap();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn connector(cloud: &Cloud) -> SharedHttpConnector {
    use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings};
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    cloud.http_client().http_connector(&HttpConnectorSettings::builder().build(), &components)
}

/// A server of a cloud on a port of its own, which stops on demand or when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(cloud: &Cloud, access: Access) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = oneshot::channel();
        let cloud = cloud.clone();
        let stopped = tokio::spawn(async move { cloud.serve(listener, access, async { drop(stopping.await) }).await });
        Self { address, stop, stopped }
    }

    /// Ends the server; returns its task.
    pub(crate) fn stop(self) -> JoinHandle<std::io::Result<()>> {
        self.stop.send(()).unwrap();
        self.stopped
    }

    /// Sends bytes; returns the whole response, which is empty if the server only closed the connection. An incomplete
    /// request must end the connection.
    pub(crate) async fn ask(&self, bytes: &[u8], and_no_more: bool) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse, and close, before it has read everything.
        let _ = stream.write_all(bytes).await;
        if and_no_more {
            let _ = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Stores an object in the bucket `bucket`.
pub(crate) async fn put(cloud: &Cloud, key: &str, body: &str) {
    let (status, answer) = send(cloud, "PUT", &format!("bucket/{key}"), &[], body).await;
    assert_eq!(status, 200, "{answer}");
}

/// Creates the bucket `bucket`.
pub(crate) async fn create_bucket(cloud: &Cloud) {
    let (status, answer) = send(cloud, "PUT", "bucket", &[], "").await;
    assert_eq!(status, 200, "{answer}");
}

/// The messages of one call: id and S3 record.
pub(crate) type Batch = Vec<(String, Value)>;

/// The batches of the calls of a function: ids and decoded S3 records of the messages.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Batch>>>);

impl Calls {
    /// Returns a function that records its calls and answers batches with `answer`.
    pub(crate) fn answering(
        &self,
        answer: impl Fn(&[(String, Value)]) -> Result<String, String> + Send + Sync + 'static,
    ) -> Handler {
        let calls = self.clone();
        let answer = Arc::new(answer);
        Arc::new(move |event| {
            let (calls, answer) = (calls.clone(), Arc::clone(&answer));
            async move {
                let batch = records(&event);
                calls.0.lock().unwrap().push(batch.clone());
                answer(&batch)
            }
            .boxed()
        })
    }

    /// Returns a function that records its calls and succeeds.
    pub(crate) fn succeeding(&self) -> Handler {
        self.answering(|_| Ok(r#"{"batchItemFailures":[]}"#.into()))
    }

    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.0.lock().unwrap().clone()
    }

    /// The keys of all messages of all calls, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.batches().iter().flatten().map(|(_, record)| key(record)).collect()
    }
}

/// The messages of an SQS event: id and S3 record.
pub(crate) fn records(event: &str) -> Batch {
    let event: Value = serde_json::from_str(event).unwrap();
    let record = |message: &Value| {
        let body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
        let records = body["Records"].as_array().unwrap();
        assert_eq!(records.len(), 1);
        (message["messageId"].as_str().unwrap().to_owned(), records[0].clone())
    };
    event["Records"].as_array().unwrap().iter().map(record).collect()
}

/// The encoded key of an S3 record.
pub(crate) fn key(record: &Value) -> String {
    record["s3"]["object"]["key"].as_str().unwrap().to_owned()
}

/// A batch response with these messages as failures.
pub(crate) fn failures<'a>(ids: impl IntoIterator<Item = &'a String>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| serde_json::json!({"itemIdentifier": id})).collect();
    serde_json::json!({"batchItemFailures": ids}).to_string()
}

/// Opens a cloud on a new directory with the bucket `bucket`.
pub(crate) async fn cloud_with_bucket() -> (tempfile::TempDir, Cloud) {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    create_bucket(&cloud).await;
    (directory, cloud)
}

/// Subscribes one function to one prefix.
pub(crate) fn one(prefix: &str, handler: Handler) -> Vec<Subscription> {
    vec![Subscription::new("function", "bucket", [prefix], handler)]
}

/// A function with the prefix `in/` and one call at a time, which waits for permits.
pub(crate) struct Gated {
    pub(crate) subscriptions: Vec<Subscription>,
    /// Gives permits to calls.
    pub(crate) gate: Arc<Semaphore>,
    /// Has a permit for each call that has begun.
    pub(crate) started: Arc<Semaphore>,
}

impl Gated {
    pub(crate) fn new(inner: Handler, batch_size: usize) -> Self {
        let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (permits, calls) = (Arc::clone(&gate), Arc::clone(&started));
        let handler: Handler = Arc::new(move |event| {
            let (inner, permits, calls) = (Arc::clone(&inner), Arc::clone(&permits), Arc::clone(&calls));
            async move {
                calls.add_permits(1);
                permits.acquire().await.unwrap().forget();
                inner(event).await
            }
            .boxed()
        });
        let subscription = Subscription::new("function", "bucket", ["in/"], handler);
        Self { subscriptions: vec![Subscription { concurrency: 1, batch_size, ..subscription }], gate, started }
    }
}
