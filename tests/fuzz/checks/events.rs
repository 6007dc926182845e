//! Assertions on any payload of a function: parsing does not panic, a bad message does not affect others, and neither
//! the wrapping of an event nor its time changes its objects.

use crate::events::{Message, NOTIFICATIONS_MAX, parse};
use model::layout::ObjectLocation;
use serde_json::{Value, json};

/// Checks a payload, if it is JSON.
pub(crate) fn check(payload: &[u8]) {
    if let Ok(payload) = serde_json::from_slice(payload) {
        check_payload(&payload);
    }
}

pub(crate) fn check_payload(payload: &Value) {
    let messages = parse(payload);
    let records = payload["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.iter().any(is_message) {
        check_batch(records, &messages);
    } else {
        check_event(payload, &messages);
    }
    for (message, timeless) in messages.iter().zip(parse(&without_times(payload))) {
        assert_eq!(outcome(&timeless), outcome(message), "a message with its times and without");
        assert!(message.time.is_none() || outcome(message).is_some_and(|objects| !objects.is_empty()));
    }
}

/// The payload without its fields for times, except those inside texts.
fn without_times(payload: &Value) -> Value {
    const TIMES: [&str; 4] = ["eventTime", "time", "Timestamp", "SentTimestamp"];
    match payload {
        Value::Array(values) => values.iter().map(without_times).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| !TIMES.contains(&name.as_str()));
            Value::Object(fields.map(|(name, value)| (name.clone(), without_times(value))).collect())
        }
        other => other.clone(),
    }
}

fn is_message(record: &Value) -> bool {
    record["eventSource"] == "aws:sqs"
}

/// Asserts that each message has its id, and the same outcome as alone.
fn check_batch(records: &[Value], messages: &[Message]) {
    assert_eq!(messages.len(), records.len(), "messages of a batch");
    for (record, message) in records.iter().zip(messages) {
        assert_eq!(message.id.as_deref(), record["messageId"].as_str());
        if is_message(record) {
            let alone = parse(&json!({"Records": [record]}));
            assert_eq!(alone.len(), 1, "a message alone");
            assert_eq!(outcome(&alone[0]), outcome(message), "a message alone and in its batch");
        }
    }
}

/// Asserts that an event fails as a whole, and has the same objects in each wrapping.
fn check_event(event: &Value, messages: &[Message]) {
    assert_eq!(messages.len(), 1, "an event by itself");
    assert_eq!(messages[0].id, None);
    let direct = outcome(&messages[0]);
    let text = event.to_string();
    let notification = json!({"Type": "Notification", "Message": text});
    let message = json!({"messageId": "1", "eventSource": "aws:sqs", "body": text});
    let forwarded = json!({"messageId": "2", "eventSource": "aws:sqs", "body": notification.to_string()});
    let sns = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]});
    let bad = json!({"messageId": "3", "eventSource": "aws:sqs", "body": "{"});
    let batch = parse(&json!({"Records": [message, bad, forwarded]}));
    assert_eq!(batch.iter().filter_map(|message| message.id.as_deref()).collect::<Vec<_>>(), ["1", "3", "2"]);
    assert!(batch[1].objects.is_err());
    assert_eq!(outcome(&batch[0]), direct, "an event by itself and in a message");
    let one_more = direct.filter(|_| notifications(event) < NOTIFICATIONS_MAX);
    for wrapped in [&batch[2], &parse(&sns)[0]] {
        assert_eq!(outcome(wrapped), one_more, "an event by itself and in a notification");
    }
}

/// The depth of nested notifications in an event, if it can be parsed.
fn notifications(event: &Value) -> usize {
    let inside = |message: &Value| {
        let event = message.as_str().and_then(|text| serde_json::from_str(text).ok());
        1 + event.map_or(0, |event: Value| notifications(&event))
    };
    if event["Event"] == "s3:TestEvent" {
        return 0;
    }
    if event["Type"] == "Notification" {
        return inside(&event["Message"]);
    }
    if event["detail-type"].is_string() {
        return 0;
    }
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let from_sns = records.iter().filter(|record| record["EventSource"] == "aws:sns");
    from_sns.map(|record| inside(&record["Sns"]["Message"])).max().unwrap_or_default()
}

/// The objects of a message; none if it is bad. The reason may differ by wrapping.
fn outcome(message: &Message) -> Option<&[ObjectLocation]> {
    message.objects.as_ref().ok().map(Vec::as_slice)
}
