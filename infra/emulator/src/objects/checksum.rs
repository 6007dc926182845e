//! Checksums of bodies: the five algorithms of S3, and the checksum that is stored with an object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::crypto::Checksum as _;
use s3s::crypto::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "CRC32")]
    Crc32,
    #[serde(rename = "CRC32C")]
    Crc32c,
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
}

/// A checksum that is stored with an object and shown to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    /// In base64; followed by `-N` if it is a checksum of N parts' checksums.
    pub(crate) value: String,
    /// Whether it is a checksum of the parts' checksums rather than of the body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) composite: bool,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// S3's name of the algorithm.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header or trailer that carries the checksum of a body.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The algorithm of a header or trailer.
    pub(crate) fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// The parameters for [`combine`]; `None` for a hash, which cannot be computed from those of the parts.
    const fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether the checksum of a body can be computed from those of its parts.
    pub(crate) const fn combines(self) -> bool {
        self.crc().is_some()
    }

    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Self::Crc32 => Box::new(Crc32::new()),
            Self::Crc32c => Box::new(Crc32c::new()),
            Self::Crc64Nvme => Box::new(Crc64Nvme::new()),
            Self::Sha1 => Box::new(Sha1::new()),
            Self::Sha256 => Box::new(Sha256::new()),
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// The state of a checksum computation.
pub(crate) type Hasher = Box<dyn Hash>;

/// A hash function of any algorithm.
pub(crate) trait Hash: Send + Sync {
    fn update(&mut self, bytes: &[u8]);
    fn finish(self: Box<Self>) -> Vec<u8>;
}

impl<C: s3s::crypto::Checksum + Send + Sync> Hash for C {
    fn update(&mut self, bytes: &[u8]) {
        s3s::crypto::Checksum::update(self, bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        (*self).finalize().as_ref().to_vec()
    }
}

/// Computes the checksum of a body from the checksums and sizes of its parts; `None` for a hash.
pub(crate) fn combine<'a>(algorithm: Algorithm, parts: impl IntoIterator<Item = (&'a [u8], u64)>) -> Option<Vec<u8>> {
    let crc = algorithm.crc()?;
    let mut width = None;
    let mut whole = None;
    for (checksum, size) in parts {
        width = Some(checksum.len());
        let number = checksum.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        whole = Some(match whole {
            None => number,
            Some(previous) => checksum_combine(crc, previous, number, size),
        });
    }
    let bytes = whole?.to_be_bytes();
    Some(bytes[bytes.len().checked_sub(width?)?..].to_vec())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn checksums_equal_known_values() {
        for (algorithm, expected) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            assert_eq!(base64(&algorithm.digest(b"123456789")), expected, "{}", algorithm.name());
        }
    }

    #[test]
    fn combined_checksums_equal_those_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for algorithm in Algorithm::ALL {
            let parts: Vec<_> = [&whole[..5], &whole[5..5], &whole[5..70_001], &whole[70_001..]]
                .into_iter()
                .map(|part| (algorithm.digest(part), part.len() as u64))
                .collect();
            let combined = combine(algorithm, parts.iter().map(|(checksum, size)| (&**checksum, *size)));
            assert_eq!(combined, algorithm.combines().then(|| algorithm.digest(&whole)), "{}", algorithm.name());
        }
    }
}
