//! The signatures of a body that is signed chunk by chunk. Each signature covers the one before it.

use super::Key;
use hex::encode as hex;
use sha2::{Digest, Sha256};

/// Verifies the chunk signatures of one body.
pub(crate) struct ChunkSigner {
    key: Key,
    stamp: String,
    scope: String,
    previous: String,
    /// The hash of the current chunk so far.
    hash: Sha256,
}

impl ChunkSigner {
    pub(super) fn new(key: Key, stamp: &str, scope: &str, seed: &str) -> Self {
        let hash = Sha256::new();
        Self { key, stamp: stamp.to_owned(), scope: scope.to_owned(), previous: seed.to_owned(), hash }
    }

    /// Adds bytes of the current chunk.
    pub(in crate::wire) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Ends the current chunk; returns whether this is its signature.
    pub(in crate::wire) fn is_chunk(&mut self, signature: &str) -> bool {
        let nothing = hex(Sha256::digest(b""));
        let hash = hex(std::mem::take(&mut self.hash).finalize());
        self.is_next("AWS4-HMAC-SHA256-PAYLOAD", &format!("{nothing}\n{hash}"), signature)
    }

    /// Whether this is the signature of the trailers: names and values.
    pub(in crate::wire) fn is_trailer(&mut self, trailers: &[(String, String)], signature: &str) -> bool {
        let lines: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let hash = hex(Sha256::digest(lines));
        self.is_next("AWS4-HMAC-SHA256-TRAILER", &hash, signature)
    }

    fn is_next(&mut self, algorithm: &str, rest: &str, signature: &str) -> bool {
        let Self { stamp, scope, previous, .. } = self;
        let text = format!("{algorithm}\n{stamp}\n{scope}\n{previous}\n{rest}");
        let is_signature = self.key.is_signature(&text, signature);
        self.previous = signature.to_owned();
        is_signature
    }
}
