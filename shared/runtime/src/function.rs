//! The handler of a function, the same in Lambda and in the emulator.

use crate::events::{self, BadEvent, EventTime};
use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::future::BoxFuture;
use model::layout::{Object, ObjectLocation};
use model::table::Table;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::lake::{Lake, LakeError};
use store::{BoxError, ErrorKind, Failure, with_causes};
use tokio::time::Instant;

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

/// The invocation has no time left for an object. What was written for it stays, and its next delivery goes on from there.
#[derive(Debug, thiserror::Error)]
#[error("the invocation has no time left; the event is given back")]
struct OutOfTime;

impl Failure for OutOfTime {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }
}

/// A message that was delivered so often is handled alone: perhaps it ended the invocations before, by its size or by its time.
const RECEIVES_ALONE: u32 = 3;

/// Handles one invocation, which may take `time` if that is given. An invocation that is not from SQS fails as a whole.
///
/// The messages of a batch are one piece of work, except those that were delivered several times: each of them is handled
/// alone, after the others. What is not done in time is given back.
pub async fn invoke<F: Function>(function: &F, payload: &Value, time: Option<Duration>) -> Result<Answer, BoxError> {
    let end = time.map(|time| Instant::now() + time);
    let messages = events::parse(payload);
    let (mut together, mut alone) = (BTreeSet::new(), Vec::new());
    let mut failures = Failures::new();
    for message in &messages {
        let mut inputs = BTreeSet::new();
        for location in message.objects.iter().flatten() {
            match input(function, location) {
                Ok(object) => inputs.extend(object.map(|object| (location.clone(), object))),
                Err(error) => drop(failures.insert(location.clone(), Arc::new(error))),
            }
        }
        match message.receives < RECEIVES_ALONE {
            true => together.append(&mut inputs),
            false => alone.push(inputs),
        }
    }
    for inputs in std::iter::once(together).chain(alone) {
        // Without an input there may be no lake yet: S3 sends a test event when Terraform creates the target.
        if inputs.is_empty() {
            continue;
        }
        let locations: Vec<ObjectLocation> = inputs.iter().map(|(location, _)| location.clone()).collect();
        match in_time(end, handle(function, inputs)).await {
            Some(failed) => failures.append(&mut failed?),
            None => failures.extend(locations.into_iter().map(|location| (location, Arc::new(OutOfTime) as _))),
        }
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

/// Updates the outputs that depend on `inputs`, if the lake has the config of the settings.
async fn handle<F: Function>(function: &F, inputs: BTreeSet<Input>) -> Result<Failures, LakeError> {
    function.lake().check().await.inspect_err(|error| {
        tracing::error!(function = %F::TABLE, kind = %error.kind(), error = with_causes(error), "cannot check the config of the lake");
    })?;
    Ok(function.handle(inputs).await)
}

/// Awaits the work; none if it does not end before `end`. Then it is stopped at one of its requests, as if it were killed.
async fn in_time<T>(end: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match end {
        Some(end) if end <= Instant::now() => None,
        Some(end) => tokio::time::timeout_at(end, work).await.ok(),
        None => Some(work.await),
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
