//! The checksum that follows a body in frames. It belongs to the framing, so it is verified with it.

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};

/// The checksum of a body, as a trailer of the given name has it.
pub(super) struct Running(ChecksumHasher);

impl Running {
    /// `None` if the trailer is of no kind that is known.
    pub(super) fn of(trailer: &str) -> Option<Self> {
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

    /// In base64.
    pub(super) fn finish(self) -> Option<String> {
        let sums = self.0.finalize();
        let all = [sums.checksum_crc32, sums.checksum_crc32c, sums.checksum_crc64nvme];
        all.into_iter().chain([sums.checksum_sha1, sums.checksum_sha256]).flatten().next()
    }
}
