//! Where results go.

use super::fault::Fault;
use lake::layout::{CHARTER, ObjectLocation, RECEIPTS};
use lake::table::Table;

/// Below it in the lake's bucket is all that this API keeps. It is no table's location, and wakes no function.
pub(super) const PREFIX: &str = "athena/";
/// Results go here unless a work group or a call says otherwise; they do not stay here.
pub(super) const RESULTS: &str = "athena/results/";

/// The longest location that the API takes.
const LOCATION_BYTES_MAX: usize = 1024;

/// A folder in S3 as a call names it: `s3://BUCKET/PREFIX/`, with or without the slash at its end.
///
/// # Errors
/// If it is none, or if in the lake's own bucket `lake` it is where objects are that the lake is made of.
pub(super) fn folder(location: &str, lake: &str) -> Result<ObjectLocation, Fault> {
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
    if bucket == lake
        && let Some(taken) = taken(&key)
    {
        let why = format!("is where the lake keeps {taken}: results among it would be taken for its rows");
        return Err(wrong(&why));
    }
    Ok(ObjectLocation { bucket: bucket.to_owned(), key })
}

/// What of the lake is at `key`, or below it.
fn taken(key: &str) -> Option<String> {
    let meets = |prefix: &str| key.starts_with(prefix);
    let tables = Table::ALL.into_iter().find(|table| meets(table.prefix()));
    let state = CHARTER.split_inclusive('/').next().unwrap_or(CHARTER);
    let others = [state, RECEIPTS, "quarantine/", "lookup/"];
    match tables {
        Some(table) => Some(table.to_string()),
        None if key.starts_with(PREFIX) && !key.starts_with(RESULTS) => Some("the history of queries".to_owned()),
        None => others.into_iter().find(|prefix| meets(prefix)).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_ends_with_a_slash_whatever_was_named() {
        let at = |location| folder(location, "lake").map(|place| place.to_string());
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
            "s3://lake/customer/landing/x",
            "s3://lake/accelerometer/trusted/dt=2022-06-18",
            "s3://lake/_state/",
            "s3://lake/receipts/customer",
            "s3://lake/athena/executions",
        ] {
            assert!(folder(location, "lake").is_err(), "{location}");
        }
    }
}
