//! Refusals, as Athena sends them.

use emulator_client::StoreError;
use emulator_client::data_catalog::DataCatalogError;
use serde_json::{Value, json};

/// Why a call is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The exception's name.
    kind: &'static str,
    message: String,
    /// What the exception says besides.
    more: Option<(&'static str, String)>,
}

impl Fault {
    /// The call is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::coded("INVALID_INPUT", message)
    }

    /// The call is wrong in a way that has a code.
    pub(super) fn coded(code: &str, message: impl Into<String>) -> Self {
        let more = Some(("AthenaErrorCode", code.to_owned()));
        Self { kind: "InvalidRequestException", message: message.into(), more }
    }

    /// There is no such statement or tagged thing.
    pub(super) fn missing(name: &str, message: impl Into<String>) -> Self {
        let more = Some(("ResourceName", name.to_owned()));
        Self { kind: "ResourceNotFoundException", message: message.into(), more }
    }

    /// What the catalog says no to.
    pub(super) fn metadata(message: impl Into<String>) -> Self {
        Self { kind: "MetadataException", message: message.into(), more: None }
    }

    /// Too much is asked for at once.
    pub(super) fn too_many(message: impl Into<String>) -> Self {
        let more = Some(("Reason", "CONCURRENT_QUERY_LIMIT_EXCEEDED".to_owned()));
        Self { kind: "TooManyRequestsException", message: message.into(), more }
    }

    /// There is no such operation here.
    pub(super) fn unknown(operation: &str) -> Self {
        let message = format!("operation {operation} of Athena is not implemented by this endpoint");
        Self { kind: "UnknownOperationException", message, more: None }
    }

    /// The body cannot be read.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self { kind: "SerializationException", message: message.into(), more: None }
    }

    /// Something below failed.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { kind: "InternalServerException", message: message.into(), more: None }
    }

    /// What is said.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// HTTP status and document. Clients of the service read the message from either spelling.
    pub(super) fn answer(&self) -> (u16, String) {
        let status = if self.kind == "InternalServerException" { 500 } else { 400 };
        let mut document = json!({"__type": self.kind, "message": self.message, "Message": self.message});
        if let Some((name, value)) = &self.more {
            document[*name] = Value::from(value.clone());
        }
        (status, document.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<DataCatalogError> for Fault {
    fn from(error: DataCatalogError) -> Self {
        let code = if error.is_missing() { "EntityNotFoundException: " } else { "" };
        Self::metadata(format!("{code}{error}"))
    }
}
