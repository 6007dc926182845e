//! The handler of a function, the same in Lambda and in the emulator.

use crate::deadline::Deadline;
use crate::events::{self, BadEvent, EventTime};
use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::future::{BoxFuture, FutureExt};
use model::layout::{Object, ObjectLocation};
use model::table::Table;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use store::lake::{Lake, LakeError};
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

/// The invocation has no time left for an object. What was written for it stays, and its next delivery goes on from there.
#[derive(Debug, thiserror::Error)]
#[error("the invocation has no time left; the event is given back")]
struct OutOfTime;

impl Failure for OutOfTime {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }
}

/// The work on an object ended in a panic.
#[derive(Debug, thiserror::Error)]
#[error("the function panicked; the event is given back")]
struct Panicked;

impl Failure for Panicked {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }
}

/// A message that was delivered so often is handled alone: perhaps it ended the invocations before, by its size or by its time.
const RECEIVES_ALONE: u32 = 3;
/// Of more such messages than this, several are handled together, so that each has some time.
const ROUNDS_ALONE: usize = 10;

/// Handles one invocation, which may take `time` if that is given. An invocation that is not from SQS fails as a whole.
///
/// The messages of a batch are one piece of work, except those that were delivered several times: each of them is handled
/// alone, after the others. Each has its share of the time that is left. What is not done in it is given back.
pub async fn invoke<F: Function>(function: &F, payload: &Value, time: Option<Duration>) -> Result<Answer, BoxError> {
    let deadline = time.map(Deadline::after);
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
    let alone = alone.chunks(alone.len().div_ceil(ROUNDS_ALONE).max(1)).map(|inputs| inputs.iter().flatten().cloned());
    let rounds = std::iter::once(together).chain(alone.map(BTreeSet::from_iter));
    // Without an input there may be no lake yet: S3 sends a test event when Terraform creates the target.
    let rounds: Vec<BTreeSet<Input>> = rounds.filter(|inputs| !inputs.is_empty()).collect();
    for (left, inputs) in (1..=rounds.len() as u32).rev().zip(rounds) {
        let locations: Vec<ObjectLocation> = inputs.iter().map(|(location, _)| location.clone()).collect();
        let work = AssertUnwindSafe(handle(function, inputs)).catch_unwind();
        let done = match deadline {
            Some(deadline) => deadline.of_part(left).limit(work).await,
            None => Some(work.await),
        };
        let failure: Arc<dyn Failure> = match done {
            Some(Ok(failed)) => {
                failures.append(&mut failed?);
                continue;
            }
            Some(Err(_)) => Arc::new(Panicked),
            None => Arc::new(OutOfTime),
        };
        failures.extend(locations.into_iter().map(|location| (location, failure.clone())));
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
