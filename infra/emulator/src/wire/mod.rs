//! One endpoint for S3, Glue, STS and other JSON services, in process or over TCP.
//!
//! It verifies requests for all services. They get requests without signatures, with the bucket in the path, and with
//! decoded bodies.

pub(crate) mod access;
mod address;
pub(crate) mod body;
mod chunked;
mod fault;
pub(crate) mod in_process;
pub(crate) mod json;
pub(crate) mod server;
mod signature;
mod signature_removal;
mod sts;

use crate::clock::Clock;
use crate::glue::Glue;
use crate::objects::Objects;
use crate::requests::{Counters, Kind};
use crate::s3;
use access::Access;
use body::Faults;
use fault::{Fault, Protocol, document};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Body as _;
use json::Handlers;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, s3_error};
use signature::Payload;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Limits the body of a JSON call. A batch of 100 partitions is far smaller.
const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
const GLUE: Kind = |requests| &mut requests.glue;
const DELETE: Kind = |requests| &mut requests.delete;
const OTHER: Kind = |requests| &mut requests.other;
const FORM: &str = "application/x-www-form-urlencoded";

/// Answers every request, in process or over TCP. Clones share their state.
#[derive(Clone)]
pub(crate) struct Endpoint {
    s3: S3Service,
    objects: Arc<Objects>,
    glue: Arc<Glue>,
    handlers: Weak<Handlers>,
    counters: Arc<Counters>,
    /// Numbers the responses; the number is in the request id.
    answered: Arc<AtomicU64>,
    clock: Clock,
    /// The requests that are answered.
    access: Access,
}

/// The extension of a request to S3 whose signature is verified, or need not be.
#[derive(Clone)]
struct Verified;

/// Lets `s3s` answer verified requests, and those whose signature it verifies itself.
struct Verification;

