//! Who may send requests.

use std::fmt;

/// Whose requests a server answers.
#[derive(Clone)]
pub enum Access {
    /// Anybody's. Signatures are not looked at.
    Anyone,
    /// Those that are signed with this key, by Signature Version 4 in the header or in the address, or by Version 2 in the
    /// address.
    Signed {
        /// The access key's id, which requests name.
        id: String,
        /// The secret, which requests are signed with.
        secret: String,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            // The secret is nobody else's business.
            Self::Signed { id, .. } => f.debug_struct("Signed").field("id", id).finish_non_exhaustive(),
        }
    }
}
