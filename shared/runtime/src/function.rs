//! A function's handler: the same in Lambda and in the local stack.

use crate::events::{self, EventTime};
use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::future::BoxFuture;
use model::layout::{Object, ObjectLocation};
use model::table::Table;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::lake::Lake;
use store::{BoxError, with_causes};

/// An object that a function is to look at.
pub type Input = (ObjectLocation, Object);

/// The objects that could not be dealt with, and why; all others were.
pub type Failures = BTreeMap<ObjectLocation, BoxError>;

/// A batch being handled. Boxed, so that a function is compiled in its own crate, and not by each program that calls it.
pub type Handling<'a> = BoxFuture<'a, Failures>;

/// One of the five functions.
pub trait Function: Send + Sync + 'static {
    /// The table it derives, whose name it bears.
    const TABLE: Table;

    /// The lake it works on.
    fn lake(&self) -> &Lake;

    /// Looks at the objects of a batch, each once, and brings its outputs up to date.
    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_>;
}

/// Why an object that an event names is none of the function's business.
#[derive(Debug, thiserror::Error)]
enum NoInput {
    #[error("{location} is no input of {table}, which looks at objects below {inputs}")]
    Key { location: ObjectLocation, table: Table, inputs: String },
    #[error("{location} is not in the lake's bucket {bucket}; only landing files may be in others")]
    Bucket { location: ObjectLocation, bucket: String },
}

/// What came of an invocation.
#[derive(Debug)]
pub struct Answer {
    /// The messages to be delivered again, as an SQS event source reads it.
    pub response: Value,
    /// The objects that could not be dealt with, and why.
    pub failures: Failures,
    /// When what was dealt with happened, for the metrics: of each message the oldest event.
    pub times: Vec<EventTime>,
}

/// Handles one invocation. One that is not from SQS fails as a whole.
pub async fn invoke<F: Function>(function: &F, payload: &Value) -> Result<Answer, BoxError> {
    let messages = events::parse(payload);
    let mut inputs = BTreeSet::new();
    let mut failures = Failures::new();
    for location in messages.iter().filter_map(|message| message.objects.as_ref().ok()).flatten() {
        match input(function, location) {
            Ok(object) => inputs.extend(object.map(|object| (location.clone(), object))),
            Err(error) => drop(failures.insert(location.clone(), error.into())),
        }
    }
    // What says nothing of an object touches no lake: S3's greeting of a new target comes before anything has landed.
    if !inputs.is_empty() {
        function.lake().check().await?;
        failures.append(&mut function.handle(inputs).await);
    }
    for (location, error) in &failures {
        tracing::error!(function = %F::TABLE, object = %location, error = with_causes(error.as_ref()), "object failed");
    }
    let mut response = SqsBatchResponse::default();
    let mut failed = None;
    let mut times = Vec::new();
    for message in messages {
        let error = match &message.objects {
            Err(error) => {
                tracing::error!(function = %F::TABLE, message = message.id, %error, "message failed");
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

/// What the object is to the function; none if it is nothing to look at.
fn input<F: Function>(function: &F, location: &ObjectLocation) -> Result<Option<Object>, NoInput> {
    // The S3 console makes such an object for an empty folder.
    if location.key.ends_with('/') {
        return Ok(None);
    }
    let is_input = topology::inputs_of(F::TABLE).any(|prefix| location.key.starts_with(prefix));
    let Some(object) = Object::parse(&location.key).filter(|_| is_input) else {
        let inputs = topology::inputs_of(F::TABLE).collect::<Vec<_>>().join(" and ");
        return Err(NoInput::Key { location: location.clone(), table: F::TABLE, inputs });
    };
    let lake_bucket = function.lake().bucket();
    if !matches!(object, Object::Landing(_)) && location.bucket != lake_bucket {
        return Err(NoInput::Bucket { location: location.clone(), bucket: lake_bucket.to_owned() });
    }
    Ok(Some(object))
}
