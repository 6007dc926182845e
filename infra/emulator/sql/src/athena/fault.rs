//! Errors of the API in Athena's format.

use emulator_client::StoreError;
use emulator_client::data_catalog::DataCatalogError;
use serde_json::{Value, json};

/// The error of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The exception's name.
    kind: &'static str,
    message: String,
    /// A further field of the exception.
    detail: Option<(&'static str, String)>,
}

impl Fault {
    /// The call is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::coded("INVALID_INPUT", message)
    }

    /// The call is wrong in a way that has a code.
    pub(super) fn coded(code: &str, message: impl Into<String>) -> Self {
        let detail = Some(("AthenaErrorCode", code.to_owned()));
        Self { kind: "InvalidRequestException", message: message.into(), detail }
    }

    /// The prepared statement or the resource does not exist.
    pub(super) fn missing(name: &str, message: impl Into<String>) -> Self {
        let detail = Some(("ResourceName", name.to_owned()));
        Self { kind: "ResourceNotFoundException", message: message.into(), detail }
    }

    /// The catalog refuses the call.
    pub(super) fn metadata(message: impl Into<String>) -> Self {
        Self { kind: "MetadataException", message: message.into(), detail: None }
    }

    /// Too many queries run or wait.
    pub(super) fn too_many(message: impl Into<String>) -> Self {
        let detail = Some(("Reason", "CONCURRENT_QUERY_LIMIT_EXCEEDED".to_owned()));
        Self { kind: "TooManyRequestsException", message: message.into(), detail }
    }

    /// The operation is not implemented.
    pub(super) fn unknown(operation: &str) -> Self {
        let message = format!("operation {operation} of Athena is not implemented by this endpoint");
        Self { kind: "UnknownOperationException", message, detail: None }
    }

    /// The body cannot be read.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self { kind: "SerializationException", message: message.into(), detail: None }
    }

    /// S3 or Glue failed.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { kind: "InternalServerException", message: message.into(), detail: None }
    }

    /// The message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status and the document. Clients read the message in either spelling.
    pub(super) fn answer(&self) -> (u16, String) {
        let status = if self.kind == "InternalServerException" { 500 } else { 400 };
        let mut document = json!({"__type": self.kind, "message": self.message, "Message": self.message});
        if let Some((name, value)) = &self.detail {
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
