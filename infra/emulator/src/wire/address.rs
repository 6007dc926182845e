//! Which bucket a host name names: `BUCKET.localhost` is `localhost/BUCKET`, as AWS has it below its own names.
//!
//! Only names that end like an S3 endpoint's name buckets. Any other host, or an IP address, is this endpoint itself,
//! whatever it is called on a network of containers.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};
use s3s::Body;

/// The same request with the bucket in its path rather than in its host name.
pub(super) fn with_bucket_in_path(mut request: Request<Body>) -> Request<Body> {
    let Some(bucket) = bucket_of(request.headers()) else {
        return request;
    };
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("/{bucket}{}{path}", if path.starts_with('/') { "" } else { "/" });
    // Only an address that is far too long already becomes none by this; then the path alone must be refused.
    if let Ok(uri) = Uri::builder().path_and_query(path).build() {
        *request.uri_mut() = uri;
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    }
    request
}

/// The bucket that the header `Host` names.
pub(super) fn bucket_of(headers: &HeaderMap) -> Option<String> {
    headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(bucket)
}

/// The bucket that a host name, with or without a port, names.
fn bucket(host: &str) -> Option<String> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let rest = name.strip_suffix("localhost").or_else(|| before_region(name.strip_suffix("amazonaws.com")?))?;
    let bucket = rest.strip_suffix('.')?;
    let bucket = bucket.strip_suffix(".s3").unwrap_or(bucket);
    // `s3.localhost` is an endpoint; no bucket has a name of two letters. What else is no bucket's name is told so later,
    // but must not change what the path says.
    let is_name = bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
        && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    (is_name && bucket != "s3").then(|| bucket.to_owned())
}

/// Of what is before AWS's domain, what is before the service: of `bucket.s3.eu-west-1.` it is `bucket.`, and of the
/// bare endpoint, or another service's, nothing.
fn before_region(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.')?;
    let is_service = |label: &str| label == "s3" || label.starts_with("s3-");
    // The service is followed by at most two labels: `dualstack` and the region.
    let mut start = name.len();
    for _ in 0..3 {
        let before = name[..start].trim_end_matches('.');
        let label_start = before.rfind('.').map_or(0, |dot| dot + 1);
        if is_service(&before[label_start..]) {
            return Some(&name[..label_start]);
        }
        start = label_start;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn hosts_below_an_endpoint_name_a_bucket() {
        for (host, expected) in [
            ("stedi.localhost:7833", "stedi"),
            ("stedi.localhost", "stedi"),
            ("with.dots.localhost:7833", "with.dots"),
            ("stedi.s3.localhost:7833", "stedi"),
            ("STEDI.s3.LOCALHOST.", "stedi"),
            ("stedi.s3.amazonaws.com", "stedi"),
            ("with.dots.s3.us-east-1.amazonaws.com", "with.dots"),
            ("stedi.s3-us-west-2.amazonaws.com", "stedi"),
            ("stedi.s3.dualstack.us-east-1.amazonaws.com:443", "stedi"),
        ] {
            assert_eq!(bucket(host).as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_the_endpoint() {
        let hosts = [
            "localhost:7833",
            "s3.localhost",
            ".localhost",
            "..localhost",
            "127.0.0.1:7833",
            "[::1]:7833",
            "s3.amazonaws.com",
            "s3.us-east-1.amazonaws.com",
            "glue.us-east-1.amazonaws.com",
            "notlocalhost",
            "stedi:7833",
            "host.docker.internal:7833",
            "a/b.localhost",
            "a%2Fb.localhost",
            "",
        ];
        for host in hosts {
            assert_eq!(bucket(host), None, "{host}");
        }
    }

    #[test]
    fn the_bucket_goes_before_the_key() {
        let address = |host: &str, uri: &str| {
            let request = Request::builder().uri(uri).header(HOST, host).body(Body::empty()).unwrap();
            with_bucket_in_path(request).uri().to_string()
        };
        assert_eq!(address("a.localhost", "/k%20?x"), "/a/k%20?x");
        assert_eq!(address("a.localhost", "/?list-type=2"), "/a/?list-type=2");
        assert_eq!(address("a.localhost", "//k"), "/a//k");
        assert_eq!(address("a.localhost", "http://a.localhost/k"), "/a/k");
        assert_eq!(address("localhost", "/a/k"), "/a/k");
    }
}
