//! Bounded concurrency: requests and computations, some at a time, with their results in order.

use futures::stream::{Buffered, Iter, StreamExt, TryCollect, TryStreamExt};
use tokio::task::JoinSet;

/// How many requests of one step are under way at once.
pub const REQUESTS_MAX: usize = 32;

/// Requests under way, and then their results in order.
pub type TryJoin<F, T> = TryCollect<Buffered<Iter<std::vec::IntoIter<F>>>, Vec<T>>;

/// Awaits futures that each make a request, some of them at a time, and gives their results in order.
// A named type, since the closures of `requests` may be no part of the future: the compiler stumbles over them there.
pub fn try_join_bounded<F, T, E>(requests: impl IntoIterator<Item = F>) -> TryJoin<F, T>
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
pub async fn join_bounded<F, T>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    // Collected first, as in `try_join_bounded`: its closures may be no part of the future.
    let work: Vec<F> = work.into_iter().collect();
    join_at_most(TASKS_MAX, work).await
}

/// As [`join_bounded`], where what they hold is bounded by something else: so many at a time.
pub async fn join_at_most<F, T>(tasks_max: usize, work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = work.into_iter().map(spawn).collect();
    futures::stream::iter(tasks).buffered(tasks_max).collect().await
}

/// Runs a future as a task of its own, so that it takes another core than this one if there is one. Dropped, it breaks it
/// off.
pub async fn spawn<F, T>(work: F) -> T
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
