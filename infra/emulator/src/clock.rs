//! The one clock of the emulator. It stamps events and catalog entries, and gives the age of a signature.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time: [`SystemTime::now`], or the time of a simulation.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Milliseconds since 1970, UTC.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time as S3 writes it in events: `2022-06-18T14:00:00.000Z`.
pub(crate) fn iso8601(time: SystemTime) -> String {
    let mut text = Vec::new();
    // Writing to memory fails only for years that do not have four digits.
    match s3s::dto::Timestamp::from(time).format(s3s::dto::TimestampFormat::DateTime, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => "1970-01-01T00:00:00.000Z".into(),
    }
}
