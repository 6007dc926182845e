//! CloudWatch's embedded metric format: one JSON object a line, which names those of its members that are metrics.
//!
//! A dimension has one value in a line, so each reason needs its own line. A metric is a number, or a list of at most
//! [`VALUES_MAX`] numbers. Lambda treats a line as of level INFO, so a higher application log level drops the metrics.

use super::{DIMENSION, EVENT_AGE, Metric, NAMESPACE, REASON_DIMENSION, ROWS_EXCLUDED};
use crate::events::EventTime;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use store::counters::{Counters, Counts};

/// The most values of one metric in a line.
const VALUES_MAX: usize = 100;

/// Prints the counts since the last call, and the ages of the events with these `times`. `function` is the name in Lambda,
/// which differs between lakes.
pub(crate) fn print(function: &str, counters: &Counters, times: &[EventTime]) {
    let lines = lines(function, now_ms(), &counters.drain(), times);
    // The outputs are committed, whether or not their metrics are printed.
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "the time of a metric decides nothing")]
fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn lines(function: &str, now_ms: i64, counts: &Counts, times: &[EventTime]) -> String {
    let ages: Vec<Value> = times.iter().map(|time| time.age_ms(now_ms).into()).collect();
    let mut ages = ages.chunks(VALUES_MAX).map(|ages| (EVENT_AGE, ages.into()));
    let of_function = [(DIMENSION, function)];
    let totals = super::totals(counts).map(|(metric, total)| (metric, total.into()));
    let totals: Vec<(Metric, Value)> = totals.into_iter().chain(ages.next()).collect();
    let mut lines = line(now_ms, &of_function, &totals);
    for further in ages {
        lines += &line(now_ms, &of_function, &[further]);
    }
    for (reason, rows) in &counts.rows_excluded {
        let of_reason = [(DIMENSION, function), (REASON_DIMENSION, reason)];
        lines += &line(now_ms, &of_reason, &[(ROWS_EXCLUDED, (*rows).into())]);
    }
    lines
}

fn line(now_ms: i64, dimensions: &[(&str, &str)], values: &[(Metric, Value)]) -> String {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let metrics: Vec<Value> =
        values.iter().map(|(metric, _)| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics});
    let mut line = Map::new();
    line.insert("_aws".into(), json!({"Timestamp": now_ms, "CloudWatchMetrics": [directive]}));
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    line.extend(values.iter().map(|(metric, value)| (metric.name.to_owned(), value.clone())));
    format!("{}\n", Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::METRICS;
    use std::collections::{BTreeMap, BTreeSet};

    const NOW_MS: i64 = 1_709_971_200_000;

    /// The times of events with these ages.
    fn times(ages_ms: impl IntoIterator<Item = i64>) -> Vec<EventTime> {
        let message = |age_ms: i64| {
            let body = json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]});
            let sent = json!({"SentTimestamp": (NOW_MS - age_ms).to_string()});
            json!({"eventSource": "aws:sqs", "messageId": "1", "body": body.to_string(), "attributes": sent})
        };
        let messages: Vec<Value> = ages_ms.into_iter().map(message).collect();
        crate::events::parse(&json!({"Records": messages})).iter().filter_map(|message| message.time).collect()
    }

    fn counts() -> Counts {
        let excluded = BTreeMap::from([("before_consent".to_owned(), 2), ("no_trusted_customer".to_owned(), 3)]);
        Counts {
            rows_read: 10,
            rows_kept: 4,
            rows_excluded: excluded,
            rows_quarantined: 1,
            objects_written: 6,
            conflicts: 7,
            retries: 8,
            s3_requests: 9,
            glue_requests: 11,
        }
    }

    /// Checks each line against the specification of the format. Returns the lines.
    fn checked(text: &str) -> Vec<Value> {
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).inspect(check).collect()
    }

    fn check(line: &Value) {
        assert_eq!(line["_aws"]["Timestamp"], NOW_MS);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 1);
        let mut members = BTreeSet::from(["_aws"]);
        assert_eq!(directives[0]["Namespace"], "STEDI");
        for set in directives[0]["Dimensions"].as_array().unwrap() {
            let names: Vec<&str> = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert!((1..=30).contains(&names.len()));
            assert!(names.iter().all(|name| line[*name].as_str().is_some_and(|value| !value.is_empty())), "{line}");
            members.extend(names);
        }
        let metrics = directives[0]["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            let known = METRICS.iter().find(|known| known.name == name).unwrap();
            assert_eq!(*metric, serde_json::json!({"Name": known.name, "Unit": known.unit}));
            match &line[name] {
                Value::Array(values) => {
                    assert!((1..=100).contains(&values.len()) && values.iter().all(Value::is_u64), "{line}");
                }
                value => assert!(value.is_u64(), "{line}"),
            }
            assert!(members.insert(name), "{name} twice");
        }
        // Each member is a metric or a dimension.
        assert!(line.as_object().unwrap().keys().all(|member| members.contains(member.as_str())), "{line}");
    }

    #[test]
    fn first_line_has_every_metric_and_further_lines_have_reasons() {
        let lines = checked(&lines("accelerometer_trusted", NOW_MS, &counts(), &times([5, 70_000])));
        assert_eq!(lines.len(), 3);
        let all = &lines[0];
        assert_eq!(all["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["function"]]));
        assert_eq!(all["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), METRICS.len());
        assert!(lines.iter().all(|line| line["function"] == "accelerometer_trusted"));
        let values = METRICS.iter().map(|metric| all[metric.name].clone());
        assert_eq!(Value::from_iter(values), json!([10, 4, 5, 1, 6, 7, 8, [5, 70_000], 9, 11]));
        for (line, reason, rows) in [(&lines[1], "before_consent", 2), (&lines[2], "no_trusted_customer", 3)] {
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["function", "reason"]]));
            assert_eq!((&line["reason"], &line["rows_excluded"]), (&json!(reason), &json!(rows)));
        }
    }

    #[test]
    fn zero_counts_are_printed_and_missing_ages_are_not() {
        let lines = checked(&lines("customer_curated", NOW_MS, &Counts::default(), &[]));
        assert_eq!(lines.len(), 1);
        for metric in METRICS {
            let expected = if *metric == EVENT_AGE { Value::Null } else { 0.into() };
            assert_eq!(lines[0][metric.name], expected, "{metric:?}");
        }
    }

    #[test]
    fn many_ages_take_several_lines() {
        let lines = checked(&lines("customer_trusted", NOW_MS, &Counts::default(), &times(0..250)));
        assert_eq!(lines.len(), 3);
        let ages = lines.iter().flat_map(|line| line["event_age"].as_array().unwrap().clone());
        assert!(ages.eq((0..250).map(Value::from)));
        assert_eq!(lines[2]["rows_read"], Value::Null);
    }

    #[test]
    fn event_from_the_future_has_age_0() {
        assert_eq!(checked(&lines("customer_trusted", NOW_MS, &counts(), &times([-3])))[0]["event_age"], json!([0]));
    }
}
