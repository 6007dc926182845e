//! Verifies signatures. It signs the text of the request again and compares the signatures in constant time.

mod canonical_request;
mod chunks;
mod claim;

pub(super) use chunks::ChunkSigner;

use super::access::Access;
use super::fault::{Fault, Protocol};
use crate::REGION;
use claim::Claim;
use hex::encode as hex;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The maximum difference between the clocks of client and server.
const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// How the signature covers the body.
pub(super) enum Payload {
    /// Not at all.
    Unsigned,
    /// Not at all. The address is signed by Signature Version 2, which `s3s` verifies.
    Version2,
    /// By its SHA-256, in hexadecimal digits.
    Hash(String),
    /// The body is chunked; with a signer each chunk is signed.
    Framed(Option<ChunkSigner>),
}

/// Verifies a request to S3 before its body is read.
pub(super) fn verify_s3(parts: &Parts, access: &Access, now: SystemTime) -> Result<Payload, Fault> {
    let given = parts.headers.get(CONTENT_SHA256).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let Access::Signed { id, secret } = access else {
        return Ok(match given {
            Some(given) if given.starts_with("STREAMING-") => Payload::Framed(None),
            // Without access control there is nothing to verify.
            _ => Payload::Unsigned,
        });
    };
    if let Some(key_id) = claim::version2_key_id(parts) {
        return if key_id == *id { Ok(Payload::Version2) } else { Err(Fault::UnknownKey) };
    }
    let claim = claim::read(parts)?.ok_or(Fault::Unsigned)?;
    let payload = match (given, claim.expires) {
        (Some(given), _) => given,
        (None, Some(_)) => UNSIGNED.to_owned(),
        (None, None) => {
            return Err(Fault::Unsupported("Missing required header for this request: x-amz-content-sha256".into()));
        }
    };
    let key = verify(parts, &claim, (id, secret), "s3", &payload, Protocol::S3, now)?;
    let signer = || ChunkSigner::new(key, &claim.stamp, &claim.scope, &claim.signature);
    match payload.as_str() {
        UNSIGNED => Ok(Payload::Unsigned),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Payload::Framed(None)),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
            Ok(Payload::Framed(Some(signer())))
        }
        hash if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Payload::Hash(hash.to_ascii_lowercase()))
        }
        other => Err(Fault::Unsupported(format!(
            "x-amz-content-sha256 is {other:?}, expected {UNSIGNED}, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a SHA-256 in hexadecimal \
             digits"
        ))),
    }
}

/// Verifies a request to another service, with its body.
pub(super) fn verify_call(
    parts: &Parts,
    access: &Access,
    service: &str,
    body: &[u8],
    protocol: Protocol,
    now: SystemTime,
) -> Result<(), Fault> {
    let Access::Signed { id, secret } = access else {
        return Ok(());
    };
    let claim = claim::read(parts)?.ok_or(Fault::Unsigned)?;
    // The hash is that of the received body, not of a header.
    let hash = hex(Sha256::digest(body));
    verify(parts, &claim, (id, secret), service, &hash, protocol, now).map(drop)
}

/// Verifies the signature; returns its signing key.
fn verify(
    parts: &Parts,
    claim: &Claim,
    (id, secret): (&str, &str),
    service: &str,
    payload: &str,
    protocol: Protocol,
    now: SystemTime,
) -> Result<Key, Fault> {
    if claim.has_token {
        return Err(Fault::Token);
    }
    if claim.key_id != id {
        return Err(Fault::UnknownKey);
    }
    if (claim.region.as_str(), claim.service.as_str()) != (REGION, service) {
        return Err(Fault::Scope(format!(
            "the request is signed for the region {:?} and the service {:?}, expected {REGION:?} and {service:?}",
            claim.region, claim.service
        )));
    }
    check_time(claim, now)?;
    check_signed_headers(parts, claim, protocol)?;
    let key = Key::new(secret, claim);
    let is_signed = canonical_request::candidates(parts, claim, payload).any(|request| {
        let hash = hex(Sha256::digest(request));
        key.is_signature(&format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", claim.stamp, claim.scope), &claim.signature)
    });
    if is_signed { Ok(key) } else { Err(Fault::Mismatch) }
}

fn check_time(claim: &Claim, now: SystemTime) -> Result<(), Fault> {
    let ago = seconds_since_1970(now).saturating_sub(claim.seconds);
    match claim.expires {
        _ if ago < -SKEW_SECONDS_MAX => Err(Fault::Skewed),
        None if ago > SKEW_SECONDS_MAX => Err(Fault::Skewed),
        Some(expires) if ago > expires => Err(Fault::Expired),
        _ => Ok(()),
    }
}

fn seconds_since_1970(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Refuses a request with unsigned headers, which a proxy could have added or changed.
fn check_signed_headers(parts: &Parts, claim: &Claim, protocol: Protocol) -> Result<(), Fault> {
    let is_signed = |name: &str| claim.signed_headers.iter().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(Fault::UnsignedHeader("host".into()));
    }
    // The hash of the body is in the signed text in any case.
    let must = |name: &str| name.starts_with("x-amz-") && name != CONTENT_SHA256.as_str();
    let unsigned = parts.headers.keys().map(HeaderName::as_str).find(|name| must(name) && !is_signed(name));
    match unsigned {
        Some(name) if protocol == Protocol::S3 => Err(Fault::UnsignedHeader(name.to_owned())),
        _ => Ok(()),
    }
}

/// The signing key of a day, a region and a service.
struct Key([u8; 32]);

impl Key {
    fn new(secret: &str, claim: &Claim) -> Self {
        let secret = format!("AWS4{secret}");
        let steps = [claim.day.as_str(), &claim.region, &claim.service, "aws4_request"];
        let key = steps.iter().fold(secret.into_bytes(), |key, step| mac(&key, step).finalize().into_bytes().to_vec());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&key);
        Self(bytes)
    }

    /// Compares in constant time.
    fn is_signature(&self, text: &str, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|signature| mac(&self.0, text).verify_slice(&signature).is_ok())
    }
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac
}
