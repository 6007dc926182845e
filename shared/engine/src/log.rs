//! The log line and the metrics of a landing file. Logs name objects and counts, and never a value of a record.

use formats::receipt::Receipt;
use model::layout::ObjectLocation;
use std::fmt;
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

/// Why the outputs of a landing file are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The file's own event.
    Ingested,
    /// Another event: it changed the consent of a customer in the file, or which record of a customer counts.
    ConsentChanged,
}

/// The name in logs.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingested => "ingested",
            Self::ConsentChanged => "consent_changed",
        })
    }
}

/// Logs that the outputs of a landing file are committed.
pub fn landing_file(location: &ObjectLocation, receipt: &Receipt, cause: Cause, writes: usize, timer: &Timer) {
    tracing::info!(
        source = %receipt.source,
        object = %location,
        file = %receipt.file,
        %cause,
        rows = receipt.rows,
        kept = receipt.kept,
        excluded = receipt.excluded.values().sum::<u64>(),
        excluded_by_reason = ?receipt.excluded,
        quarantined = receipt.quarantined,
        writes,
        duration_ms = timer.elapsed_ms(),
        "landing file committed"
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
