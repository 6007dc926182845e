//! Bounded concurrency of requests and computations; results come in order.

use futures::stream::{Buffered, Iter, StreamExt, TryCollect, TryStreamExt};
use tokio::task::JoinSet;

/// How many requests of one step run at once.
pub const REQUESTS_MAX: usize = 32;

/// The future of [`try_join_bounded`].
pub type TryJoin<F, T> = TryCollect<Buffered<Iter<std::vec::IntoIter<F>>>, Vec<T>>;

/// Awaits futures that each make a request, [`REQUESTS_MAX`] at a time. Returns their results in order, or the first error.
// Returns a named type: if the future held the closures of `requests`, the compiler could not prove that it is `Send`.
pub fn try_join_bounded<F, T, E>(requests: impl IntoIterator<Item = F>) -> TryJoin<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    let requests: Vec<F> = requests.into_iter().collect();
    futures::stream::iter(requests).buffered(REQUESTS_MAX).try_collect()
}

/// How many tasks of one step run at once. What they hold must fit into memory together.
pub const TASKS_MAX: usize = 4;

/// Runs each future that computes as a task, [`TASKS_MAX`] at a time, so that they use all cores. Returns their results in
/// order. Dropping it aborts the tasks.
pub async fn join_bounded<F, T>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    // Collected first, for the reason given at `try_join_bounded`.
    let work: Vec<F> = work.into_iter().collect();
    join_at_most(TASKS_MAX, work).await
}

/// As [`join_bounded`], `tasks_max` at a time, for tasks whose memory is bounded otherwise.
pub async fn join_at_most<F, T>(tasks_max: usize, work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = work.into_iter().map(spawn).collect();
    futures::stream::iter(tasks).buffered(tasks_max).collect().await
}

/// Runs a future as a task, so that it can use another core. Dropping it aborts the task.
pub async fn spawn<F, T>(work: F) -> T
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(done)) => done,
        // A panic of the task is a panic of the caller.
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime shuts down, and this future with it.
        Some(Err(_)) | None => std::future::pending().await,
    }
}
