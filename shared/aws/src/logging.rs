//! Structured logs: one JSON object a line on standard output, as CloudWatch reads them.
//!
//! Every time a landing file is derived, one line tells its counts and how long it took. Logs name objects and counts,
//! and never a value of a record.

use lake::layout::Place;
use lake::receipt::Receipt;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "info,lambda_runtime=warn";

/// Sends this process's logs that pass `filter` to `writer`, as JSON lines. Only the first call counts.
pub fn init<W>(filter: &str, writer: W)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_writer(writer);
    // A second subscriber would be a second voice; the first one stays.
    let _ = subscriber.try_init();
}

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
pub fn landing_file(place: &Place, receipt: &Receipt, propagated: bool, writes: usize, timer: &Timer) {
    tracing::info!(
        source = %receipt.source,
        object = %place,
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
