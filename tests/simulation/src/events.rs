//! S3 events, and the functions that they trigger.

use model::table::Table;
use serde_json::{Value, json};

/// The functions that an object triggers.
pub fn triggered_by(key: &str) -> impl Iterator<Item = Table> {
    let triggers = topology::TRIGGERS.iter().filter(move |trigger| key.starts_with(trigger.prefix));
    triggers.flat_map(|trigger| trigger.functions.iter().copied())
}

/// An S3 event as S3 sends it to Lambda directly.
pub fn event(bucket: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": "ObjectCreated:Put",
        "eventTime": "2022-06-18T15:00:00.000Z", "userIdentity": {"principalId": "A"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"}, "responseElements": {},
        "s3": {
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "A"}, "arn": format!("arn:aws:s3:::{bucket}")},
            "object": {"key": key.replace('=', "%3D"), "size": 1, "eTag": "e", "sequencer": "0"}
        }
    }]})
}
