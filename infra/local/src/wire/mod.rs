//! One endpoint for S3 and Glue, reached in process or over TCP.

mod chunked;
pub(crate) mod in_process;
pub(crate) mod json;
pub(crate) mod server;
mod unsigned;

use crate::glue::Glue;
use crate::requests::{Counters, Kind};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use json::Handlers;
use s3s::Body;
use s3s::service::S3Service;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Bounds the body of a JSON call; a batch of 100 partitions is far smaller.
const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Answers every request of either wire.
pub(crate) struct Endpoint {
    pub(crate) s3: S3Service,
    pub(crate) glue: Glue,
    pub(crate) handlers: Weak<Handlers>,
    pub(crate) counters: Arc<Counters>,
    /// Numbers the answers, so that a client can tell of one.
    pub(crate) answered: AtomicU64,
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

    async fn json(&self, target: &str, body: Body) -> Result<Response<Body>, s3s::StdError> {
        let (status, answer) = match read(body, JSON_BODY_BYTES_MAX).await? {
            Some(body) => {
                let (service, operation) = json::parts(target);
                match self.handlers.upgrade().and_then(|handlers| handlers.of(service)) {
                    Some(handler) => handler(operation.to_owned(), body).await,
                    None if service == "AWSGlue" => self.glue.answer(target, &body),
                    None => json::unknown(target),
                }
            }
            None => {
                let message = format!("the body has more than {JSON_BODY_BYTES_MAX} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, json::error("RequestEntityTooLargeException", &message))
            }
        };
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amzn-requestid", format!("00000000-0000-0000-0000-{number:012x}"));
        Ok(response.body(Body::from(answer))?)
    }
}

/// The whole body, or `None` if it is larger than `bytes_max`.
async fn read(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>, s3s::StdError> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await.transpose()? {
        if chunk.len() > bytes_max - whole.len() {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.freeze()))
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
