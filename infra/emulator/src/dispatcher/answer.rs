//! Interprets the answer of a function to a batch, as the SQS event source of Lambda does.

use super::queue::{Message, Outcome};
use serde_json::Value;

/// An answer in another form fails the batch: to count it as success would lose messages.
pub(super) fn outcome(batch: &[Message], answer: Result<String, String>) -> Outcome {
    let text = match answer {
        Ok(text) => text,
        Err(error) => return Outcome::Error(error),
    };
    let failures = match serde_json::from_str::<Value>(if text.trim().is_empty() { "null" } else { &text }) {
        Ok(Value::Object(answer)) => answer.get("batchItemFailures").cloned().unwrap_or_default(),
        Ok(Value::Null) => Value::Null,
        _ => return Outcome::Error(format!("the answer is not a batch response: {text}")),
    };
    let failures = match failures {
        Value::Null => return Outcome::Failures(Vec::new()),
        Value::Array(failures) => failures,
        _ => return Outcome::Error(format!("batchItemFailures is not a list: {text}")),
    };
    let mut ids = Vec::with_capacity(failures.len());
    for failure in failures {
        match failure.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if batch.iter().any(|message| message.id() == id) => ids.push(id.to_owned()),
            _ => return Outcome::Error(format!("a batch item failure names no message of the batch: {failure}")),
        }
    }
    Outcome::Failures(ids)
}
