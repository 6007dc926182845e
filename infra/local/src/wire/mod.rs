//! One endpoint for S3, Glue and what else it is given, reached in process or over TCP.

mod chunked;
pub(crate) mod hosts;
pub(crate) mod in_process;
pub(crate) mod server;
mod signed;
mod sts;
mod unsigned;

use crate::clock::Clock;
use crate::glue::Glue;
use crate::requests::{Counters, Kind};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use s3s::Body;
use s3s::service::S3Service;
use serde_json::json;
use signed::{Distrust, distrust};
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

/// What the requests of a wire must be signed with. Nobody is kept out by a secret that is printed; it is what clients
/// expect of S3, and shows them whether they sign well.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// What a request names.
    pub id: String,
    /// What it is signed with.
    pub secret: String,
}

/// Answers the requests that are signed.
pub(crate) struct Guard {
    /// Checks the signatures of S3 requests.
    pub(crate) s3: S3Service,
    pub(crate) key: AccessKey,
    pub(crate) clock: Clock,
}

impl Endpoint {
    /// Answers a request, which must be signed if there is a guard.
    pub(crate) async fn answer(&self, request: Request<Body>, guard: Option<&Guard>) -> Response<Body> {
        self.counters.count(kind(&request));
        let target = request.headers().get("x-amz-target").map(|target| String::from_utf8_lossy(target.as_bytes()));
        let answer = match target {
            Some(target) => {
                let target = target.into_owned();
                self.json(&target, request, guard).await
            }
            None if sts::is_meant(&request) => sts::answer(request, guard).await,
            None => self.s3(request, guard).await,
        };
        answer.unwrap_or_else(|error| {
            tracing::error!(error, "a request could not be answered");
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    async fn s3(&self, request: Request<Body>, guard: Option<&Guard>) -> Result<Response<Body>, s3s::StdError> {
        let is_head = request.method() == Method::HEAD;
        let mut response = match guard {
            Some(guard) => guard.s3.call(request).await?,
            None => self.s3.call(unsigned::accept(request)).await?,
        };
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            // HTTP ends such an answer after its headers. Nothing does so on the in-process wire, and with a body the
            // SDK does not recognise what they say.
            *response.body_mut() = Body::empty();
        }
        Ok(response)
    }

    async fn json(
        &self,
        target: &str,
        request: Request<Body>,
        guard: Option<&Guard>,
    ) -> Result<Response<Body>, s3s::StdError> {
        let (status, answer) = match called(request, guard).await {
            Err(Distrust { code, message }) => {
                (StatusCode::BAD_REQUEST, json!({"__type": code, "message": message}).to_string())
            }
            Ok(body) => match self.service(target) {
                Some((handler, operation)) => handler(operation.to_owned(), body).await,
                None => self.glue.answer(target, &body),
            },
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

/// The body of a call that may be answered: a POST to `/`, signed if it must be.
async fn called(request: Request<Body>, guard: Option<&Guard>) -> Result<Bytes, Distrust> {
    let (head, mut body) = request.into_parts();
    let is_call = head.method == Method::POST && head.uri.path() == "/" && head.uri.query().is_none_or(str::is_empty);
    if !is_call {
        let message = format!("a call is a POST to /, this is a {} to {}", head.method, head.uri.path());
        return Err(distrust("UnknownOperationException", message));
    }
    // Too long, or broken off: the client's, either way.
    let body = body.store_all_limited(JSON_BYTES_MAX).await;
    let body = body.map_err(|error| distrust("SerializationException", format!("the body cannot be read: {error}")))?;
    if let Some(guard) = guard {
        signed::check(&head.headers, &body, &guard.key, (guard.clock)())?;
    }
    Ok(body)
}

/// Which counter a request belongs to, told by its shape: one that is refused later counts, too.
fn kind(request: &Request<Body>) -> Kind {
    if let Some(target) = request.headers().get("x-amz-target") {
        return if target.as_bytes().starts_with(b"AWSGlue.") { Kind::Glue } else { Kind::Other };
    }
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let path = request.uri().path().trim_start_matches('/');
    let key = if hosts::bucket(host).is_some() { path } else { path.split_once('/').map_or("", |(_, key)| key) };
    let has_key = !key.is_empty();
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
