//! Virtual-host addresses: `BUCKET.localhost` is `localhost/BUCKET`, as `BUCKET.s3.amazonaws.com` on AWS.
//!
//! Only host names that end like those of S3 endpoints contain a bucket. Any other host or IP address is this endpoint
//! itself: containers may reach it under any name.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use regex::Regex;
use s3s::Body;
use std::sync::LazyLock;

/// Moves the bucket from the host name to the path.
pub(super) fn with_bucket_in_path(mut request: Request<Body>) -> Request<Body> {
    let Some(bucket) = request.headers().get(HOST).and_then(|host| bucket(host.to_str().ok()?)) else {
        return request;
    };
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("/{bucket}{}{path}", if path.starts_with('/') { "" } else { "/" });
    // This fails only for an address that is too long, which is refused later.
    if let Ok(uri) = Uri::builder().path_and_query(path).build() {
        *request.uri_mut() = uri;
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    }
    request
}

/// Returns the bucket in a host name with or without a port.
fn bucket(host: &str) -> Option<String> {
    #[expect(clippy::expect_used, reason = "the pattern is constant")]
    static HOST_NAME: LazyLock<Regex> = LazyLock::new(|| {
        // The service S3 is followed by at most two labels: `dualstack` and the region. Invalid names of buckets are refused
        // later, but must not change the path.
        Regex::new(r"^([a-z0-9][a-z0-9._-]*)\.(localhost|s3(-[^.]+)?(\.[^.]+){0,2}\.amazonaws\.com)\.?(:[0-9]*)?$")
            .expect("a valid pattern")
    });
    let host = host.to_ascii_lowercase();
    let bucket = HOST_NAME.captures(&host)?.get(1)?.as_str();
    let bucket = bucket.strip_suffix(".s3").unwrap_or(bucket);
    // `s3.localhost` is an endpoint; a bucket name has at least three letters.
    (bucket != "s3").then(|| bucket.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn hosts_below_an_endpoint_contain_a_bucket() {
        for (host, expected) in [
            ("photos.localhost:7833", "photos"),
            ("photos.localhost", "photos"),
            ("with.dots.localhost:7833", "with.dots"),
            ("photos.s3.localhost:7833", "photos"),
            ("PHOTOS.s3.LOCALHOST.", "photos"),
            ("photos.s3.amazonaws.com", "photos"),
            ("with.dots.s3.us-east-1.amazonaws.com", "with.dots"),
            ("photos.s3-us-west-2.amazonaws.com", "photos"),
            ("photos.s3.dualstack.us-east-1.amazonaws.com:443", "photos"),
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
            "photos:7833",
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
    fn the_bucket_is_put_before_the_key() {
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
