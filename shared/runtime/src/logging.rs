//! Structured logs: one JSON object a line, as CloudWatch reads them.
//!
//! Each time a landing file is committed, one line gives its row counts and the duration. Logs name objects and counts,
//! and never a value of a record.

use tracing_subscriber::EnvFilter;

/// The filter without `RUST_LOG`.
pub const DEFAULT_FILTER: &str = "info,lambda_runtime=warn";

/// Writes the logs of this process that pass `filter` to `writer`, as JSON lines. Only the first call has an effect.
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
    // The first subscriber of a process stays.
    let _ = subscriber.try_init();
}
