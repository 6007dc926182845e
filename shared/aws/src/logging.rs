//! Structured logs: one JSON object a line on standard output, as CloudWatch reads them.
//!
//! A landing file is a span; when it closes, one line tells its counts and how long it took. No value of a record ever
//! gets into a span or an event.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged unless `RUST_LOG` says otherwise. The runtime's own spans would add a line for each invocation.
pub const DEFAULT_FILTER: &str = "info,lambda_runtime=warn";

/// Sends this process's logs that pass `filter` to `writer`, as JSON lines. Only the first call counts.
pub fn init<W>(filter: &str, writer: W)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_span_events(FmtSpan::CLOSE)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer);
    // A second subscriber would be a second voice; the first one stays.
    let _ = subscriber.try_init();
}
