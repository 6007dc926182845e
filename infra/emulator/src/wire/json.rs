//! JSON services: calls that say by `x-amz-target: SERVICE.Operation` what they are.
//!
//! Glue is built in; others are handed to whoever registered for them.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The service that is built in.
pub(super) const GLUE: &str = "AWSGlue";

/// Answers one JSON service: the operation's name and the request's body in, an HTTP status and a JSON document out.
pub type JsonHandler = Arc<dyn Fn(String, Bytes) -> BoxFuture<'static, (StatusCode, String)> + Send + Sync>;

/// Who answers which service. The endpoint does not own this: a handler may well call the endpoint, and the two would
/// keep each other, and the lake's lock, for ever.
#[derive(Default)]
pub(crate) struct Handlers(RwLock<HashMap<String, JsonHandler>>);

impl Handlers {
    pub(crate) fn register(&self, service: &str, handler: JsonHandler) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned(), handler);
    }

    /// Who answers `service`.
    pub(super) fn of(&self, service: &str) -> Option<JsonHandler> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }
}

/// The service and the operation that a target names; a target without a dot has no service.
pub(super) fn parts(target: &str) -> (&str, &str) {
    target.rsplit_once('.').unwrap_or(("", target))
}

/// What requests to a service are signed for: `athena` for `AmazonAthena`. That holds for the services whose target has no
/// date, and a maker's name before its own.
pub(super) fn signing_name(service: &str) -> String {
    let name = service.strip_prefix("Amazon").or_else(|| service.strip_prefix("AWS")).unwrap_or(service);
    name.to_ascii_lowercase()
}

/// The answer to a call that nobody registered for.
pub(super) fn unknown(target: &str) -> (StatusCode, String) {
    let message = format!("the operation {target} is not implemented by this endpoint");
    (StatusCode::BAD_REQUEST, error("UnknownOperationException", &message))
}

/// The body of an error answer. Services differ in the case of `message`; clients take either.
pub(super) fn error(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}
