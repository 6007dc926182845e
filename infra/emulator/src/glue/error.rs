//! Error responses of Glue.

use http::StatusCode;
use serde_json::{Value, json};
use std::io;

/// An error response: name and text of the exception.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidInputException", message)
    }

    pub(super) fn missing(what: impl std::fmt::Display) -> Self {
        Self::new("EntityNotFoundException", format!("{what} not found."))
    }

    pub(super) fn exists(what: impl std::fmt::Display) -> Self {
        Self::new("AlreadyExistsException", format!("{what} already exists."))
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            "InternalServiceException" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of the response.
    pub(super) fn document(&self) -> String {
        json!({"__type": self.code, "Message": self.message}).to_string()
    }

    /// The error of one item of a batch.
    pub(super) fn detail(&self) -> Value {
        json!({"ErrorCode": self.code, "ErrorMessage": self.message})
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new("InternalServiceException", format!("cannot use the files of the catalog: {error}"))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::new("InternalServiceException", format!("a file of the catalog is damaged: {error}"))
    }
}
