//! The signature of a request, from the header `Authorization` or from the address.

use super::super::fault::Fault;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use percent_encoding::percent_decode_str;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// A week, in seconds: the maximum lifetime of a presigned address.
const EXPIRES_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

/// An unverified signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) key_id: String,
    /// `DAY/REGION/SERVICE/aws4_request`
    pub(super) scope: String,
    pub(super) day: String,
    pub(super) region: String,
    pub(super) service: String,
    /// Lower-case names in the order of the request.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
    /// The time of the signature: `20220618T140000Z`.
    pub(super) stamp: String,
    /// The stamp, in seconds since 1970.
    pub(super) seconds: i64,
    /// The lifetime of a presigned address, in seconds.
    pub(super) expires: Option<i64>,
    pub(super) has_token: bool,
}

/// Parses the signature of a request; `None` if it is not signed.
pub(super) fn read(parts: &Parts) -> Result<Option<Claim>, Fault> {
    let query = parts.uri.query().unwrap_or_default();
    let in_address = parameter(query, "X-Amz-Algorithm").is_some() || parameter(query, "X-Amz-Signature").is_some();
    match (in_address, parts.headers.get(AUTHORIZATION)) {
        (true, None) => from_address(query).map(Some),
        (false, Some(value)) => {
            let value = value.to_str().map_err(|_| malformed("the header Authorization is not text"))?;
            from_header(value, &parts.headers).map(Some)
        }
        (true, Some(_)) => Err(Fault::Unsupported(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should \
             be specified"
                .into(),
        )),
        (false, None) => Ok(None),
    }
}

/// Returns the id of the key if the address is signed by Signature Version 2, the default of some clients: boto3 and the AWS
/// command line use it for presigned addresses. It is accepted nowhere else.
pub(super) fn version2_key_id(parts: &Parts) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default();
    let is_version4 = parts.headers.contains_key(AUTHORIZATION) || parameter(query, "X-Amz-Signature").is_some();
    // The signature of a form is in the form.
    let kind = parts.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    parameter(query, "AWSAccessKeyId").filter(|_| !is_version4 && !kind.starts_with(b"multipart/"))
}

fn from_header(value: &str, headers: &HeaderMap) -> Result<Claim, Fault> {
    let (algorithm, rest) = value.trim().split_once(' ').ok_or_else(|| unsupported(value))?;
    if algorithm != ALGORITHM {
        return Err(unsupported(algorithm));
    }
    let field = |name: &str| match name {
        "Date" => Some(headers.get("x-amz-date")?.to_str().ok()?.to_owned()),
        _ => rest.split(',').find_map(|field| Some(field.trim().strip_prefix(name)?.strip_prefix('=')?.to_owned())),
    };
    claim(field, "the header Authorization, or x-amz-date,", None, headers.contains_key("x-amz-security-token"))
}

fn from_address(query: &str) -> Result<Claim, Fault> {
    let field = |name: &str| parameter(query, &format!("X-Amz-{name}"));
    let algorithm = field("Algorithm").unwrap_or_default();
    if algorithm != ALGORITHM {
        return Err(unsupported(&algorithm));
    }
    let expires = field("Expires").and_then(|text| text.parse().ok());
    let expires = expires.filter(|seconds| (0..=EXPIRES_SECONDS_MAX).contains(seconds));
    let expires = expires
        .ok_or_else(|| malformed(format!("X-Amz-Expires must be a number of at most {EXPIRES_SECONDS_MAX} seconds")))?;
    claim(field, "the presigned address", Some(expires), field("Security-Token").is_some())
}

/// Parses the fields of a signature; `within` names their source.
fn claim(
    field: impl Fn(&str) -> Option<String>,
    within: &str,
    expires: Option<i64>,
    has_token: bool,
) -> Result<Claim, Fault> {
    let field = |name: &str| field(name).ok_or_else(|| malformed(format!("{within} has no {name}")));
    let (credential, stamp) = (field("Credential")?, field("Date")?);
    let seconds =
        seconds(&stamp).ok_or_else(|| malformed(format!("the time is {stamp:?}, expected YYYYMMDDTHHMMSSZ")))?;
    // From the end, because the key id may contain slashes.
    let mut fields = credential.rsplitn(5, '/');
    let (Some("aws4_request"), Some(service), Some(region), Some(day), Some(key_id)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed(format!(
            "the credential is {credential:?}, expected KEY/YYYYMMDD/REGION/SERVICE/aws4_request"
        )));
    };
    if !stamp.starts_with(day) || day.len() != 8 {
        return Err(malformed(format!("the credential has the day {day:?}, the request {stamp}")));
    }
    Ok(Claim {
        key_id: key_id.to_owned(),
        scope: format!("{day}/{region}/{service}/aws4_request"),
        day: day.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: field("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect(),
        signature: field("Signature")?,
        stamp,
        seconds,
        expires,
        has_token,
    })
}

/// Parses a time such as `20220618T140000Z` into seconds since 1970.
fn seconds(stamp: &str) -> Option<i64> {
    let is_stamp = stamp.len() == 16
        && stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !is_stamp {
        return None;
    }
    let part = |from: usize, to: usize| &stamp[from..to];
    let text =
        format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(9, 11), part(11, 13), part(13, 15));
    DateTime::from_str(&text, Format::DateTime).ok().map(|time| time.secs())
}

/// Returns a decoded parameter of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
    let (_, value) = parameters.find(|(given, _)| *given == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn malformed(why: impl Into<String>) -> Fault {
    Fault::Malformed(why.into())
}

fn unsupported(given: &str) -> Fault {
    let given: String = given.chars().take(40).collect();
    Fault::Unsupported(format!(
        "The authorization mechanism you have provided is not supported: expected {ALGORITHM}, not {given:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_parsed_into_seconds() {
        assert_eq!(seconds("20220618T140000Z"), Some(1_655_560_800));
        for broken in
            ["", "20220618T140000", "20221318T140000Z", "2022-06-18T1400Z", "20220618X140000Z", "é0220618T14000Z"]
        {
            assert_eq!(seconds(broken), None, "{broken}");
        }
    }
}
