//! What the functions count, and how CloudWatch hears of it.
//!
//! A [`Lake`](store::lake::Lake) has [`Counters`](store::counters::Counters) of what is done through it. In Lambda, and nowhere else, the bootstrap
//! prints after each invocation what it counted, in CloudWatch's embedded metric format: the metrics come out of the
//! log, without a request and without a permission. All of them are in the namespace [`NAMESPACE`], by function.
//!
//! | metric | unit | what it is, per invocation |
//! |---|---|---|
//! | `rows_read` | Count | rows of the landing files that were read and derived: kept, excluded and quarantined together |
//! | `rows_kept` | Count | those that are rows of the files' outputs |
//! | `rows_excluded` | Count | those that are not; on further lines also by `reason`, the ones of the receipts |
//! | `rows_quarantined` | Count | those that were no records |
//! | `objects_written` | Count | puts that S3 carried out, the functions' own state included |
//! | `conflicts` | Count | puts that met another's: refused since the object has another version, or answered 409 |
//! | `retries` | Count | requests that were sent again, by the SDK, after a 409, or since others changed a table's partitions |
//! | `event_age` | Milliseconds | from the time that an event tells to the end of the invocation that dealt with it: one value for each message, of its oldest event |
//! | `s3_requests` | Count | requests to S3, those sent again included |
//! | `glue_requests` | Count | requests to Glue, those sent again included |
//!
//! Rows are counted when a file is read and derived for its own event, as its receipt has them; not when a change of
//! trust derives it again. Events come at least once, and a file whose event comes twice, or fails and comes again,
//! counts each time: these numbers are to watch, the receipts are the account.
//!
//! A put that S3 carried out, but whose answer was lost, is sent again and refused: it is in `conflicts`, and not in
//! `objects_written`. An event that failed has no age yet: the queue tells how old what waits in it is. An invocation
//! that Lambda stops, at its time-out for instance, prints nothing.

mod emf;

pub(crate) use emf::print;

use serde::Serialize;
use store::counters::Counts;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "STEDI";
/// The dimension of all metrics: the function, by its name in Lambda.
pub const DIMENSION: &str = "function";
/// The second dimension of `rows_excluded`, which is told with and without it.
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

/// All metrics: see the module's documentation for what each says.
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

/// All metrics of `counts` that are one number.
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
    fn the_table_says_name_and_unit_of_each_metric_once() {
        let table = serde_json::to_value(METRICS).unwrap();
        assert_eq!(table[0], json!({"name": "rows_read", "unit": "Count"}));
        assert_eq!(table[7], json!({"name": "event_age", "unit": "Milliseconds"}));
        for (i, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[i + 1..].iter().all(|other| other.name != metric.name), "{metric:?}");
        }
        let mut told: Vec<Metric> = totals(&Counts::default()).iter().map(|(metric, _)| *metric).collect();
        told.push(EVENT_AGE);
        assert!(METRICS.iter().all(|metric| told.contains(metric)) && told.len() == METRICS.len());
    }
}
