//! Reads the payload of an invocation: which objects it names.
//!
//! S3 events come directly, in SQS messages, in SNS notifications, in SNS notifications in SQS messages, and as "Object
//! Created" of EventBridge. The functions use only the object's location. The metrics also use the time of the event.

use aws_smithy_types::date_time::{DateTime, Format};
use model::layout::ObjectLocation;
use serde_json::Value;

/// How deep SNS notifications may be nested. One level is usual; without a limit, a payload could choose the depth of the
/// recursion.
pub const NOTIFICATIONS_MAX: usize = 3;

/// A part of an invocation that succeeds or fails on its own.
#[derive(Debug)]
pub struct Message {
    /// The id of the SQS message; none if the invocation is one event, which fails as a whole.
    pub id: Option<String>,
    /// The objects that it names, or why it cannot be read.
    pub objects: Result<Vec<ObjectLocation>, BadEvent>,
    /// The time of its oldest event; none if it has no time or names no object.
    pub time: Option<EventTime>,
    /// How often SQS has delivered it, this time included.
    pub receives: u32,
}

/// The time that an event gives. It only converts to an age, and only for the metrics, so it decides nothing.
#[derive(Clone, Copy, Debug)]
pub struct EventTime(i64);

impl EventTime {
    /// Returns the age in milliseconds; 0 for a time in the future, since clocks differ.
    pub(crate) fn age_ms(self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.0).max(0)
    }

    /// Reads a time as S3, EventBridge and SNS write it: `2024-03-09T08:00:00.000Z`.
    fn parse(text: &Value) -> Option<Self> {
        let time = DateTime::from_str(text.as_str()?, Format::DateTimeWithOffset).ok()?;
        time.to_millis().ok().map(Self)
    }

    /// Reads the time when SQS received the message: milliseconds since 1970, as text.
    fn sent(message: &Value) -> Option<Self> {
        message["attributes"]["SentTimestamp"].as_str()?.parse().ok().map(Self)
    }

    fn oldest(times: [Option<Self>; 2]) -> Option<Self> {
        times.into_iter().flatten().min_by_key(|time| time.0)
    }
}

/// A payload that is not an event of a known shape.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the event: {0}; expected an S3 event, alone or in SQS, SNS or EventBridge")]
pub struct BadEvent(String);

/// The objects that events name, and the time of the oldest event.
#[derive(Default)]
struct Named {
    locations: Vec<ObjectLocation>,
    time: Option<EventTime>,
}

impl Named {
    fn one(location: ObjectLocation, time: &Value) -> Self {
        Self { locations: vec![location], time: EventTime::parse(time) }
    }

    fn add(&mut self, other: Self) {
        self.locations.extend(other.locations);
        self.time = EventTime::oldest([self.time, other.time]);
    }

    /// Takes `time`, that of the envelope, if the events have none.
    fn or_time(mut self, time: impl FnOnce() -> Option<EventTime>) -> Self {
        if !self.locations.is_empty() {
            self.time = self.time.or_else(time);
        }
        self
    }
}

/// Reads the messages of an invocation.
pub fn parse(payload: &Value) -> Vec<Message> {
    let records = payload["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.iter().any(|record| record["eventSource"] == "aws:sqs") {
        let named = |record: &Value| Ok(body(&record["body"], 0)?.or_time(|| EventTime::sent(record)));
        let id = |record: &Value| record["messageId"].as_str().map(str::to_owned);
        let receives = |record: &Value| record["attributes"]["ApproximateReceiveCount"].as_str()?.parse().ok();
        records.iter().map(|record| message(id(record), receives(record), named(record))).collect()
    } else {
        vec![message(None, None, event(payload, 0))]
    }
}

fn message(id: Option<String>, receives: Option<u32>, named: Result<Named, BadEvent>) -> Message {
    let time = named.as_ref().ok().and_then(|named| named.time);
    Message { id, objects: named.map(|named| named.locations), time, receives: receives.unwrap_or(1) }
}

