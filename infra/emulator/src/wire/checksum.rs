//! The checksum in the trailer of a chunked body. It is part of the framing, so the decoder verifies it.

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};

/// Computes the checksum of a body that its trailer must have.
pub(super) struct TrailerChecksum(ChecksumHasher);

impl TrailerChecksum {
    /// Returns `None` for an unknown trailer.
    pub(super) fn new(trailer: &str) -> Option<Self> {
        let mut hasher = ChecksumHasher::default();
        match trailer.to_ascii_lowercase().as_str() {
            "x-amz-checksum-crc32" => hasher.crc32 = Some(Crc32::new()),
            "x-amz-checksum-crc32c" => hasher.crc32c = Some(Crc32c::new()),
            "x-amz-checksum-crc64nvme" => hasher.crc64nvme = Some(Crc64Nvme::new()),
            "x-amz-checksum-sha1" => hasher.sha1 = Some(Sha1::new()),
            "x-amz-checksum-sha256" => hasher.sha256 = Some(Sha256::new()),
            _ => return None,
        }
        Some(Self(hasher))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the checksum in base64.
    pub(super) fn finish(self) -> Option<String> {
        let sums = self.0.finalize();
        let all = [sums.checksum_crc32, sums.checksum_crc32c, sums.checksum_crc64nvme];
        all.into_iter().chain([sums.checksum_sha1, sums.checksum_sha256]).flatten().next()
    }
}