#[async_trait::async_trait]
impl S3Access for Verification {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        match context.credentials().is_some() || context.extensions_mut().get::<Verified>().is_some() {
            true => Ok(()),
            false => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// Returns the service that verifies requests signed by Signature Version 2.
fn s3_service(objects: &Arc<Objects>, clock: &Clock, access: &Access) -> S3Service {
    let mut service = S3ServiceBuilder::new(s3::Service { objects: Arc::clone(objects), clock: Arc::clone(clock) });
    if let Access::Signed { id, secret } = access {
        service.set_auth(SimpleAuth::from_single(id.clone(), secret.clone()));
    }
    service.set_access(Verification);
    service.build()
}

impl Endpoint {
    /// The endpoint that answers all requests.
    pub(crate) fn new(
        objects: Arc<Objects>,
        glue: Glue,
        handlers: &Arc<Handlers>,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> Self {
        Self {
            s3: s3_service(&objects, &clock, &Access::Anyone),
            objects,
            glue: Arc::new(glue),
            handlers: Arc::downgrade(handlers),
            counters,
            answered: Arc::default(),
            clock,
            access: Access::Anyone,
        }
    }

    /// The endpoint of a server that answers the requests that `access` allows.
    pub(crate) fn with_access(&self, access: Access) -> Self {
        Self { s3: s3_service(&self.objects, &self.clock, &access), access, ..self.clone() }
    }

    /// Answers a request. The reader of the body records its fault in `faults`.
    async fn answer(&self, mut request: Request<Body>, faults: Faults) -> Response<Body> {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        // HTTP/2 has the name of the host in the URI only.
        if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            request.headers_mut().entry(HOST).or_insert(host);
        }
        let (protocol, is_head) = (protocol(&request), request.method() == Method::HEAD);
        let waits = request.headers().contains_key(EXPECT) && request.version() < Version::HTTP_2;
        let is_empty = request.body().is_end_stream();
        let answer = match protocol {
            Protocol::S3 => self.s3(request, &faults).await,
            Protocol::Json => self.json(request).await,
            Protocol::Sts => self.sts(request, number).await,
        };
        let mut response = match (faults.get().cloned(), answer) {
            // A fault of the body is the cause of an error of the service.
            (Some(fault), _) | (None, Err(fault)) => fault.response(protocol),
            (None, Ok(response)) => response,
        };
        if waits && (is_empty || !response.status().is_success()) {
            // The client may have got this response instead of 100 Continue. Clients then use the connection differently:
            // botocore takes the next response on it for this one.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if is_head && response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
            // `s3s` sets this status only for the get of a range.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            // HTTP has no body in such a response. In process nothing removes it, and with a body the SDK does not
            // recognize the response.
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

    async fn s3(&self, request: Request<Body>, faults: &Faults) -> Result<Response<Body>, Fault> {
        let (parts, body) = request.into_parts();
        let verified = signature::verify_s3(&parts, &self.access, (self.clock)());
        let request = address::with_bucket_in_path(Request::from_parts(parts, body));
        // Refused requests count, too.
        self.counters.count(kind(&request));
        let payload = match verified {
            Ok(payload) => payload,
            Err(fault) => {
                // A client that waits for 100 Continue sends no body.
                if !request.headers().contains_key(EXPECT) {
                    body::drain(request.into_body()).await;
                }
                return Err(fault);
            }
        };
        let request = match payload {
            Payload::Version2 => request,
            _ => {
                let mut request = signature_removal::without_signature(request);
                request.extensions_mut().insert(Verified);
                request
            }
        };
        let request = body::receive(request, payload, faults)?;
        if request.headers().contains_key(TRANSFER_ENCODING) && !request.headers().contains_key(CONTENT_LENGTH) {
            return Err(Fault::NoLength);
        }
        self.s3.call(request).await.map_err(|error| Fault::Internal(format!("{error:?}")))
    }

    async fn json(&self, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let (parts, body) = request.into_parts();
        let target = parts.headers.get("x-amz-target").map(HeaderValue::as_bytes).unwrap_or_default();
        let target = String::from_utf8_lossy(target);
        let (service, operation) = target.rsplit_once('.').unwrap_or(("", &target));
        self.counters.count(if service == json::GLUE { GLUE } else { OTHER });
        let body = body::whole(body, JSON_BODY_BYTES_MAX).await?;
        let signed_for = json::signing_name(service);
        signature::verify_call(&parts, &self.access, &signed_for, &body, Protocol::Json, (self.clock)())?;
        let (status, answer) = match self.handlers.upgrade().and_then(|handlers| handlers.get(service)) {
            Some(handler) => handler(operation.to_owned(), body).await,
            None if service == json::GLUE => self.glue.answer(&target, &body),
            None => json::unknown(&target),
        };
        Ok(document(status, "application/x-amz-json-1.1", answer))
    }

    async fn sts(&self, request: Request<Body>, number: u64) -> Result<Response<Body>, Fault> {
        self.counters.count(OTHER);
        let (parts, body) = request.into_parts();
        let body = body::whole(body, sts::FORM_BYTES_MAX).await?;
        signature::verify_call(&parts, &self.access, "sts", &body, Protocol::Sts, (self.clock)())?;
        let (status, answer) = sts::answer(&String::from_utf8_lossy(&body), number);
        Ok(document(status, "text/xml", answer))
    }
}

/// Returns the protocol of a request.
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

/// Returns the counter of a request to S3, from method and address only, so that refused requests count, too.
fn kind(request: &Request<Body>) -> Kind {
    let has_key = request.uri().path().trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET if has_key => |requests| &mut requests.get,
        Method::GET if query.contains("list-type=2") => |requests| &mut requests.list,
        Method::HEAD => |requests| &mut requests.head,
        Method::PUT if has_key => |requests| &mut requests.put,
        Method::DELETE if has_key => DELETE,
        Method::POST if query.split('&').any(|part| part == "delete" || part == "delete=") => DELETE,
        _ => OTHER,
    }
}
