//! Which bucket a request names by its host: `BUCKET.localhost:7833`, or, for clients that go through this process,
//! `BUCKET.s3.REGION.amazonaws.com`. Any other host means that the bucket is in the path.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

pub(crate) struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let known = VirtualHost::new(host);
        Ok(match bucket(host) {
            Some(bucket) => known.with_bucket(bucket),
            None => known,
        })
    }
}

/// The bucket that a host names.
pub(super) fn bucket(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let bucket = match name.strip_suffix(".localhost") {
        Some(bucket) => bucket.strip_suffix(".s3").unwrap_or(bucket),
        None => {
            let (bucket, region) = name.strip_suffix(".amazonaws.com")?.rsplit_once(".s3")?;
            // `.s3` alone, or `.s3.REGION`.
            if !region.is_empty() && !region.starts_with('.') {
                return None;
            }
            bucket
        }
    };
    s3s::path::check_bucket_name(bucket).then_some(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_name_a_bucket() {
        for (host, expected) in [
            ("stedi.localhost:7833", Some("stedi")),
            ("stedi.localhost", Some("stedi")),
            ("stedi.s3.localhost:7833", Some("stedi")),
            ("a.lake.localhost:7833", Some("a.lake")),
            ("stedi.s3.eu-central-1.amazonaws.com", Some("stedi")),
            ("stedi.s3.amazonaws.com", Some("stedi")),
            ("localhost:7833", None),
            ("s3.localhost:7833", None),
            ("127.0.0.1:7833", None),
            ("[::1]:7833", None),
            ("s3.us-east-1.amazonaws.com", None),
            ("glue.us-east-1.amazonaws.com", None),
            ("NO_BUCKET.localhost", None),
            ("", None),
        ] {
            assert_eq!(bucket(host), expected, "{host}");
        }
    }
}
