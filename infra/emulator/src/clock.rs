//! The one clock of the local stack. It stamps events and catalogue entries, on which nothing depends, and tells how old
//! a signature is.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time: [`SystemTime::now`], or whatever a simulation wants it to be.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Milliseconds since 1970, UTC.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// As S3 writes it in events: `2022-06-18T14:00:00.000Z`.
pub(crate) fn iso8601(time: SystemTime) -> String {
    let mut text = Vec::new();
    // Writing to memory fails only for years that do not have four digits.
    match s3s::dto::Timestamp::from(time).format(s3s::dto::TimestampFormat::DateTime, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => "1970-01-01T00:00:00.000Z".into(),
    }
}
