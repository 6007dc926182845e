//! Events in the shapes that AWS documents, with all fields, also those that no function reads.

use crate::json::{Json, fields};
use md5::{Digest, Md5};
use topology::TRIGGERS;

const ACCOUNT_ID: &str = "123456789012";
const REGION: &str = "us-east-1";
const BUCKET: &str = "stedi";
/// The time of all events but the earlier one in `out_of_order.json`.
pub(crate) const TIME: &str = "2024-03-09T08:30:00.000Z";
const TIME_MS: u64 = 1_709_973_000_000;
pub(crate) const SEQUENCER: &str = "0065EC1D28A1B2C3D4";

/// The fields of an object in an event.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
}

/// The ETag of a put: the MD5 of the body, unless the object is encrypted with a KMS key.
pub(crate) fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An S3 notification.
pub(crate) fn s3(records: Vec<Json>) -> Json {
    fields! {"Records": records}
}

/// One record of an S3 notification, for a put.
pub(crate) fn created(object: &Object) -> Json {
    record("ObjectCreated:Put", object, TIME, SEQUENCER)
}

/// One record of an S3 notification.
pub(crate) fn record(name: &str, object: &Object, time: &str, sequencer: &str) -> Json {
    let Object { key, size, etag } = object;
    // A removal has neither size nor ETag.
    let described = if name.starts_with("ObjectRemoved:") {
        fields! {"key": url_encoded(key), "sequencer": sequencer}
    } else {
        fields! {"key": url_encoded(key), "size": *size, "eTag": etag.as_str(), "sequencer": sequencer}
    };
    fields! {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": time,
        "eventName": name,
        "userIdentity": fields! {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": fields! {"sourceIPAddress": "203.0.113.7"},
        "responseElements": fields! {
            "x-amz-request-id": "C3D13FE58DE4C810",
            "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD",
        },
        "s3": fields! {
            "s3SchemaVersion": "1.0",
            "configurationId": trigger(key),
            "bucket": fields! {
                "name": BUCKET,
                "ownerIdentity": fields! {"principalId": "A3NL1KOZZKEXAMPLE"},
                "arn": format!("arn:aws:s3:::{BUCKET}"),
            },
            "object": described,
        },
    }
}

/// The name of the trigger of the key, which is part of the name of its topic.
fn trigger(key: &str) -> String {
    let trigger = TRIGGERS.iter().find(|trigger| key.starts_with(trigger.prefix));
    trigger.map_or("elsewhere", |trigger| trigger.prefix.trim_matches(['/', '_'])).replace(['/', '_'], "-")
}

/// Encodes a key as S3 does in events: a space as `+`, and most other bytes as `%XX`.
fn url_encoded(key: &str) -> String {
    let encoded = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'/' | b'-' | b'_' | b'.' | b'*' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(encoded).collect()
}

/// What S3 sends when a notification is configured.
pub(crate) fn test_event() -> Json {
    fields! {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": TIME,
        "Bucket": BUCKET,
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
    }
}

/// A batch of messages, as a function receives it from its queue.
pub(crate) fn sqs(function: &str, bodies: Vec<String>) -> Json {
    let messages = bodies.into_iter().enumerate().map(|(index, body)| {
        fields! {
            "messageId": message_id(index + 1),
            "receiptHandle": format!("AQEBexample{}==", index + 1),
            "body": body.as_str(),
            "attributes": fields! {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": TIME_MS.to_string(),
                "SenderId": "AIDAEXAMPLE",
                "ApproximateFirstReceiveTimestamp": (TIME_MS + 4).to_string(),
            },
            "messageAttributes": fields! {},
            "md5OfBody": md5(body.as_bytes()),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:stedi-{function}"),
            "awsRegion": REGION,
        }
    });
    fields! {"Records": messages.collect::<Vec<_>>()}
}

fn message_id(number: usize) -> String {
    format!("059f36b4-87a3-44ab-83d2-{number:012}")
}

/// The SNS notification around a message, for a subscription without raw delivery.
pub(crate) fn sns(key: &str, message: String) -> Json {
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:stedi-{}", trigger(key));
    let endpoint = format!("https://sns.{REGION}.amazonaws.com");
    let subscription = format!("{topic}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55");
    fields! {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": topic,
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": TIME,
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN...",
        "SigningCertURL": format!("{endpoint}/SimpleNotificationService-EXAMPLE.pem"),
        "UnsubscribeURL": format!("{endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription}"),
    }
}

/// The EventBridge event of a put. Its key is not encoded.
pub(crate) fn event_bridge(object: &Object) -> Json {
    let Object { key, size, etag } = object;
    fields! {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": ACCOUNT_ID,
        "time": TIME.replace(".000", ""),
        "region": REGION,
        "resources": vec![Json::from(format!("arn:aws:s3:::{BUCKET}"))],
        "detail": fields! {
            "version": "0",
            "bucket": fields! {"name": BUCKET},
            "object": fields! {"key": key.as_str(), "size": *size, "etag": etag.as_str(), "sequencer": SEQUENCER},
            "request-id": "C3D13FE58DE4C810",
            "requester": ACCOUNT_ID,
            "source-ip-address": "203.0.113.7",
            "reason": "PutObject",
        },
    }
}
