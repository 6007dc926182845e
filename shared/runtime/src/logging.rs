//! Structured logs: one JSON object a line on standard output, as CloudWatch reads them.
//!
//! Every time a landing file is derived, one line tells its counts and how long it took. Logs name objects and counts,
//! and never a value of a record.

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
