//! The only crate that names an AWS SDK or the Lambda runtime.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | S3: versioned reads, conditional puts, lists |
//! | [`catalog`] | Glue: databases, tables, partitions |
//! | [`data_catalog`] | Glue: whatever is registered, by whomever |
//! | [`events`] | what a Lambda function is invoked with → which objects to look at |
//! | [`function`] | a function's handler, the same in Lambda and in the local stack |
//! | [`lake`] | a lake as a function sees it: its store, catalog and settings |
//! | [`landing`] | a landing file, read in bounded memory |
//! | [`settings`] | the environment variables |
//! | [`connect`] | clients from the environment, or over another wire |
//! | [`lambda`] | the bootstrap of a Lambda binary |
//! | [`logging`] | JSON logs |
//! | [`metrics`] | what the functions count, and how CloudWatch hears of it |
//!
//! Whatever awaits an SDK gives a boxed future. The code of an `async fn` is made by whoever polls it: without the box, each
//! program and each test would compile the SDKs' requests anew.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::stream::{Buffered, Iter, StreamExt, TryCollect, TryStreamExt};
use tokio::task::JoinSet;

pub mod catalog;
pub mod connect;
pub mod data_catalog;
pub mod events;
pub mod function;
pub mod lake;
pub mod lambda;
pub mod landing;
pub mod logging;
pub mod metrics;
pub mod settings;
pub mod store;

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

/// How many requests of one step are under way at once.
pub const REQUESTS_MAX: usize = 32;

/// Requests under way, and then their results in order.
pub type All<F, T> = TryCollect<Buffered<Iter<std::vec::IntoIter<F>>>, Vec<T>>;

/// Awaits futures that each make a request, some of them at a time, and gives their results in order.
// A named type, since the closures of `requests` may be no part of the future: the compiler stumbles over them there.
pub fn all<F, T, E>(requests: impl IntoIterator<Item = F>) -> All<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    let requests: Vec<F> = requests.into_iter().collect();
    futures::stream::iter(requests).buffered(REQUESTS_MAX).try_collect()
}

/// How many tasks of one step are under way at once: what they hold must fit into memory together.
pub const TASKS_MAX: usize = 4;

/// Runs futures that compute, some of them at a time and each as a task of its own, so that they take as many cores as
/// there are; gives their results in order. Dropped, it breaks them off.
pub async fn spread<F, T>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    // Collected first, as in `all`: its closures may be no part of the future.
    let work: Vec<F> = work.into_iter().collect();
    spread_over(TASKS_MAX, work).await
}

/// As [`spread`], where what they hold is bounded by something else: so many at a time.
pub async fn spread_over<F, T>(tasks_max: usize, work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = work.into_iter().map(task).collect();
    futures::stream::iter(tasks).buffered(tasks_max).collect().await
}

/// Runs a future as a task of its own, so that it takes another core than this one if there is one. Dropped, it breaks it
/// off.
pub async fn task<F, T>(work: F) -> T
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(done)) => done,
        // As if it had been done here.
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is being shut down, and this with it.
        Some(Err(_)) | None => std::future::pending().await,
    }
}