/// Reads the event in a text, at this depth of notifications.
fn body(text: &Value, notifications: usize) -> Result<Named, BadEvent> {
    let text = text.as_str().ok_or_else(|| BadEvent("a message without a body".into()))?;
    let value: Value = serde_json::from_str(text).map_err(|error| BadEvent(format!("message body: {error}")))?;
    event(&value, notifications)
}

fn event(value: &Value, notifications: usize) -> Result<Named, BadEvent> {
    // S3 sends a test event of its own shape to a new target.
    if value["Event"] == "s3:TestEvent" {
        return Ok(Named::default());
    }
    if value["Type"] == "Notification" {
        return notification(value, notifications);
    }
    if let Some(detail_type) = value["detail-type"].as_str() {
        return event_bridge(detail_type, value);
    }
    let records = value["Records"].as_array().ok_or_else(|| BadEvent("neither Records nor a detail-type".into()))?;
    let mut named = Named::default();
    for record in records {
        named.add(if record["EventSource"] == "aws:sns" {
            notification(&record["Sns"], notifications)?
        } else {
            s3_record(record)?
        });
    }
    Ok(named)
}

/// Reads an SNS notification at this depth of notifications.
fn notification(value: &Value, notifications: usize) -> Result<Named, BadEvent> {
    if notifications == NOTIFICATIONS_MAX {
        return Err(BadEvent(format!("more than {NOTIFICATIONS_MAX} SNS notifications in one another")));
    }
    Ok(body(&value["Message"], notifications + 1)?.or_time(|| EventTime::parse(&value["Timestamp"])))
}

/// Reads only the fields that are used. Other fields may be absent or have any value.
fn s3_record(record: &Value) -> Result<Named, BadEvent> {
    let version = record["eventVersion"].as_str().unwrap_or_default();
    if version.split('.').next() != Some("2") {
        return Err(BadEvent(format!("S3 event version {version:?}, expected 2.x")));
    }
    let name = record["eventName"].as_str().ok_or_else(|| BadEvent("S3 record without an event name".into()))?;
    // A deletion changes nothing: landing files may be archived or expire.
    if !name.starts_with("ObjectCreated:") {
        return Ok(Named::default());
    }
    let missing = || BadEvent("S3 record without a bucket name or an object key".into());
    let ObjectLocation { bucket, key } = location(&record["s3"]).ok_or_else(missing)?;
    Ok(Named::one(ObjectLocation { bucket, key: url_decoded(&key)? }, &record["eventTime"]))
}

/// Reads an event of EventBridge, whose keys are not encoded.
fn event_bridge(detail_type: &str, event: &Value) -> Result<Named, BadEvent> {
    if detail_type != "Object Created" {
        return if detail_type.starts_with("Object ") {
            Ok(Named::default())
        } else {
            Err(BadEvent(format!("EventBridge detail-type {detail_type:?}")))
        };
    }
    let missing = || BadEvent("EventBridge event without a bucket name or an object key".into());
    location(&event["detail"]).map(|location| Named::one(location, &event["time"])).ok_or_else(missing)
}

/// Reads bucket and key, without decoding them.
fn location(value: &Value) -> Option<ObjectLocation> {
    let (bucket, key) = (value["bucket"]["name"].as_str()?, value["object"]["key"].as_str()?);
    Some(ObjectLocation { bucket: bucket.to_owned(), key: key.to_owned() })
}

