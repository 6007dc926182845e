//! Errors with Athena's messages.

use emulator_client::data_catalog::DataCatalogError;

/// The cause of an error, and when the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a statement: StartQueryExecution refuses it.
    Syntax,
    /// The statement is wrong, or names something that does not exist: the execution fails.
    User,
    /// S3, Glue or memory failed: the execution fails and may succeed when it is run again.
    System,
}

/// A failed statement. The message has Athena's format and begins with a code: `COLUMN_NOT_FOUND: line 1:8: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// The cause.
    pub kind: ErrorKind,
    /// Athena's message.
    pub message: String,
}

impl SqlError {
    /// The text is not a statement.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Syntax, message: message.into() }
    }

    /// The statement is wrong.
    pub fn user(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::User, message: message.into() }
    }

    /// S3, Glue or memory failed.
    pub fn system(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::System, message: message.into() }
    }
}

impl From<DataCatalogError> for SqlError {
    fn from(error: DataCatalogError) -> Self {
        Self::system(error.to_string())
    }
}
