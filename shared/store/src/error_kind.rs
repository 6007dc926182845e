//! What the caller of a failed operation must do.

use std::error::Error;
use std::fmt;

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try again later: a service failed, or other writers were faster.
    Retry,
    /// Do not try again: the input itself is wrong, and stays wrong.
    Reject,
    /// Correct the settings, permissions or resources; then try again.
    Misconfigured,
}

impl ErrorKind {
    /// The kind of a refusal by an AWS service.
    pub(crate) fn of_answer(code: Option<&str>, status: Option<u16>) -> Self {
        match code {
            Some("NoSuchBucket" | "EntityNotFoundException" | "AccessDenied" | "AccessDeniedException") => {
                Self::Misconfigured
            }
            // The answer to a HEAD request has no body, and so no code.
            None if status == Some(403) => Self::Misconfigured,
            _ => Self::Retry,
        }
    }
}

/// The name in logs.
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Misconfigured => "misconfigured",
        })
    }
}

/// An error that says what its caller must do.
pub trait Failure: Error + Send + Sync {
    /// What the caller must do.
    fn kind(&self) -> ErrorKind;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_an_operator_must_correct_are_not_retried() {
        for (code, status, kind) in [
            (Some("AccessDenied"), Some(403), ErrorKind::Misconfigured),
            (None, Some(403), ErrorKind::Misconfigured),
            (Some("NoSuchBucket"), Some(404), ErrorKind::Misconfigured),
            (Some("SlowDown"), Some(503), ErrorKind::Retry),
            (Some("ExpiredToken"), Some(400), ErrorKind::Retry),
            (None, None, ErrorKind::Retry),
        ] {
            assert_eq!(ErrorKind::of_answer(code, status), kind, "{code:?} {status:?}");
        }
    }
}
