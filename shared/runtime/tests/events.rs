//! Runs the fuzzer's check of payloads: on random payloads, on sample events, damaged or not, and on the fuzzer's corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../../../tests/fuzz/checks/events.rs"]
mod check;

use check::{check, check_payload};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use runtime::events;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The sample events.
static SAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let samples: Vec<_> =
        files(&root().join("events")).filter(|path| path.extension() == Some("json".as_ref())).collect();
    samples.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
});

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.into_iter()
}

#[test]
fn payloads_of_the_fuzzer_pass_the_check() {
    for folder in ["corpus", "regressions"] {
        for file in files(&root().join("tests/fuzz").join(folder).join("events")) {
            // Shown if the test fails.
            println!("{}", file.display());
            check(&std::fs::read(file).unwrap());
        }
    }
}

#[test]
fn sample_events_pass_the_check() {
    SAMPLES.iter().for_each(check_payload);
}

/// Mostly names that have a meaning in an event.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "Records",
        "eventSource",
        "messageId",
        "body",
        "Event",
        "Type",
        "Message",
        "detail-type",
        "detail",
        "EventSource",
        "Sns",
        "eventVersion",
        "eventName",
        "s3",
        "bucket",
        "name",
        "object",
        "key",
        "eventTime",
        "time",
        "Timestamp",
        "attributes",
        "SentTimestamp",
    ];
    prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn text() -> impl Strategy<Value = String> {
    let known = [
        "aws:sqs",
        "aws:s3",
        "aws:sns",
        "s3:TestEvent",
        "Notification",
        "Object Created",
        "2.1",
        "{}",
        "%ff",
        "2022-06-18T15:00:00Z",
        "1655564400000",
    ];
    prop_oneof![select(known.to_vec()).prop_map(str::to_owned), any::<String>()]
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name(), inner.clone(), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            // JSON in a text, as in the body of a message.
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// A sample event with some values replaced or removed, also in the text of a message's body.
fn damaged_sample() -> impl Strategy<Value = Value> {
    let damage = (any::<Index>(), prop::option::weighted(0.7, value()));
    (any::<Index>(), vec(damage, 1..4)).prop_map(|(sample, damages)| {
        let mut sample = SAMPLES[sample.index(SAMPLES.len())].clone();
        for (at, instead) in damages {
            let mut left = at.index(count(&sample));
            replace(&mut sample, &mut left, instead.as_ref());
        }
        sample
    })
}

/// Counts the values in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::String(text) => serde_json::from_str::<Value>(text).map_or(0, |inner| count(&inner)),
        _ => 0,
    }
}

/// Replaces the value at position `left`, in the order of [`count`], by another value or null.
fn replace(value: &mut Value, left: &mut usize, instead: Option<&Value>) -> bool {
    if *left == 0 {
        *value = instead.cloned().unwrap_or_default();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(values) => values.iter_mut().any(|value| replace(value, left, instead)),
        Value::Object(fields) => {
            let Some(name) =
                fields.iter_mut().find_map(|(name, value)| replace(value, left, instead).then(|| name.clone()))
            else {
                return false;
            };
            if instead.is_none() && fields[&name].is_null() {
                fields.remove(&name);
            }
            true
        }
        Value::String(text) => {
            let Ok(mut inner) = serde_json::from_str::<Value>(text) else { return false };
            let replaced = replace(&mut inner, left, instead);
            *text = inner.to_string();
            replaced
        }
        _ => false,
    }
}

/// Encodes a key as S3 does in a notification: a space as `+`, and most other bytes as `%XX`.
fn encoded(key: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');
    utf8_percent_encode(key, ENCODED).to_string().replace(' ', "+")
}

fn message(id: &str, body: &str) -> Value {
    json!({"messageId": id, "eventSource": "aws:sqs", "body": body})
}

fn keys(message: &events::Message) -> Vec<&str> {
    message.objects.iter().flatten().map(|location| location.key.as_str()).collect()
}

fn config(cases: u32) -> ProptestConfig {
    // Add a failing payload to the fuzzer's regressions.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn any_json_passes_the_check(payload in value()) {
        check_payload(&payload);
    }

    #[test]
    fn damaged_sample_event_passes_the_check(payload in damaged_sample()) {
        check_payload(&payload);
    }

    #[test]
    fn key_survives_encoding(key in "[ +%/a-c*~._=]{0,8}|\\PC{0,30}|[\u{0}-\u{ff}]{0,20}") {
        let mut event = SAMPLES.iter().find(|sample| sample["Records"][0]["s3"].is_object()).unwrap().clone();
        event["Records"][0]["s3"]["object"]["key"] = encoded(&key).into();
        event["Records"][0]["eventName"] = "ObjectCreated:Put".into();
        let bridge = json!({"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": key}}});
        for event in [event, bridge] {
            let messages = events::parse(&event);
            prop_assert_eq!(keys(&messages[0]), [key.as_str()]);
        }
    }

    #[test]
    fn bad_body_fails_alone(bodies in vec(prop::option::of(value()), 1..8)) {
        // Every second message is good.
        let good = SAMPLES.iter().find(|sample| sample["Records"][0]["s3"].is_object()).unwrap();
        let expected = events::parse(good);
        let bodies = bodies.iter().flat_map(|body| [body.as_ref().map(Value::to_string), Some(good.to_string())]);
        let batch: Vec<Value> = bodies
            .enumerate()
            .map(|(id, body)| message(&id.to_string(), body.as_deref().unwrap_or("{\"Records\": [")))
            .collect();
        let messages = events::parse(&json!({"Records": batch}));
        prop_assert_eq!(messages.len(), batch.len());
        for (id, message) in messages.iter().enumerate() {
            prop_assert_eq!(message.id.clone(), Some(id.to_string()));
            if id % 2 == 1 {
                prop_assert_eq!(keys(message), keys(&expected[0]));
            }
        }
        check_payload(&json!({"Records": batch}));
    }
}
