//! Removes the signature of a verified request: `s3s` refuses signed requests unless it verifies them itself.

use http::header::AUTHORIZATION;
use http::{Request, Uri};
use s3s::Body;

/// The parameters of a presigned address that belong to its signature.
const PARAMETERS: [&str; 10] = [
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

/// Returns the request without its signature.
pub(super) fn without_signature(mut request: Request<Body>) -> Request<Body> {
    if let Some(query) = request.uri().query().filter(|query| query.contains("Signature=")) {
        let kept = query.split('&').filter(|part| !PARAMETERS.contains(&part.split('=').next().unwrap_or_default()));
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = format!("{}?{}", request.uri().path(), kept.collect::<Vec<_>>().join("&")).parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request.headers_mut().remove(AUTHORIZATION);
    request
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn only_the_signature_is_removed_from_a_presigned_address() {
        let uri = "http://h/b/k?x-id=GetObject&X-Amz-Date=1&X-Amz-Signature=2&list-type=2";
        let request =
            Request::builder().uri(uri).header("authorization", "AWS4-HMAC-SHA256").body(Body::empty()).unwrap();
        let request = without_signature(request);
        assert_eq!(request.uri(), "http://h/b/k?x-id=GetObject&list-type=2");
        assert!(request.headers().is_empty());
    }
}
