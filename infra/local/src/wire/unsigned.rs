//! Requests may be signed or not: nobody checks the signature.
//!
//! `s3s` refuses a signed request unless it can check it. The endpoint serves one user's files to that user, so the
//! signature is taken off instead, and with it the framing of a body that was signed chunk by chunk.

use super::chunked;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName};
use http::{HeaderValue, Request, Uri};
use s3s::Body;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

/// The same request without a signature.
pub(super) fn accept(mut request: Request<Body>) -> Request<Body> {
    if let Some(uri) = without_presignature(request.uri()) {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    headers.remove(AUTHORIZATION);
    let framed = headers.remove(CONTENT_SHA256).is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"))
        | strip_encoding(headers);
    if !framed {
        return request;
    }
    // The length that was announced is the framed one; the body's own is in another header.
    match headers.remove(DECODED_LENGTH) {
        Some(length) => headers.insert(CONTENT_LENGTH, length),
        None => headers.remove(CONTENT_LENGTH),
    };
    request.map(chunked::decode)
}

/// Takes `aws-chunked` out of the content encoding, which S3 does not store either; whether it was there.
fn strip_encoding(headers: &mut http::HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let (framing, others): (Vec<&str>, Vec<&str>) =
        value.split(',').map(str::trim).partition(|encoding| encoding.eq_ignore_ascii_case("aws-chunked"));
    if framing.is_empty() {
        return false;
    }
    match HeaderValue::from_str(&others.join(",")) {
        Ok(rest) if !rest.is_empty() => headers.insert(CONTENT_ENCODING, rest),
        _ => headers.remove(CONTENT_ENCODING),
    };
    true
}

/// The address without the signature of a presigned request, if it has one.
fn without_presignature(uri: &Uri) -> Option<Uri> {
    const PARAMETERS: [&str; 7] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ];
    let query = uri.query().filter(|query| query.contains("X-Amz-Signature="))?;
    let kept = query.split('&').filter(|part| !PARAMETERS.contains(&part.split('=').next().unwrap_or_default()));
    let kept: Vec<_> = kept.collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{}?{}", uri.path(), kept.join("&")).parse().ok();
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    fn get(headers: &[(&str, &str)], uri: &str, body: &'static str) -> Request<Body> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    }

    #[test]
    fn a_presigned_address_loses_only_its_signature() {
        let uri = "http://h/b/k?x-id=GetObject&X-Amz-Date=1&X-Amz-Signature=2&list-type=2";
        assert_eq!(accept(get(&[], uri, "")).uri(), "http://h/b/k?x-id=GetObject&list-type=2");
    }

    #[tokio::test]
    async fn a_framed_body_is_unframed() {
        let headers = [
            ("authorization", "AWS4-HMAC-SHA256 …"),
            ("content-encoding", "gzip, aws-chunked"),
            ("content-length", "99"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ];
        let framed = "3;chunk-signature=abc\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let mut request = accept(get(&headers, "/b/k", framed));
        assert_eq!(request.headers().get("content-encoding").unwrap(), "gzip");
        assert_eq!(request.headers().get("content-length").unwrap(), "5");
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(request.body_mut().store_all_limited(99).await.unwrap(), "hello");
    }
}
