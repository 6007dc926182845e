//! Signatures of calls that are no S3 requests (`s3s` checks those): Glue, Athena, STS.
//!
//! AWS Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//! All these calls are a POST to `/`, so there is one canonical path, and no query.

use super::AccessKey;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the clocks of client and server may be apart, as on AWS.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// Why a call is not believed: the exception's name and text, as AWS words them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Distrust {
    pub(super) code: &'static str,
    pub(super) message: String,
}

pub(super) fn distrust(code: &'static str, message: impl Into<String>) -> Distrust {
    Distrust { code, message: message.into() }
}

/// What an Authorization header says.
struct Authorization<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
}

/// The service that a call is signed for.
pub(super) fn service(headers: &HeaderMap) -> Option<&str> {
    Some(parse(headers.get(AUTHORIZATION)?.to_str().ok()?)?.service)
}

fn parse(text: &str) -> Option<Authorization<'_>> {
    let mut parts: [Option<&str>; 3] = [None; 3];
    for part in text.strip_prefix(ALGORITHM)?.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let place = ["Credential", "SignedHeaders", "Signature"].iter().position(|known| *known == name)?;
        parts[place] = Some(value);
    }
    let [credential, headers, signature] = parts;
    // A key may have slashes in it, what follows it has not.
    let mut scope = credential?.rsplitn(5, '/');
    let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(key)) =
        (scope.next(), scope.next(), scope.next(), scope.next(), scope.next())
    else {
        return None;
    };
    Some(Authorization { key, date, region, service, headers: headers?.split(';').collect(), signature: signature? })
}

