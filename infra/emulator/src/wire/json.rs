//! JSON services: calls with the header `x-amz-target: SERVICE.Operation`.
//!
//! Glue is built in; the host program registers handlers for others.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The built-in service.
pub(super) const GLUE: &str = "AWSGlue";

/// Answers the calls of one JSON service. It takes the name of the operation and the body of the request, and returns an
/// HTTP status and a JSON document.
pub type JsonHandler = Arc<dyn Fn(String, Bytes) -> BoxFuture<'static, (StatusCode, String)> + Send + Sync>;

/// The handlers by service. The endpoint does not own them: a handler may own a client of the endpoint, and that cycle would
/// keep the directory locked.
#[derive(Default)]
pub(crate) struct Handlers(RwLock<HashMap<String, JsonHandler>>);

impl Handlers {
    pub(crate) fn register(&self, service: &str, handler: JsonHandler) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned(), handler);
    }

    /// Returns the handler of `service`.
    pub(super) fn get(&self, service: &str) -> Option<JsonHandler> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }
}

/// Returns the name that requests to a service are signed for: `athena` for `AmazonAthena`. It is right for services whose
/// target has no date.
pub(super) fn signing_name(service: &str) -> String {
    let name = service.strip_prefix("Amazon").or_else(|| service.strip_prefix("AWS")).unwrap_or(service);
    name.to_ascii_lowercase()
}

/// The response to a call without a handler.
pub(super) fn unknown(target: &str) -> (StatusCode, String) {
    let message = format!("the operation {target} is not implemented by this endpoint");
    (StatusCode::BAD_REQUEST, error("UnknownOperationException", &message))
}

/// The body of an error response. Services differ in the case of `message`; clients accept both.
pub(super) fn error(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}
