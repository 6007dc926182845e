//! One endpoint for S3, Glue and other JSON services, reached in process or over TCP.
//!
//! What comes in is verified here, once for all services; they see requests without signatures, with the bucket in the
//! path, and with bodies as they are meant.

pub(crate) mod access;
mod address;
pub(crate) mod body;
mod checksum;
mod chunked;
mod fault;
pub(crate) mod in_process;
pub(crate) mod json;
pub(crate) mod server;
mod signature;
mod sts;
mod unsigned;

use crate::clock::Clock;
use crate::glue::Glue;
use crate::requests::{Counters, Kind};
use access::Access;
use body::Faults;
use fault::{Fault, Protocol};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Body as _;
use json::Handlers;
use s3s::Body;
use s3s::service::S3Service;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Bounds the body of a JSON call; a batch of 100 partitions is far smaller.
const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

/// Answers every request of either wire.
pub(crate) struct Endpoint {
    pub(crate) s3: S3Service,
    pub(crate) glue: Glue,
    pub(crate) handlers: Weak<Handlers>,
    pub(crate) counters: Arc<Counters>,
    /// Numbers the answers, so that a client can tell of one.
    pub(crate) answered: AtomicU64,
    pub(crate) clock: Clock,
}

impl Endpoint {
    /// Answers a request of somebody who has `access`. `faults` is where the body tells what is wrong with it.
    async fn answer(&self, mut request: Request<Body>, access: &Access, faults: Faults) -> Response<Body> {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        // HTTP/2 has the host's name in the address alone.
        if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            request.headers_mut().entry(HOST).or_insert(host);
        }
        let (protocol, is_head) = (protocol(&request), request.method() == Method::HEAD);
        let waits = request.headers().contains_key(EXPECT) && request.version() < Version::HTTP_2;
        let is_empty = request.body().is_end_stream();
        let answer = match protocol {
            Protocol::S3 => self.s3(request, access, &faults).await,
            Protocol::Json => self.json(request, access).await,
            Protocol::Sts => self.sts(request, access, number).await,
        };
        let mut response = match (faults.get().cloned(), answer) {
            // A fault of the body is why the service refused.
            (Some(fault), _) | (None, Err(fault)) => fault.response(protocol),
            (None, Ok(response)) => response,
        };
        if waits && (is_empty || !response.status().is_success()) {
            // The client may have got this instead of the word to go on. What it then does with the connection differs, and
            // botocore takes the next answer on it for this one.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if is_head && response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
            // `s3s` knows only the get of a range.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            // HTTP ends such an answer after its headers. Nothing does so on the in-process wire, and with a body the
            // SDK does not recognise what they say.
            *response.body_mut() = Body::empty();
        }
        let (name, id) = match protocol {
            Protocol::S3 => ("x-amz-request-id", format!("{number:016X}")),
            Protocol::Json | Protocol::Sts => ("x-amzn-requestid", format!("00000000-0000-0000-0000-{number:012x}")),
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(name, id);
        }
        response
    }

    async fn s3(&self, request: Request<Body>, access: &Access, faults: &Faults) -> Result<Response<Body>, Fault> {
        let (parts, body) = request.into_parts();
        let verified = signature::of_s3(&parts, access, (self.clock)());
        let request = address::with_bucket_in_path(Request::from_parts(parts, body));
        // What is refused counts, too.
        self.counters.count(kind(&request));
        let payload = match verified {
            Ok(payload) => payload,
            Err(fault) => {
                // Who asks first whether to send a body sends none.
                if !request.headers().contains_key(EXPECT) {
                    body::drain(request.into_body()).await;
                }
                return Err(fault);
            }
        };
        let request = body::receive(unsigned::without_signature(request), payload, faults)?;
        if request.headers().contains_key(TRANSFER_ENCODING) && !request.headers().contains_key(CONTENT_LENGTH) {
            return Err(Fault::NoLength);
        }
        self.s3.call(request).await.map_err(|error| Fault::Internal(format!("{error:?}")))
    }

    async fn json(&self, request: Request<Body>, access: &Access) -> Result<Response<Body>, Fault> {
        let (parts, body) = request.into_parts();
        let target = parts.headers.get("x-amz-target").map(HeaderValue::as_bytes).unwrap_or_default();
        let target = String::from_utf8_lossy(target);
        let (service, operation) = json::parts(&target);
        self.counters.count(if service == json::GLUE { Kind::Glue } else { Kind::Other });
        let body = body::whole(body, JSON_BODY_BYTES_MAX).await?;
        let signed_for = json::signing_name(service);
        signature::of_call(&parts, access, &signed_for, &body, Protocol::Json, (self.clock)())?;
        let (status, answer) = match self.handlers.upgrade().and_then(|handlers| handlers.of(service)) {
            Some(handler) => handler(operation.to_owned(), body).await,
            None if service == json::GLUE => self.glue.answer(&target, &body),
            None => json::unknown(&target),
        };
        Ok(document(status, "application/x-amz-json-1.1", answer))
    }

    async fn sts(&self, request: Request<Body>, access: &Access, number: u64) -> Result<Response<Body>, Fault> {
        self.counters.count(Kind::Other);
        let (parts, body) = request.into_parts();
        let body = body::whole(body, sts::FORM_BYTES_MAX).await?;
        signature::of_call(&parts, access, "sts", &body, Protocol::Sts, (self.clock)())?;
        let (status, answer) = sts::answer(&String::from_utf8_lossy(&body), number);
        Ok(document(status, "text/xml", answer))
    }
}

fn document(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Whom a request is for.
fn protocol(request: &Request<Body>) -> Protocol {
    let is_form = || {
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        kind.len() >= FORM.len() && kind[..FORM.len()].eq_ignore_ascii_case(FORM.as_bytes())
    };
    if request.headers().contains_key("x-amz-target") {
        Protocol::Json
    } else if request.method() == Method::POST && request.uri().path() == "/" && is_form() {
        Protocol::Sts
    } else {
        Protocol::S3
    }
}

/// Which counter a request to S3 belongs to, told by its shape: one that is refused later counts, too.
fn kind(request: &Request<Body>) -> Kind {
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
