//! S3 and Glue behind conditional writes: the only crate in a function that names an AWS SDK client.
//!
//! | module | what it holds |
//! |---|---|
//! | [`objects`] | S3: versioned reads, conditional puts, listings |
//! | [`catalog`] | Glue: the lake's database, tables, partitions |
//! | [`compare_and_swap`](mod@compare_and_swap) | the one loop that changes an object under a condition |
//! | [`error_kind`] | what the caller of a failed operation must do |
//! | [`lake`] | a lake as a function sees it: its store, catalog and config |
//! | [`connect`] | clients from the environment, or over another transport |
//! | [`counters`] | counts what is done through a lake, for the metrics |
//! | [`concurrency`] | bounded concurrency of requests and computations |
//!
//! Each function that awaits an SDK returns a boxed future. The compiler generates the code of an `async fn` in the crate
//! that polls it. Without the box, each program and each test would compile the SDK's requests again.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub mod catalog;
pub mod compare_and_swap;
pub mod concurrency;
pub mod connect;
pub mod counters;
pub mod error_kind;
pub mod lake;
pub mod objects;
mod requests;

pub use compare_and_swap::{Change, Contended, Snapshot, compare_and_swap};
pub use concurrency::{REQUESTS_MAX, TASKS_MAX, TryJoin, join_at_most, join_bounded, spawn, try_join_bounded};
pub use error_kind::{ErrorKind, Failure};
pub use objects::{Body, Listing, Put, Read, Store, StoreError, Stored, Version};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Returns an error and all its causes on one line.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns a service's answer on one line: code, message and HTTP status; without an answer, the reason.
pub(crate) fn answer_of<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.raw_response()) {
        (Some(code), Some(response)) => {
            let message = error.message().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{code}{message} (HTTP {})", response.status().as_u16())
        }
        (None, Some(response)) => format!("{} (HTTP {})", with_causes(error), response.status().as_u16()),
        (_, None) => with_causes(error),
    }
}

/// Returns what the caller of a refused call must do.
pub(crate) fn kind_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> ErrorKind {
    ErrorKind::of_answer(error.code(), error.raw_response().map(|response| response.status().as_u16()))
}
