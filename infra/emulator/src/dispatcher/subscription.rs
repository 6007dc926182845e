//! What a dispatcher is started with.

use futures::future::BoxFuture;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

/// A function: the JSON of an SQS event in, the JSON of an SQS batch response out. An error or a panic fails the batch.
pub type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// One function and what wakes it.
#[derive(Clone)]
pub struct Subscription {
    /// The function's name, unique among the subscriptions.
    pub function: String,
    /// The bucket whose objects wake it; those of any other bucket do not.
    pub bucket: String,
    /// Objects below any of these key prefixes wake it, once per object. Those below an earlier one are handed over first.
    pub prefixes: Vec<String>,
    /// Called with each batch.
    pub handler: Handler,
    /// Messages in one call at most.
    pub batch_size: usize,
    /// Calls at the same time at most.
    pub concurrency: usize,
}

impl Subscription {
    /// A subscription with batches of up to 100 messages and 2 calls at a time.
    pub fn new(
        function: impl Into<String>,
        bucket: impl Into<String>,
        prefixes: impl IntoIterator<Item = impl Into<String>>,
        handler: Handler,
    ) -> Self {
        let prefixes = prefixes.into_iter().map(Into::into).collect();
        Self { function: function.into(), bucket: bucket.into(), prefixes, handler, batch_size: 100, concurrency: 2 }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("function", &self.function).field("prefixes", &self.prefixes).finish()
    }
}

/// How messages are delivered.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often every event is delivered, each time as a message of its own. Default 1.
    pub duplicate: usize,
    /// Take messages out of the queues in an order drawn from this seed, rather than in the order they came.
    pub shuffle: Option<u64>,
    /// How often a message is handed to its function before it is a dead letter. Default 5.
    pub receives_max: u32,
    /// Gather events, and deliver none before [`Dispatcher::release`](super::Dispatcher::release): for many puts at once.
    pub hold: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { duplicate: 1, shuffle: None, receives_max: 5, hold: false }
    }
}

/// Why a dispatcher could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// One cloud has one dispatcher.
    #[error("the cloud already has a dispatcher: stop it before starting another")]
    AlreadyStarted,
    /// The function's name is there twice, it has no prefix, or a limit is 0.
    #[error("the subscription of {function} is invalid: {reason}")]
    Invalid {
        /// The subscription's function.
        function: String,
        /// What is wrong with it, and what was expected.
        reason: &'static str,
    },
    /// A limit is 0.
    #[error("the dispatcher's option {0} is 0, expected at least 1")]
    Options(&'static str),
    /// The journal of owed events cannot be used.
    #[error("the journal of owed events cannot be read: expected a file of JSON lines that can be written")]
    Journal(#[source] io::Error),
}

/// Refuses what could never deliver anything.
pub(super) fn check(subscriptions: &[Subscription], options: &Options) -> Result<(), DispatchError> {
    if options.duplicate == 0 {
        return Err(DispatchError::Options("duplicate"));
    }
    if options.receives_max == 0 {
        return Err(DispatchError::Options("receives_max"));
    }
    let mut names = HashSet::new();
    for subscription in subscriptions {
        let reason = match subscription {
            Subscription { function, .. } if !names.insert(function) => "expected one subscription per function",
            Subscription { batch_size: 0, .. } => "the batch size is 0, expected at least 1",
            Subscription { concurrency: 0, .. } => "the concurrency is 0, expected at least 1",
            Subscription { prefixes, .. } if prefixes.is_empty() => "expected at least one key prefix",
            _ => continue,
        };
        return Err(DispatchError::Invalid { function: subscription.function.clone(), reason });
    }
    Ok(())
}
