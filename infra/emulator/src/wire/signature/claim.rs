//! The signature of a request, from the header `Authorization` or from the address.

use super::super::fault::Fault;
use super::version2::KEY_ID;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
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
        (false, None) if is_version2(parts) => Err(unsupported(KEY_ID)),
        (false, None) => Ok(None),
    }
}

/// Whether the address is signed by Signature Version 2.
pub(super) fn is_version2(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    !parts.headers.contains_key(AUTHORIZATION)
        && parameter(query, KEY_ID).is_some()
        && parameter(query, "X-Amz-Signature").is_none()
}

fn from_header(value: &str, headers: &HeaderMap) -> Result<Claim, Fault> {
    let (algorithm, rest) = value.trim().split_once(' ').ok_or_else(|| unsupported(value))?;
    if algorithm != ALGORITHM {
        return Err(unsupported(algorithm));
    }
    let field = |name: &str| {
        let mut fields = rest.split(',').filter_map(|field| field.trim().split_once('='));
        let found = fields.find(|(given, _)| *given == name).map(|(_, value)| value.to_owned());
        found.ok_or_else(|| malformed(format!("the header Authorization has no {name}")))
    };
    let (stamp, seconds) = stamp(headers)?;
    claim(field("Credential")?, field("SignedHeaders")?, field("Signature")?, stamp, seconds, None)
        .map(|claim| Claim { has_token: headers.contains_key("x-amz-security-token"), ..claim })
}

fn from_address(query: &str) -> Result<Claim, Fault> {
    let field = |name: &str| {
        parameter(query, name)
            .ok_or_else(|| malformed(format!("the address has no {name}, which a presigned one needs")))
    };
    let algorithm = field("X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(unsupported(&algorithm));
    }
    let stamp = field("X-Amz-Date")?;
    let seconds = seconds(&stamp).ok_or_else(|| malformed(format!("X-Amz-Date is {stamp:?}, not a time")))?;
    let expires = field("X-Amz-Expires")?;
    let expires = expires.parse().ok().filter(|seconds| (0..=EXPIRES_SECONDS_MAX).contains(seconds));
    let expires = expires
        .ok_or_else(|| malformed(format!("X-Amz-Expires must be a number of at most {EXPIRES_SECONDS_MAX} seconds")))?;
    let [credential, headers, signature] =
        [field("X-Amz-Credential")?, field("X-Amz-SignedHeaders")?, field("X-Amz-Signature")?];
    claim(credential, headers, signature, stamp, seconds, Some(expires))
        .map(|claim| Claim { has_token: parameter(query, "X-Amz-Security-Token").is_some(), ..claim })
}

fn claim(
    credential: String,
    signed_headers: String,
    signature: String,
    stamp: String,
    seconds: i64,
    expires: Option<i64>,
) -> Result<Claim, Fault> {
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
    let names: Vec<_> = signed_headers.split(';').map(str::to_ascii_lowercase).collect();
    Ok(Claim {
        key_id: key_id.to_owned(),
        scope: format!("{day}/{region}/{service}/aws4_request"),
        day: day.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: names,
        signature,
        stamp,
        seconds,
        expires,
        has_token: false,
    })
}

/// Returns the time of a request with a signature in a header.
fn stamp(headers: &HeaderMap) -> Result<(String, i64), Fault> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(stamp) = text("x-amz-date") {
        let seconds = seconds(stamp).ok_or_else(|| malformed(format!("x-amz-date is {stamp:?}, not a time")))?;
        return Ok((stamp.to_owned(), seconds));
    }
    let date = text(DATE.as_str()).ok_or_else(|| malformed("the request has neither x-amz-date nor Date"))?;
    let time = DateTime::from_str(date, Format::HttpDate)
        .map_err(|_| malformed(format!("the header Date is {date:?}, not a time")))?;
    let stamp = time.fmt(Format::DateTime).unwrap_or_default().replace(['-', ':'], "");
    Ok((stamp, time.secs()))
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
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
    let (_, value) = parameters.find(|(given, _)| *given == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

pub(super) fn malformed(why: impl Into<String>) -> Fault {
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
