//! S3 and Glue behind conditional writes: of all that is linked into a function, the only crate that names an AWS SDK.
//!
//! | module | what it holds |
//! |---|---|
//! | [`objects`] | S3: versioned reads, conditional puts, listings |
//! | [`catalog`] | Glue: the lake's database, tables, partitions |
//! | [`lake`] | a lake as a function sees it: its store, catalog and config |
//! | [`connect`] | clients from the environment, or over another wire |
//! | [`counters`] | what is done through a lake, for the metrics |
//! | [`concurrency`] | requests and computations, some at a time |
//!
//! Each function that awaits an SDK returns a boxed future. The compiler generates the code of an `async fn` in the crate
//! that polls it: without the box, each program and each test would compile the SDKs' requests anew.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub mod catalog;
pub mod concurrency;
pub mod connect;
pub mod counters;
pub mod lake;
pub mod objects;
mod requests;

pub use concurrency::{REQUESTS_MAX, TASKS_MAX, TryJoin, join_at_most, join_bounded, spawn, try_join_bounded};
pub use objects::{Body, Listing, Put, Read, Store, StoreError, Version};

/// Any error, with its causes.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error and all its causes on one line.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a service answered, in one line: code, message and HTTP status; without an answer, why there is none.
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
