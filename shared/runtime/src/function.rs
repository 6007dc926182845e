//! The handler of a function, the same in Lambda and in the emulator.

use crate::events::{self, BadEvent, EventTime};
use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::future::BoxFuture;
use model::layout::{Object, ObjectLocation};
use model::table::Table;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;
use store::{BoxError, ErrorKind, Failure, with_causes};

/// An object that an event names, and what its key says it is.
pub type Input = (ObjectLocation, Object);

/// The objects that failed, and why. All other objects of the batch are done.
pub type Failures = BTreeMap<ObjectLocation, Arc<dyn Failure>>;

/// The future of a batch. It is boxed, so that a function is compiled in its own crate and not in each caller.
pub type Handling<'a> = BoxFuture<'a, Failures>;

/// One of the five functions.
pub trait Function: Send + Sync + 'static {
    /// The table that it writes. The function has its name.
    const TABLE: Table;

    /// Its lake.
    fn lake(&self) -> &Lake;

    /// Updates the outputs that depend on the objects of a batch.
    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_>;
}

/// Why a function rejects an object that an event names.
#[derive(Debug, thiserror::Error)]
enum InvalidInput {
    #[error("{location} is not an input of {table}; expected a key below {inputs}")]
    Key { location: ObjectLocation, table: Table, inputs: String },
    #[error("{location} is not in the lake's bucket {bucket}; only landing files may be in another bucket")]
    Bucket { location: ObjectLocation, bucket: String },
}

impl Failure for InvalidInput {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Reject
    }
}

/// The result of an invocation.
#[derive(Debug)]
pub struct Answer {
    /// The messages that failed, in the form that an SQS event source reads.
    pub response: Value,
    /// The objects that failed, and why.
    pub failures: Failures,
    /// For the metrics: the time of the oldest event of each message that succeeded.
    pub times: Vec<EventTime>,
}

impl Failure for BadEvent {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Reject
    }
}

/// Handles one invocation. An invocation that is not from SQS fails as a whole.
pub async fn invoke<F: Function>(function: &F, payload: &Value) -> Result<Answer, BoxError> {
    let messages = events::parse(payload);
    let mut inputs = BTreeSet::new();
    let mut failures = Failures::new();
    for location in messages.iter().filter_map(|message| message.objects.as_ref().ok()).flatten() {
        match input(function, location) {
            Ok(object) => inputs.extend(object.map(|object| (location.clone(), object))),
            Err(error) => drop(failures.insert(location.clone(), Arc::new(error))),
        }
    }
    // Without an input there may be no lake yet: S3 sends a test event when Terraform creates the target.
    if !inputs.is_empty() {
        function.lake().check().await.inspect_err(|error| {
            tracing::error!(function = %F::TABLE, kind = %error.kind(), error = with_causes(error), "cannot check the config of the lake");
        })?;
        failures.append(&mut function.handle(inputs).await);
    }
    for (location, error) in &failures {
        let (kind, error) = (error.kind(), with_causes(error.as_ref()));
        tracing::error!(function = %F::TABLE, object = %location, %kind, error, "object failed");
    }
    let mut response = SqsBatchResponse::default();
    let mut failed = None;
    let mut times = Vec::new();
    for message in messages {
        let error = match &message.objects {
            Err(error) => {
                let kind = error.kind();
                tracing::error!(function = %F::TABLE, message = message.id, %kind, %error, "message failed");
                Some(error.to_string())
            }
            Ok(locations) => {
                locations.iter().find_map(|location| failures.get(location)).map(|error| with_causes(error.as_ref()))
            }
        };
        match (error, message.id) {
            (None, _) => times.extend(message.time),
            (Some(_), Some(id)) => response.add_failure(id),
            (Some(error), None) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Answer { response: serde_json::to_value(response)?, failures, times }),
    }
}

/// Parses the key of an input; none for the object of an empty folder.
fn input<F: Function>(function: &F, location: &ObjectLocation) -> Result<Option<Object>, InvalidInput> {
    // The S3 console creates such an object for an empty folder.
    if location.key.ends_with('/') {
        return Ok(None);
    }
    let is_input = topology::inputs_of(F::TABLE).any(|prefix| location.key.starts_with(prefix));
    let Some(object) = Object::parse(&location.key).filter(|_| is_input) else {
        let inputs = topology::inputs_of(F::TABLE).collect::<Vec<_>>().join(" and ");
        return Err(InvalidInput::Key { location: location.clone(), table: F::TABLE, inputs });
    };
    let lake_bucket = function.lake().bucket();
    if !matches!(object, Object::Landing(_)) && location.bucket != lake_bucket {
        return Err(InvalidInput::Bucket { location: location.clone(), bucket: lake_bucket.to_owned() });
    }
    Ok(Some(object))
}
