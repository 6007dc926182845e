//! Where results go.

use super::fault::Fault;
use crate::protected::Protected;
use emulator_client::ObjectLocation;

/// Below it in the lake's bucket is all that this API keeps. It is no table's location, and wakes no function.
pub(super) const PREFIX: &str = "athena/";
/// Results go here unless a work group or a call says otherwise; they do not stay here.
pub(super) const RESULTS: &str = "athena/results/";

/// The longest location that the API takes.
const LOCATION_BYTES_MAX: usize = 1024;

/// A folder in S3 as a call names it: `s3://BUCKET/PREFIX/`, with or without the slash at its end.
///
/// # Errors
/// If it is none, if it is protected, or if it is where the API keeps its own documents in `bucket`.
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
    fn a_folder_ends_with_a_slash_whatever_was_named() {
        let at = |location| folder(location).map(|place| place.to_string());
        assert_eq!(at("s3://other/a/b").as_deref(), Ok("s3://other/a/b/"));
        assert_eq!(at("s3://other").as_deref(), Ok("s3://other/"));
        assert_eq!(at("s3://lake/athena/results/").as_deref(), Ok("s3://lake/athena/results/"));
        assert_eq!(at("s3://lake/anything").as_deref(), Ok("s3://lake/anything/"));
    }

    #[test]
    fn results_go_nowhere_among_the_lake_or_outside_of_s3() {
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
