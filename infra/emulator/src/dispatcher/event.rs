//! Events in the JSON of AWS: an S3 event is the body of an SQS message, and an SQS event contains messages.

use super::queue::Message;
use crate::REGION;
use crate::clock::{iso8601, milliseconds};
use crate::objects::StoredObject;
use hex::encode as hex;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::time::SystemTime;

/// The AWS account of all resources.
const ACCOUNT: &str = "000000000000";
/// The characters that S3 does not encode in an event's key. A space becomes `+`.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');

/// A stored object and the time of its put.
#[derive(Debug)]
pub(super) struct Event {
    /// Its number in the journal. It increases with every put, so it serves as sequencer, too.
    pub(super) ticket: u64,
    pub(super) object: StoredObject,
    pub(super) time: SystemTime,
}

/// Returns the payload of a call: the messages as an SQS event.
pub(super) fn batch(function: &str, messages: &[Message], now: SystemTime) -> String {
    let records: Vec<_> = messages.iter().map(|message| sqs_record(function, message, now)).collect();
    json!({ "Records": records }).to_string()
}

fn sqs_record(function: &str, message: &Message, now: SystemTime) -> Value {
    let id = message.id();
    let body = json!({ "Records": [s3_record(function, &message.event)] }).to_string();
    json!({
        "messageId": id,
        "receiptHandle": format!("{id}/{}", message.receives),
        "md5OfBody": hex(Md5::digest(&body)),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": milliseconds(message.event.time).to_string(),
            "SenderId": "local",
            "ApproximateFirstReceiveTimestamp": milliseconds(message.first_received.unwrap_or(now)).to_string(),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{function}"),
        "awsRegion": REGION,
    })
}

fn s3_record(function: &str, event: &Event) -> Value {
    let StoredObject { bucket, key, size, etag, .. } = &event.object;
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": iso8601(event.time),
        "eventName": "ObjectCreated:Put",
        "userIdentity": { "principalId": "local" },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {
            "x-amz-request-id": format!("{:016X}", event.ticket),
            "x-amz-id-2": "local",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": function,
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": "local" },
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": {
                "key": encode(key),
                "size": size,
                "eTag": etag,
                "sequencer": format!("{:018X}", event.ticket),
            },
        },
    })
}

fn encode(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_does() {
        for (key, encoded) in
            [("a/b c.json", "a/b+c.json"), ("dt=2022-06-18/1+1", "dt%3D2022-06-18/1%2B1"), ("é%", "%C3%A9%25")]
        {
            assert_eq!(encode(key), encoded);
        }
    }
}
