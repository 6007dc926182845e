//! What must hold of anything that a function is invoked with: it is read without a panic, no message takes another
//! with it, and it does not matter what an event is wrapped in, nor when it happened.

use crate::events::{Message, NOTIFICATIONS_MAX, parse};
use model::layout::ObjectLocation;
use serde_json::{Value, json};

/// Parses a payload, if it is JSON at all.
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

/// The payload without any time that it tells outside of texts.
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

/// Each message has its id, and comes to what it would come to alone.
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

/// An event fails as a whole, and leads to the same objects in whatever it is wrapped.
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

/// In how many notifications the events are that are in the most of them, if the event can be read.
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

/// The objects; none if the message is bad. Why it is bad may be told otherwise.
fn outcome(message: &Message) -> Option<&[ObjectLocation]> {
    message.objects.as_ref().ok().map(Vec::as_slice)
}
