//! Metrics: what the functions count, in the form that CloudWatch reads from the logs.
//!
//! Each [`Lake`](store::lake::Lake) has [`Counters`](store::counters::Counters). In Lambda, the bootstrap prints them after
//! each invocation, in CloudWatch's embedded metric format. That needs no request and no permission. The metrics are in the
//! namespace [`NAMESPACE`], by function.
//!
//! | metric | unit | value, per invocation |
//! |---|---|---|
//! | `rows_read` | Count | rows of the landing files that were ingested: kept, excluded and quarantined |
//! | `rows_kept` | Count | of these, rows in the outputs |
//! | `rows_excluded` | Count | of these, rows that are not in the outputs; further lines give them by `reason`, as in the receipts |
//! | `rows_quarantined` | Count | of these, pieces that are not records |
//! | `objects_written` | Count | puts that S3 carried out, `_state/` included |
//! | `conflicts` | Count | puts that S3 refused because of another version, or answered with 409 |
//! | `retries` | Count | requests sent again: by the SDK, after a 409, or after a concurrent change of a table in Glue |
//! | `event_age` | Milliseconds | from the time in an event to the end of the invocation: one value for each message, of its oldest event |
//! | `s3_requests` | Count | requests to S3, repetitions included |
//! | `glue_requests` | Count | requests to Glue, repetitions included |
//!
//! Rows count when a file is ingested for its own event, not when it is reprocessed. Each delivery of an event counts
//! them, also a repeated one. So these numbers show a trend; the receipts have the exact row counts.
//!
//! S3 may carry out a put whose response is lost. The SDK sends it again, and S3 refuses it: it counts in `conflicts` and
//! not in `objects_written`. A failed event has no age; the queue has a metric for that. An invocation that Lambda stops,
//! for instance at its timeout, prints nothing.

mod emf;

pub(crate) use emf::print;

use serde::Serialize;
use store::counters::Counts;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "STEDI";
/// The dimension of all metrics: the name of the function in Lambda.
pub const DIMENSION: &str = "function";
/// The second dimension of `rows_excluded`, which is printed with and without it.
pub const REASON_DIMENSION: &str = "reason";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: Unit,
}

/// A unit, as CloudWatch spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Milliseconds,
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Count }
}

const ROWS_READ: Metric = count("rows_read");
const ROWS_KEPT: Metric = count("rows_kept");
const ROWS_EXCLUDED: Metric = count("rows_excluded");
const ROWS_QUARANTINED: Metric = count("rows_quarantined");
const OBJECTS_WRITTEN: Metric = count("objects_written");
const CONFLICTS: Metric = count("conflicts");
const RETRIES: Metric = count("retries");
const EVENT_AGE: Metric = Metric { name: "event_age", unit: Unit::Milliseconds };
const S3_REQUESTS: Metric = count("s3_requests");
const GLUE_REQUESTS: Metric = count("glue_requests");

/// All metrics. The module's documentation explains each.
pub const METRICS: &[Metric] = &[
    ROWS_READ,
    ROWS_KEPT,
    ROWS_EXCLUDED,
    ROWS_QUARANTINED,
    OBJECTS_WRITTEN,
    CONFLICTS,
    RETRIES,
    EVENT_AGE,
    S3_REQUESTS,
    GLUE_REQUESTS,
];

/// Returns the metrics of `counts` that are one number.
fn totals(counts: &Counts) -> [(Metric, u64); 9] {
    [
        (ROWS_READ, counts.rows_read),
        (ROWS_KEPT, counts.rows_kept),
        (ROWS_EXCLUDED, counts.rows_excluded.values().sum()),
        (ROWS_QUARANTINED, counts.rows_quarantined),
        (OBJECTS_WRITTEN, counts.objects_written),
        (CONFLICTS, counts.conflicts),
        (RETRIES, counts.retries),
        (S3_REQUESTS, counts.s3_requests),
        (GLUE_REQUESTS, counts.glue_requests),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_metrics_are_unique_and_each_is_printed() {
        let table = serde_json::to_value(METRICS).unwrap();
        assert_eq!(table[0], json!({"name": "rows_read", "unit": "Count"}));
        assert_eq!(table[7], json!({"name": "event_age", "unit": "Milliseconds"}));
        for (i, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[i + 1..].iter().all(|other| other.name != metric.name), "{metric:?}");
        }
        let mut printed: Vec<Metric> = totals(&Counts::default()).iter().map(|(metric, _)| *metric).collect();
        printed.push(EVENT_AGE);
        assert!(METRICS.iter().all(|metric| printed.contains(metric)) && printed.len() == METRICS.len());
    }
}
