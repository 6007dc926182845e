//! The log line of a landing file, and what the metrics count of it. Logs name objects and counts, never a value of a record.

use formats::receipt::Receipt;
use model::layout::ObjectLocation;
use std::time::Instant;
use store::counters::Counters;

/// Measures how long something takes, for the logs and for nothing else.
#[derive(Debug)]
pub struct Timer(Instant);

impl Timer {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "a duration in a log decides nothing")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start in milliseconds.
    pub fn elapsed_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

/// Tells that everything that follows from a landing file was brought up to date: by its own event, or since the trust
/// in somebody changed.
pub fn landing_file(location: &ObjectLocation, receipt: &Receipt, propagated: bool, writes: usize, timer: &Timer) {
    tracing::info!(
        source = %receipt.source,
        object = %location,
        file = %receipt.file,
        propagated,
        rows = receipt.rows,
        kept = receipt.kept,
        excluded = receipt.excluded.values().sum::<u64>(),
        excluded_by_reason = ?receipt.excluded,
        quarantined = receipt.quarantined,
        writes,
        duration_ms = timer.elapsed_ms(),
        "landing file derived"
    );
}

/// Counts the rows of a landing file that its own event ingested.
pub fn count_ingested(counters: &Counters, receipt: &Receipt) {
    counters.add(|counts| {
        counts.rows_read += receipt.rows;
        counts.rows_kept += receipt.kept;
        counts.rows_quarantined += receipt.quarantined;
        for (reason, rows) in &receipt.excluded {
            *counts.rows_excluded.entry(reason.clone()).or_default() += rows;
        }
    });
}
