//! Signatures, verified. Of Version 4: the same text is signed again, and the signatures are compared in constant time.

mod canonical;
mod chunks;
mod claim;
mod second;

pub(super) use chunks::ChunkSigner;
pub(super) use second::{EXPIRES, KEY_ID, SIGNATURE};

use super::access::Access;
use super::fault::{Fault, Protocol};
use crate::REGION;
use crate::objects::attributes::hex;
use claim::Claim;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far the clocks of client and server may be apart.
const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// What the signature says about the body.
pub(super) enum Payload {
    /// Nothing.
    Unsigned,
    /// Its SHA-256, in hexadecimal digits.
    Hash(String),
    /// It comes in frames.
    Framed(Option<ChunkSigner>),
}

/// Verifies a request to S3, whose body is yet to come.
pub(super) fn of_s3(parts: &Parts, access: &Access, now: SystemTime) -> Result<Payload, Fault> {
    let given = parts.headers.get(CONTENT_SHA256).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let Access::Signed { id, secret } = access else {
        return Ok(match given {
            Some(given) if given.starts_with("STREAMING-") => Payload::Framed(None),
            // Who cannot be refused need not be checked.
            _ => Payload::Unsigned,
        });
    };
    if claim::is_second_version(parts) {
        return second::verify(parts, (id, secret), now).map(|()| Payload::Unsigned);
    }
    let claim = claim::read(parts)?.ok_or(Fault::Unsigned)?;
    let payload = match (given, claim.expires) {
        (Some(given), _) => given,
        (None, Some(_)) => UNSIGNED.to_owned(),
        (None, None) => {
            return Err(Fault::Payload("Missing required header for this request: x-amz-content-sha256".into()));
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
        other => Err(Fault::Payload(format!(
            "x-amz-content-sha256 is {other:?}, expected {UNSIGNED}, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a SHA-256 in hexadecimal \
             digits"
        ))),
    }
}

/// Verifies a request to another service, whose body is here.
pub(super) fn of_call(
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
    // Whatever the header says: what is signed is the body that came.
    let hash = hex(&Sha256::digest(body));
    verify(parts, &claim, (id, secret), service, &hash, protocol, now).map(drop)
}

/// Verifies the signature; the key that it was made with.
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
    if claim.region != REGION {
        return Err(Fault::Region(claim.region.clone()));
    }
    if claim.service != service {
        return Err(Fault::Service(format!(
            "the request is signed for the service {:?}, expected {service:?}",
            claim.service
        )));
    }
    in_time(claim, now)?;
    all_signed(parts, claim, protocol)?;
    let key = Key::of(secret, claim);
    let signature = unhex(&claim.signature).ok_or(Fault::Mismatch)?;
    let is_signed = canonical::requests(parts, claim, payload).any(|request| {
        let hash = hex(&Sha256::digest(request));
        key.is_signature(&format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", claim.stamp, claim.scope), &signature)
    });
    if is_signed { Ok(key) } else { Err(Fault::Mismatch) }
}

fn in_time(claim: &Claim, now: SystemTime) -> Result<(), Fault> {
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

/// Refuses what somebody between client and server could have put in or changed.
fn all_signed(parts: &Parts, claim: &Claim, protocol: Protocol) -> Result<(), Fault> {
    let is_signed = |name: &str| claim.signed_headers.iter().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(Fault::UnsignedHeader("host".into()));
    }
    // The body's hash is in the signed text anyway.
    let must = |name: &str| name.starts_with("x-amz-") && name != CONTENT_SHA256.as_str();
    let unsigned = parts.headers.keys().map(HeaderName::as_str).find(|name| must(name) && !is_signed(name));
    match unsigned {
        Some(name) if protocol == Protocol::S3 => Err(Fault::UnsignedHeader(name.to_owned())),
        _ => Ok(()),
    }
}

/// What signs for a day, a region and a service.
struct Key([u8; 32]);

impl Key {
    fn of(secret: &str, claim: &Claim) -> Self {
        let secret = format!("AWS4{secret}");
        let steps = [claim.day.as_str(), &claim.region, &claim.service, "aws4_request"];
        let key = steps.iter().fold(secret.into_bytes(), |key, step| mac(&key, step).finalize().into_bytes().to_vec());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&key);
        Self(bytes)
    }

    /// Takes the same time whether they differ early or late.
    fn is_signature(&self, text: &str, signature: &[u8]) -> bool {
        mac(&self.0, text).verify_slice(signature).is_ok()
    }
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// The bytes of a signature.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}
