//! Checksums in requests and responses.

use crate::objects::checksum::{self, Algorithm, Checksum};
use crate::objects::temporary::Digests;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::dto::{self, ChecksumAlgorithm, ChecksumType};
use s3s::{S3Result, s3_error};

/// The header that names the checksum in the trailer of a body.
const TRAILER: &str = "x-amz-trailer";

/// Size and digests that a request states for its body.
#[derive(Debug, Default)]
pub(super) struct BodyClaim {
    pub(super) algorithm: Option<Algorithm>,
    /// In base64. `None` if it is in a trailer, which the module `wire` verifies.
    pub(super) value: Option<String>,
    pub(super) md5: Option<String>,
    pub(super) size: Option<u64>,
}

/// Takes the checksum fields out of a request.
macro_rules! checksum_fields {
    ($input:expr) => {
        s3s::dto::Checksum {
            checksum_crc32: $input.checksum_crc32.take(),
            checksum_crc32c: $input.checksum_crc32c.take(),
            checksum_crc64nvme: $input.checksum_crc64nvme.take(),
            checksum_sha1: $input.checksum_sha1.take(),
            checksum_sha256: $input.checksum_sha256.take(),
            checksum_type: None,
        }
    };
}

/// Sets the checksum fields of a response; with `part` without the type, which the responses to parts do not have.
macro_rules! show {
    ($output:expr, $checksum:expr, part) => {
        let fields = $crate::s3::checksums::fields($checksum);
        $output.checksum_crc32 = fields.checksum_crc32;
        $output.checksum_crc32c = fields.checksum_crc32c;
        $output.checksum_crc64nvme = fields.checksum_crc64nvme;
        $output.checksum_sha1 = fields.checksum_sha1;
        $output.checksum_sha256 = fields.checksum_sha256;
    };
    ($output:expr, $checksum:expr) => {
        $crate::s3::checksums::show!($output, $checksum, part);
        $output.checksum_type = $crate::s3::checksums::kind($checksum);
    };
}

pub(super) use {checksum_fields, show};

/// Returns the checksum of a request, if any; refuses more than one.
pub(super) fn only(given: dto::Checksum) -> S3Result<Option<(Algorithm, String)>> {
    let mut values = [
        (Algorithm::Crc32, given.checksum_crc32),
        (Algorithm::Crc32c, given.checksum_crc32c),
        (Algorithm::Crc64Nvme, given.checksum_crc64nvme),
        (Algorithm::Sha1, given.checksum_sha1),
        (Algorithm::Sha256, given.checksum_sha256),
    ]
    .into_iter()
    .filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let first = values.next();
    if values.next().is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        ));
    }
    Ok(first)
}

/// Collects what the fields and headers of a request state for its body.
pub(super) fn body_claim(
    given: dto::Checksum,
    headers: &HeaderMap,
    md5: Option<String>,
    size: Option<i64>,
) -> S3Result<BodyClaim> {
    let size = size.map(u64::try_from).transpose();
    let size = size.map_err(|_| s3_error!(InvalidArgument, "the Content-Length is negative"))?;
    let (algorithm, value) = match only(given)? {
        Some((algorithm, value)) => (Some(algorithm), Some(value)),
        None => {
            let trailer = headers.get(TRAILER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
            (Algorithm::of_header(trailer), None)
        }
    };
    if let Some(value) = &value
        && STANDARD.decode(value).is_err()
    {
        return Err(s3_error!(InvalidRequest, "the checksum given is {value:?}, expected base64"));
    }
    Ok(BodyClaim { algorithm, value, md5, size })
}

impl BodyClaim {
    /// Fails unless the body has this size and these digests.
    pub(super) fn check(&self, size: u64, digests: &Digests) -> S3Result<()> {
        if let Some(expected) = self.size
            && expected != size
        {
            return Err(s3_error!(IncompleteBody, "the Content-Length is {expected}, the body has {size} bytes"));
        }
        if let (Some(given), Some((algorithm, found))) = (&self.value, &digests.checksum) {
            let found = checksum::base64(found);
            if *given != found {
                let name = algorithm.name();
                return Err(s3_error!(BadDigest, "the {name} given is {given}, the body's is {found}"));
            }
        }
        if let Some(given) = &self.md5 {
            if STANDARD.decode(given).map_or(true, |bytes| bytes.len() != digests.md5.len()) {
                return Err(s3_error!(InvalidDigest, "the Content-MD5 is {given:?}, expected 16 bytes in base64"));
            }
            let found = checksum::base64(&digests.md5);
            if *given != found {
                return Err(s3_error!(BadDigest, "the Content-MD5 given is {given}, the body's is {found}"));
            }
        }
        Ok(())
    }
}

/// The checksum to store with a body.
pub(super) fn checksum_of(digests: &Digests) -> Option<Checksum> {
    let (algorithm, value) = digests.checksum.as_ref()?;
    Some(Checksum { algorithm: *algorithm, value: checksum::base64(value), composite: false })
}

/// The fields of a response with this checksum.
pub(super) fn fields(checksum: Option<&Checksum>) -> dto::Checksum {
    let value = |algorithm| checksum.filter(|sum| sum.algorithm == algorithm).map(|sum| sum.value.clone());
    dto::Checksum {
        checksum_crc32: value(Algorithm::Crc32),
        checksum_crc32c: value(Algorithm::Crc32c),
        checksum_crc64nvme: value(Algorithm::Crc64Nvme),
        checksum_sha1: value(Algorithm::Sha1),
        checksum_sha256: value(Algorithm::Sha256),
        checksum_type: kind(checksum),
    }
}

pub(super) fn kind(checksum: Option<&Checksum>) -> Option<ChecksumType> {
    checksum.map(|sum| kind_of(sum.composite))
}

pub(super) fn kind_of(composite: bool) -> ChecksumType {
    ChecksumType::from_static(match composite {
        true => ChecksumType::COMPOSITE,
        false => ChecksumType::FULL_OBJECT,
    })
}

pub(super) fn algorithm(named: &ChecksumAlgorithm) -> S3Result<Algorithm> {
    let name = named.as_str();
    Algorithm::named(name).ok_or_else(|| s3_error!(InvalidRequest, "there is no checksum algorithm {name:?}"))
}
