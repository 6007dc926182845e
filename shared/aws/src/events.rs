//! What a Lambda function is invoked with → which objects to look at.
//!
//! S3 events come directly, inside SQS messages, inside SNS notifications, inside SNS inside SQS, and as EventBridge's
//! "Object Created". An event carries no truth; of it only the object's place is used.

use aws_lambda_events::event::s3::S3EventRecord;
use lake::layout::Place;
use serde_json::Value;

/// How many SNS notifications an event may be inside of. One is what happens; without a bound, a payload could say how
/// deep this recurses.
pub const NOTIFICATIONS_MAX: usize = 3;

/// A part of an invocation that succeeds or fails by itself.
#[derive(Debug)]
pub struct Message {
    /// The SQS message's id; none if the invocation is one event and fails as a whole.
    pub id: Option<String>,
    /// The objects it says to look at, or why it cannot be read.
    pub objects: Result<Vec<Place>, BadEvent>,
}

/// An event that is none of those we know.
#[derive(Debug, thiserror::Error)]
#[error("event is not understood: {0}; expected an S3 event, by itself or within SQS, SNS or EventBridge")]
pub struct BadEvent(String);

/// The messages of an invocation.
pub fn parse(payload: &Value) -> Vec<Message> {
    let records = payload["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.iter().any(|record| record["eventSource"] == "aws:sqs") {
        let message = |record: &Value| Message {
            id: record["messageId"].as_str().map(str::to_owned),
            objects: body(&record["body"], 0),
        };
        records.iter().map(message).collect()
    } else {
        vec![Message { id: None, objects: event(payload, 0) }]
    }
}

/// A text that holds an event, inside of so many notifications.
fn body(text: &Value, notifications: usize) -> Result<Vec<Place>, BadEvent> {
    let text = text.as_str().ok_or_else(|| BadEvent("a message without a body".into()))?;
    let value: Value = serde_json::from_str(text).map_err(|error| BadEvent(format!("message body: {error}")))?;
    event(&value, notifications)
}

fn event(value: &Value, notifications: usize) -> Result<Vec<Place>, BadEvent> {
    // S3 says hello to a new target with an event of its own shape.
    if value["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if value["Type"] == "Notification" {
        return notification(value, notifications);
    }
    if let Some(detail_type) = value["detail-type"].as_str() {
        return event_bridge(detail_type, &value["detail"]);
    }
    let records = value["Records"].as_array().ok_or_else(|| BadEvent("neither Records nor a detail-type".into()))?;
    let mut places = Vec::new();
    for record in records {
        if record["EventSource"] == "aws:sns" {
            places.extend(notification(&record["Sns"], notifications)?);
        } else {
            places.extend(s3_record(record)?);
        }
    }
    Ok(places)
}

/// An SNS notification that is itself inside of so many.
fn notification(value: &Value, notifications: usize) -> Result<Vec<Place>, BadEvent> {
    if notifications == NOTIFICATIONS_MAX {
        return Err(BadEvent(format!("more than {NOTIFICATIONS_MAX} SNS notifications inside one another")));
    }
    body(&value["Message"], notifications + 1)
}

fn s3_record(record: &Value) -> Result<Option<Place>, BadEvent> {
    let record: S3EventRecord =
        serde_json::from_value(record.clone()).map_err(|error| BadEvent(format!("S3 record: {error}")))?;
    let version = record.event_version.unwrap_or_default();
    if version.split('.').next() != Some("2") {
        return Err(BadEvent(format!("S3 event version {version:?}, expected 2.x")));
    }
    // A deleted landing object changes nothing: landing may be archived or expire.
    if !record.event_name.unwrap_or_default().starts_with("ObjectCreated:") {
        return Ok(None);
    }
    let missing = || BadEvent("S3 record without a bucket name or an object key".into());
    let bucket = record.s3.bucket.name.ok_or_else(missing)?;
    let key = record.s3.object.key.ok_or_else(missing)?;
    Ok(Some(Place { bucket, key: url_decoded(&key)? }))
}