/// Checks that a POST to `/` with `headers` and `body` is signed with `key`, and not long ago.
pub(super) fn check(headers: &HeaderMap, body: &[u8], key: &AccessKey, now: SystemTime) -> Result<(), Distrust> {
    let text = headers.get(AUTHORIZATION);
    let text = text.ok_or_else(|| distrust("MissingAuthenticationTokenException", "Missing Authentication Token"))?;
    let authorization = text.to_str().ok().and_then(parse).ok_or_else(|| {
        let expected = format!("{ALGORITHM} Credential=…, SignedHeaders=…, Signature=…");
        distrust("IncompleteSignatureException", format!("the Authorization header is none that says {expected}"))
    })?;
    if authorization.key != key.id || headers.contains_key("x-amz-security-token") {
        let message = "The security token included in the request is invalid.";
        return Err(distrust("UnrecognizedClientException", message));
    }
    let date = header(headers, "x-amz-date").unwrap_or_default();
    let time = time_of(&date).filter(|_| date.starts_with(authorization.date)).ok_or_else(|| {
        let message = format!("the header x-amz-date is {date:?}, expected a time on {} as signed", authorization.date);
        distrust("IncompleteSignatureException", message)
    })?;
    let apart = now.duration_since(time).or_else(|_| time.duration_since(now)).unwrap_or_default();
    if apart > SKEW_MAX {
        let message = format!("Signature expired: {date} is {} s from the time of this endpoint", apart.as_secs());
        return Err(distrust("InvalidSignatureException", message));
    }
    if !authorization.headers.contains(&"host") {
        return Err(distrust("InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }

    let mut canonical = String::from("POST\n/\n\n");
    for name in &authorization.headers {
        // A header that is signed and not there is signed as an empty one, so the signatures differ.
        let value = header(headers, name).unwrap_or_default();
        let _ = writeln!(canonical, "{name}:{}", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let _ = write!(canonical, "\n{}\n{}", authorization.headers.join(";"), hex(&Sha256::digest(body)));
    let Authorization { date: day, region, service, .. } = authorization;
    let signed = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n");
    let signed = signed + &hex(&Sha256::digest(canonical));
    let signing_key = generate_signing_key(&key.secret, time, region, service);
    match equal(&calculate_signature(signing_key, signed.as_bytes()), authorization.signature) {
        true => Ok(()),
        false => Err(distrust(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details.",
        )),
    }
}

/// The values of a header, as they are signed.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    values.filter(|values| !values.is_empty()).map(|values| values.join(","))
}

/// `20261123T080910Z`.
fn time_of(text: &str) -> Option<SystemTime> {
    let (day, time) = (text.get(..8)?, text.get(9..15)?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() != 16 || !digits(day) || !digits(time) || text.get(8..9)? != "T" || !text.ends_with('Z') {
        return None;
    }
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    DateTime::from_str(&text, Format::DateTime).ok()?.try_into().ok()
}

/// In a time that does not tell where they differ.
fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_smithy_runtime_api::client::identity::Identity;
    use http::{HeaderName, HeaderValue};
    use std::time::UNIX_EPOCH;

    const BODY: &[u8] = b"{}";

    fn key(id: &str, secret: &str) -> AccessKey {
        AccessKey { id: id.into(), secret: secret.into() }
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_655_564_444)
    }

    /// The headers of a call as the SDKs sign it.
    fn call(id: &str, secret: &str) -> HeaderMap {
        let identity: Identity = aws_credential_types::Credentials::new(id, secret, None, None, "test").into();
        let params = SigningParams::builder().identity(&identity).region("us-east-1").name("glue").time(now());
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let sent = [("host", "localhost:7833"), ("x-amz-target", "AWSGlue.GetTable")];
        let request =
            SignableRequest::new("POST", "http://localhost:7833/", sent.into_iter(), SignableBody::Bytes(BODY))
                .unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let all = sent.into_iter().chain(added);
        all.map(|(name, value)| {
            (name.to_lowercase().parse::<HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap())
        })
        .collect()
    }

    fn code(headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<&'static str> {
        check(headers, body, &key("test", "secret"), now).err().map(|distrust| distrust.code)
    }

    #[test]
    fn a_call_that_is_signed_is_believed() {
        let headers = call("test", "secret");
        assert_eq!(service(&headers), Some("glue"));
        assert_eq!(code(&headers, BODY, now()), None);
        assert_eq!(code(&headers, BODY, now() + SKEW_MAX), None);
    }

    #[test]
    fn a_call_that_is_not_or_wrongly_signed_is_not_believed() {
        let headers = call("test", "secret");
        assert_eq!(code(&HeaderMap::new(), BODY, now()), Some("MissingAuthenticationTokenException"));
        assert_eq!(code(&headers, b"{ }", now()), Some("InvalidSignatureException"));
        assert_eq!(code(&headers, BODY, now() + SKEW_MAX * 2), Some("InvalidSignatureException"));
        assert_eq!(code(&headers, BODY, now() - SKEW_MAX * 2), Some("InvalidSignatureException"));
        assert_eq!(code(&call("test", "other"), BODY, now()), Some("InvalidSignatureException"));
        assert_eq!(code(&call("other", "secret"), BODY, now()), Some("UnrecognizedClientException"));
        let mut other = headers.clone();
        other.insert("x-amz-target", HeaderValue::from_static("AWSGlue.DeleteTable"));
        assert_eq!(code(&other, BODY, now()), Some("InvalidSignatureException"));
        for text in ["", "Basic dGVzdA==", "AWS4-HMAC-SHA256 Credential=test/1/2", "AWS4-HMAC-SHA256 ,=,="] {
            let mut other = headers.clone();
            other.insert(AUTHORIZATION, HeaderValue::from_static(text));
            assert_eq!(code(&other, BODY, now()), Some("IncompleteSignatureException"), "{text}");
        }
        for text in ["", "20220618T150044", "2022-06-18T15:0Z", "20220619T150044Z", "20220618Té50044Z"] {
            let mut other = headers.clone();
            other.insert("x-amz-date", HeaderValue::from_str(text).unwrap());
            assert_eq!(code(&other, BODY, now()), Some("IncompleteSignatureException"), "{text}");
        }
    }
}
