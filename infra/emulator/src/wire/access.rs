//! Access control of a server.

use std::fmt;

/// The requests that a server answers.
#[derive(Clone)]
pub enum Access {
    /// All requests. Signatures are not verified.
    Anyone,
    /// Requests that are signed with this key: by Signature Version 4 in the header or the address, or by Version 2 in the
    /// address.
    Signed {
        /// The id of the access key.
        id: String,
        /// The secret access key.
        secret: String,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            // The secret must not be in a log.
            Self::Signed { id, .. } => f.debug_struct("Signed").field("id", id).finish_non_exhaustive(),
        }
    }
}
