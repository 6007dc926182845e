//! A verified request loses its signature: `s3s` refuses a signed request unless it can check it itself.

use super::signature;
use http::header::AUTHORIZATION;
use http::{Request, Uri};
use s3s::Body;

/// The same request without a signature.
pub(super) fn without_signature(mut request: Request<Body>) -> Request<Body> {
    if let Some(uri) = without_presignature(request.uri()) {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(AUTHORIZATION);
    request
}

/// The address without the signature of a presigned request, if it has one.
fn without_presignature(uri: &Uri) -> Option<Uri> {
    const PARAMETERS: [&str; 10] = [
        signature::KEY_ID,
        signature::EXPIRES,
        signature::SIGNATURE,
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ];
    let query = uri.query().filter(|query| query.contains("Signature="))?;
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

    #[test]
    fn a_presigned_address_loses_only_its_signature() {
        let uri = "http://h/b/k?x-id=GetObject&X-Amz-Date=1&X-Amz-Signature=2&list-type=2";
        let request =
            Request::builder().uri(uri).header("authorization", "AWS4-HMAC-SHA256").body(Body::empty()).unwrap();
        let request = without_signature(request);
        assert_eq!(request.uri(), "http://h/b/k?x-id=GetObject&list-type=2");
        assert!(request.headers().is_empty());
    }
}
