//! What went wrong, in Athena's words.

use std::fmt;

/// Whose fault an error is, and when it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no statement: StartQueryExecution refuses it.
    Syntax,
    /// The statement asks for what is not there or makes no sense: the execution fails.
    User,
    /// S3, Glue, memory: the execution fails, and might not fail the next time.
    System,
}

/// A failed statement. The message is worded as Athena words it, its code first: `COLUMN_NOT_FOUND: line 1:8: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What Athena would say.
    pub message: String,
}

impl SqlError {
    /// The text is no statement.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Syntax, message: message.into() }
    }

    /// The statement is wrong.
    pub fn user(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::User, message: message.into() }
    }

    /// Something below failed.
    pub fn system(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::System, message: message.into() }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}
