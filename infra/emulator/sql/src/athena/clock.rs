//! What time it is. Executions say when they were submitted and ended, and results are kept for so long.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of this machine.
#[expect(clippy::disallowed_methods, reason = "executions say when they ran; nothing that is derived knows of them")]
pub(super) fn of_this_machine() -> Clock {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Arc::new(move || i64::try_from(now()).unwrap_or(i64::MAX))
}

/// A time as JSON 1.1 has it: seconds.
pub(super) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
