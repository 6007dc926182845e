//! Signature Version 2 in an address, the default of some SDKs: boto3 uses it for `generate_presigned_url`. It is accepted
//! nowhere else.

use super::super::address;
use super::super::fault::Fault;
use super::claim::{malformed, parameter};
use super::seconds_since_1970;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use std::collections::BTreeMap;
use std::time::SystemTime;

pub(in crate::wire) const KEY_ID: &str = "AWSAccessKeyId";
pub(in crate::wire) const EXPIRES: &str = "Expires";
pub(in crate::wire) const SIGNATURE: &str = "Signature";

/// The parameters that the signature covers.
const SIGNED_PARAMETERS: [&str; 29] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versions",
    "website",
];

/// Verifies an address that is signed by Version 2.
pub(super) fn verify(parts: &Parts, (id, secret): (&str, &str), now: SystemTime) -> Result<(), Fault> {
    let query = parts.uri.query().unwrap_or_default();
    let field = |name: &str| {
        parameter(query, name)
            .ok_or_else(|| malformed(format!("the address has no {name}, which a presigned one needs")))
    };
    let (given_id, expires, signature) = (field(KEY_ID)?, field(EXPIRES)?, field(SIGNATURE)?);
    if is_given(parts, query, "x-amz-security-token") {
        return Err(Fault::Token);
    }
    if given_id != id {
        return Err(Fault::UnknownKey);
    }
    let until: i64 = expires
        .parse()
        .map_err(|_| malformed(format!("{EXPIRES} is {expires:?}, expected a number of seconds since 1970")))?;
    if seconds_since_1970(now) > until {
        return Err(Fault::Expired);
    }
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text(parts, query, &expires).as_bytes());
    let signature = STANDARD.decode(signature).map_err(|_| Fault::Mismatch)?;
    // This compares in constant time.
    mac.verify_slice(&signature).map_err(|_| Fault::Mismatch)
}

fn is_given(parts: &Parts, query: &str, name: &str) -> bool {
    parts.headers.contains_key(name) || parameter(query, name).is_some()
}

/// Returns the text that the signature covers.
fn text(parts: &Parts, query: &str, expires: &str) -> String {
    let header = |name: &str| {
        let value = parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
        value.or_else(|| parameter(query, name)).unwrap_or_default()
    };
    let (method, md5, kind) = (&parts.method, header("content-md5"), header("content-type"));
    format!("{method}\n{md5}\n{kind}\n{expires}\n{}{}", amz_headers(parts, query), resource(parts, query))
}

/// Returns a line for each `x-amz-` header; in a presigned address they may be parameters.
fn amz_headers(parts: &Parts, query: &str) -> String {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned()));
    for (name, value) in headers.chain(parameters(query).map(|(name, value)| (name.to_ascii_lowercase(), value))) {
        if name.starts_with("x-amz-") {
            all.entry(name).or_default().push(value);
        }
    }
    all.into_iter().map(|(name, values)| format!("{name}:{}\n", values.join(","))).collect()
}

/// Returns bucket, key and the signed parameters.
fn resource(parts: &Parts, query: &str) -> String {
    let bucket = address::bucket_of(&parts.headers).map(|bucket| format!("/{bucket}")).unwrap_or_default();
    let mut signed: Vec<_> = parameters(query).filter(|(name, _)| SIGNED_PARAMETERS.contains(&name.as_str())).collect();
    signed.sort();
    let signed: Vec<_> = signed
        .into_iter()
        .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") })
        .collect();
    let separator = if signed.is_empty() { "" } else { "?" };
    format!("{bucket}{}{separator}{}", parts.uri.path(), signed.join("&"))
}

/// Returns decoded names and values.
fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    parts.map(move |part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;
    use http::Request;
    use std::time::{Duration, UNIX_EPOCH};

    /// The example of AWS's documentation of the second version ("Query String Request Authentication Alternative").
    #[test]
    fn the_documented_example_is_verified() {
        let verified = |path: &str, seconds: u64| {
            let uri = format!(
                "{path}?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
            );
            let request = Request::builder().uri(uri).header("host", "johnsmith.s3.amazonaws.com").body(()).unwrap();
            let key = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
            verify(&request.into_parts().0, key, UNIX_EPOCH + Duration::from_secs(seconds))
        };
        assert_eq!(verified("/photos/puppy.jpg", 1_175_139_620), Ok(()));
        assert_eq!(verified("/photos/puppy.jpg", 1_175_139_621), Err(Fault::Expired));
        assert_eq!(verified("/photos/kitten.jpg", 1_175_139_620), Err(Fault::Mismatch));
    }
}
