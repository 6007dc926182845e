//! The log line and the metrics of a landing file. Logs name objects and counts, and never a value of a record.

use formats::receipt::Receipt;
use model::layout::ObjectLocation;
use std::time::Instant;
use store::counters::Counters;

/// Measures a duration, for the logs only.
#[derive(Debug)]
pub struct Timer(Instant);

impl Timer {
    /// Starts the measurement.
    #[expect(clippy::disallowed_methods, reason = "a duration in a log decides nothing")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the milliseconds since the start.
    pub fn elapsed_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

/// Logs that a landing file is ingested.
pub fn landing_file(location: &ObjectLocation, receipt: &Receipt, writes: usize, timer: &Timer) {
    tracing::info!(
        source = %receipt.source,
        object = %location,
        file = %receipt.file,
        rows = receipt.rows,
        kept = receipt.kept,
        excluded = receipt.excluded.values().sum::<u64>(),
        excluded_by_reason = ?receipt.excluded,
        quarantined = receipt.quarantined,
        writes,
        duration_ms = timer.elapsed_ms(),
        "landing file ingested"
    );
}

/// Counts the rows of a landing file that was ingested.
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
