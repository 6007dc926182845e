//! The clock that stamps executions and expires results.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of the machine.
#[expect(clippy::disallowed_methods, reason = "only executions carry this time")]
pub(super) fn of_this_machine() -> Clock {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Arc::new(move || i64::try_from(now()).unwrap_or(i64::MAX))
}

/// A time in the API's JSON: seconds.
pub(super) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
