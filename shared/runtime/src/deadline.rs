//! The time that an invocation has. It decides how much of a batch is done, and never what is written.

use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// When work must have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline of work that may take `time`.
    pub(crate) fn after(time: Duration) -> Self {
        Self(now() + time)
    }

    /// The deadline of one of `parts` parts of the work, if each may take as long as the others.
    pub(crate) fn of_part(self, parts: u32) -> Self {
        Self(now() + self.0.saturating_duration_since(now()) / parts)
    }

    /// Awaits the work; none if it does not end in time. Then it is stopped at one of its requests, as if it were killed.
    pub(crate) async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        if self.0 <= now() { None } else { tokio::time::timeout_at(self.0, work).await.ok() }
    }
}

#[expect(clippy::disallowed_methods, reason = "it decides how much of a batch is done, and never what is written")]
fn now() -> Instant {
    Instant::now()
}

/// Returns how long it is until `time`; none if it has passed.
#[expect(clippy::disallowed_methods, reason = "it decides how much of a batch is done, and never what is written")]
pub(crate) fn until(time: SystemTime) -> Option<Duration> {
    time.duration_since(SystemTime::now()).ok()
}