/// EventBridge's keys are not encoded.
fn event_bridge(detail_type: &str, detail: &Value) -> Result<Vec<Place>, BadEvent> {
    if detail_type != "Object Created" {
        return if detail_type.starts_with("Object ") {
            Ok(Vec::new())
        } else {
            Err(BadEvent(format!("EventBridge detail-type {detail_type:?}")))
        };
    }
    let place = |detail: &Value| {
        let (bucket, key) = (detail["bucket"]["name"].as_str()?, detail["object"]["key"].as_str()?);
        Some(Place { bucket: bucket.to_owned(), key: key.to_owned() })
    };
    let missing = || BadEvent("EventBridge event without a bucket name or an object key".into());
    place(detail).map(|place| vec![place]).ok_or_else(missing)
}

/// S3's notifications write a space as `+`, and other bytes as `%XX`.
fn url_decoded(key: &str) -> Result<String, BadEvent> {
    let spaces = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaces).decode_utf8();
    decoded.map(|key| key.into_owned()).map_err(|error| BadEvent(format!("object key {key:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(name: &str, key: &str) -> Value {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
            "eventTime": "2022-06-18T15:00:00.000Z", "eventName": name, "userIdentity": {"principalId": "A"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"}, "responseElements": {},
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "b", "ownerIdentity": {"principalId": "A"},
            "arn": "arn:aws:s3:::b"}, "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0"}}})
    }

    fn s3(key: &str) -> Value {
        json!({"Records": [record("ObjectCreated:Put", key)]})
    }

    fn sqs(id: &str, body: impl ToString) -> Value {
        json!({"messageId": id, "eventSource": "aws:sqs", "body": body.to_string()})
    }

    fn keys(payload: Value) -> Vec<String> {
        parse(&payload).into_iter().flat_map(|m| m.objects.unwrap()).map(|place| place.key).collect()
    }

    #[test]
    fn every_wrapping_leads_to_the_object() {
        let notification = json!({"Type": "Notification", "Message": s3("k").to_string()});
        let bridge =
            json!({"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b %41"}}});
        assert_eq!(keys(s3("k")), ["k"]);
        assert_eq!(keys(json!({"Records": [sqs("1", s3("k")), sqs("2", notification)]})), ["k", "k"]);
        assert_eq!(
            keys(json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": s3("k").to_string()}}]})),
            ["k"]
        );
        assert_eq!(keys(bridge.clone()), ["a+b %41"]);
        assert_eq!(keys(json!({"Records": [sqs("1", bridge)]})), ["a+b %41"]);
    }

    #[test]
    fn an_event_inside_of_too_many_notifications_is_an_error() {
        let mut event = s3("k");
        for _ in 0..NOTIFICATIONS_MAX {
            event = json!({"Type": "Notification", "Message": event.to_string()});
        }
        assert_eq!(keys(event.clone()), ["k"]);
        assert_eq!(keys(json!({"Records": [sqs("1", event.clone())]})), ["k"]);
        let sns = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": event.to_string()}}]});
        for too_many in [sns, json!({"Type": "Notification", "Message": event.to_string()})] {
            let error = parse(&too_many).remove(0).objects.unwrap_err().to_string();
            assert!(error.contains("more than 3 SNS notifications"), "{error}");
        }
    }

    #[test]
    fn keys_are_url_decoded() {
        assert_eq!(keys(s3("a+b%2Bc/x%3D1%C3%BC.json")), ["a b+c/x=1ü.json"]);
    }

    #[test]
    fn removals_and_test_events_say_nothing() {
        assert!(keys(json!({"Records": [record("ObjectRemoved:Delete", "k")]})).is_empty());
        assert!(keys(json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})).is_empty());
        assert!(keys(json!({"detail-type": "Object Deleted", "detail": {}})).is_empty());
    }

    #[test]
    fn one_bad_body_fails_alone() {
        let messages = parse(&json!({"Records": [sqs("1", "{"), sqs("2", s3("k"))]}));
        assert!(messages[0].objects.is_err() && messages[0].id.as_deref() == Some("1"));
        assert_eq!(messages[1].objects.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        let mut version_3 = record("ObjectCreated:Put", "k");
        version_3["eventVersion"] = "3.0".into();
        for bad in [json!({}), json!([]), json!({"Records": [{}]}), json!({"Records": [version_3]}), s3("%ff")] {
            assert!(parse(&bad)[0].objects.is_err(), "{bad}");
        }
    }
}
