//! One endpoint for S3 and Glue, reached in process or over TCP.

mod chunked;
pub(crate) mod in_process;
pub(crate) mod server;
mod unsigned;

use crate::glue::Glue;
use crate::requests::{Counters, Kind};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use s3s::Body;
use s3s::service::S3Service;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Bounds the JSON of a call; a batch of 100 partitions is far smaller, and so is the longest statement.
const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Answers the calls of one more service: operation and body → HTTP status and JSON document.
pub type JsonHandler = Arc<dyn Fn(String, Bytes) -> BoxFuture<'static, (StatusCode, String)> + Send + Sync>;

/// Answers every request of either wire.
pub(crate) struct Endpoint {
    pub(crate) s3: S3Service,
    pub(crate) glue: Glue,
    pub(crate) counters: Arc<Counters>,
    /// By the name before the dot of `X-Amz-Target`.
    pub(crate) services: RwLock<BTreeMap<&'static str, JsonHandler>>,
}

impl Endpoint {
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.counters.count(kind(&request));
        let answer = match request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()) {
            Some(target) => {
                let target = target.to_owned();
                self.json(&target, request.into_body()).await
            }
            None => self.s3(request).await,
        };
        answer.unwrap_or_else(|error| {
            tracing::error!(error, "a request could not be answered");
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    async fn s3(&self, request: Request<Body>) -> Result<Response<Body>, s3s::StdError> {
        let is_head = request.method() == Method::HEAD;
        let mut response = self.s3.call(unsigned::accept(request)).await?;
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            // HTTP ends such an answer after its headers. Nothing does so on the in-process wire, and with a body the
            // SDK does not recognise what they say.
            *response.body_mut() = Body::empty();
        }
        Ok(response)
    }

    async fn json(&self, target: &str, mut body: Body) -> Result<Response<Body>, s3s::StdError> {
        let body = body.store_all_limited(JSON_BYTES_MAX).await?;
        let (status, answer) = match self.service(target) {
            Some((handler, operation)) => handler(operation.to_owned(), body).await,
            None => self.glue.answer(target, &body),
        };
        let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
        Ok(response.body(Body::from(answer))?)
    }

    /// Who answers calls of `target`, such as `AmazonAthena.GetWorkGroup`, and the operation's name; none if it is Glue,
    /// or nobody.
    fn service<'a>(&self, target: &'a str) -> Option<(JsonHandler, &'a str)> {
        let (service, operation) = target.split_once('.')?;
        // A panic of another holder left nothing half done in here.
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        Some((Arc::clone(services.get(service)?), operation))
    }
}

/// Which counter a request belongs to, told by its shape: one that is refused later counts, too.
fn kind(request: &Request<Body>) -> Kind {
    if let Some(target) = request.headers().get("x-amz-target") {
        return if target.as_bytes().starts_with(b"AWSGlue.") { Kind::Glue } else { Kind::Other };
    }
    let has_key = request.uri().path().trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET if has_key => Kind::Get,
        Method::GET if query.contains("list-type=2") => Kind::List,
        Method::HEAD => Kind::Head,
        Method::PUT if has_key => Kind::Put,
        Method::DELETE if has_key => Kind::Delete,
        Method::POST if query.split('&').any(|part| part == "delete" || part == "delete=") => Kind::Delete,
        _ => Kind::Other,
    }
}