/// Decodes a key of an S3 notification: a space is `+`, other bytes are `%XX`.
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
        parse(&payload).into_iter().flat_map(|m| m.objects.unwrap()).map(|location| location.key).collect()
    }

    #[test]
    fn every_envelope_is_opened() {
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

    /// The age of the message at `T`.
    fn age_ms(payload: Value) -> Option<i64> {
        parse(&payload).remove(0).time.map(|time| time.age_ms(T))
    }

    /// 2022-06-18T15:00:00Z
    const T: i64 = 1_655_564_400_000;

    #[test]
    fn time_is_of_the_oldest_event_or_of_the_envelope() {
        let at = |time: Value| {
            let mut record = record("ObjectCreated:Put", "k");
            record["eventTime"] = time;
            record
        };
        let records = |times: [Value; 2]| json!({"Records": times.map(at)});
        let own = records(["2022-06-18T14:59:59.500Z".into(), "2022-06-18T16:59:58+02:00".into()]);
        assert_eq!(age_ms(own.clone()), Some(2000));
        assert_eq!(age_ms(records(["2022-06-18T14:59:59Z".into(), "yesterday".into()])), Some(1000));

        let bridge = json!({"detail-type": "Object Created", "time": "2022-06-18T14:59:57Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}});
        assert_eq!(age_ms(bridge), Some(3000));

        let sns = |event: &Value| json!({"Message": event.to_string(), "Timestamp": "2022-06-18T14:59:56.000Z"});
        let notification = |event: &Value| {
            let mut notification = sns(event);
            notification["Type"] = "Notification".into();
            notification
        };
        let sent = |event: &Value| {
            let mut message = sqs("1", event);
            message["attributes"] = json!({"SentTimestamp": (T - 5000).to_string()});
            json!({"Records": [message]})
        };
        let none = records([Value::Null, 1.into()]);
        assert_eq!(age_ms(none.clone()), None);
        assert_eq!(age_ms(notification(&none)), Some(4000));
        assert_eq!(age_ms(json!({"Records": [{"EventSource": "aws:sns", "Sns": sns(&none)}]})), Some(4000));
        assert_eq!(age_ms(sent(&none)), Some(5000));
        assert_eq!(age_ms(sent(&notification(&none))), Some(4000));
        assert_eq!(age_ms(sent(&notification(&own))), Some(2000));
        // It names no object.
        assert_eq!(age_ms(sent(&json!({"Event": "s3:TestEvent"}))), None);
    }

    #[test]
    fn invalid_time_is_ignored() {
        for time in [Value::Null, json!(5), json!({}), "yesterday".into(), "2022-13-18T15:00:00Z".into()] {
            let mut event = s3("k");
            event["Records"][0]["eventTime"] = time.clone();
            assert_eq!(keys(event.clone()), ["k"], "{time}");
            let mut message = sqs("1", event);
            message["attributes"] = json!({"SentTimestamp": time});
            let messages = parse(&json!({"Records": [message]}));
            assert!(messages[0].objects.is_ok() && messages[0].time.is_none(), "{time}");
        }
        assert_eq!(EventTime(i64::MIN).age_ms(i64::MAX), i64::MAX);
        assert_eq!(EventTime(i64::MAX).age_ms(0), 0);
    }

    #[test]
    fn too_deep_notifications_are_an_error() {
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
    fn deletions_and_test_events_name_no_object() {
        assert!(keys(json!({"Records": [record("ObjectRemoved:Delete", "k")]})).is_empty());
        assert!(keys(json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})).is_empty());
        assert!(keys(json!({"detail-type": "Object Deleted", "detail": {}})).is_empty());
    }

    #[test]
    fn bad_body_fails_alone() {
        let messages = parse(&json!({"Records": [sqs("1", "{"), sqs("2", s3("k"))]}));
        assert!(messages[0].objects.is_err() && messages[0].id.as_deref() == Some("1"));
        assert_eq!(messages[1].objects.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn unknown_payload_is_an_error() {
        let mut version_3 = s3("k");
        version_3["Records"][0]["eventVersion"] = "3.0".into();
        let nameless = json!({"Records": [{"eventVersion": "2.1", "s3": version_3["Records"][0]["s3"]}]});
        for bad in [json!({}), json!([]), json!({"Records": [{}]}), version_3, nameless, s3("%ff")] {
            assert!(parse(&bad)[0].objects.is_err(), "{bad}");
        }
    }
}
