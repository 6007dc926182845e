//! The locations of results.

use super::fault::Fault;
use crate::protected::Protected;
use emulator_client::ObjectLocation;

/// The prefix of the API's documents in its bucket.
pub(super) const PREFIX: &str = "athena/";
/// The default prefix of results. Results expire here.
pub(super) const RESULTS: &str = "athena/results/";

/// The longest location that the API accepts.
const LOCATION_BYTES_MAX: usize = 1024;

/// Parses the folder of a call: `s3://BUCKET/PREFIX/`, with or without the last slash.
///
/// # Errors
/// If the location is malformed, protected or below the API's documents in `own_bucket`.
pub(super) fn folder(location: &str, own_bucket: &str, protected: &Protected) -> Result<ObjectLocation, Fault> {
    let wrong = |why: &str| Fault::invalid(format!("outputLocation is not a valid S3 path: {location:?} {why}"));
    if location.len() > LOCATION_BYTES_MAX {
        return Err(Fault::invalid(format!("outputLocation is longer than {LOCATION_BYTES_MAX} bytes")));
    }
    let rest = location.strip_prefix("s3://").ok_or_else(|| wrong("does not begin with s3://"))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if bucket.len() < 3 || !bucket.chars().all(is_name) {
        return Err(wrong("names no bucket"));
    }
    let key = if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
    let folder = ObjectLocation { bucket: bucket.to_owned(), key };
    let is_own = folder.bucket == own_bucket && folder.key.starts_with(PREFIX) && !folder.key.starts_with(RESULTS);
    let content = if is_own { Some("the history of queries") } else { protected.content_at(&folder) };
    match content {
        Some(content) => Err(wrong(&format!("is the location of {content}: choose a location of its own for results"))),
        None => Ok(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(location: &str) -> Result<ObjectLocation, Fault> {
        let prefixes = vec![("orders/clean/".to_owned(), "table orders".to_owned())];
        let protected = Protected { bucket: "lake".to_owned(), prefixes, ..Protected::default() };
        super::folder(location, "lake", &protected)
    }

    #[test]
    fn folder_ends_with_slash() {
        let at = |location| folder(location).map(|location| location.to_string());
        assert_eq!(at("s3://other/a/b").as_deref(), Ok("s3://other/a/b/"));
        assert_eq!(at("s3://other").as_deref(), Ok("s3://other/"));
        assert_eq!(at("s3://lake/athena/results/").as_deref(), Ok("s3://lake/athena/results/"));
        assert_eq!(at("s3://lake/anything").as_deref(), Ok("s3://lake/anything/"));
    }

    #[test]
    fn protected_or_malformed_location_is_refused() {
        for location in [
            "file:///tmp/",
            "s3:///a",
            "s3://B_D/a",
            "s3://lake/orders/clean",
            "s3://lake/orders/clean/dt=2022-06-18",
            "s3://lake/athena/executions",
        ] {
            assert!(folder(location).is_err(), "{location}");
        }
    }
}
