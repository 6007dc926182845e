//! Subscriptions and options of a dispatcher.

use futures::future::BoxFuture;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

/// A function. It takes the JSON of an SQS event and returns the JSON of an SQS batch response. An error or a panic fails
/// the batch.
pub type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// A function and the objects that trigger it.
#[derive(Clone)]
pub struct Subscription {
    /// The function's name, unique among the subscriptions.
    pub function: String,
    /// The bucket whose objects trigger it.
    pub bucket: String,
    /// An object below any of these key prefixes triggers it once. Messages of earlier prefixes are delivered first.
    pub prefixes: Vec<String>,
    /// The code to call with each batch.
    pub handler: Handler,
    /// The maximum number of messages in one call.
    pub batch_size: usize,
    /// The maximum number of concurrent calls.
    pub concurrency: usize,
}

impl Subscription {
    /// Returns a subscription with batches of up to 100 messages and 2 concurrent calls.
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

/// Options of delivery.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often every event is delivered, each time as a message of its own. Default 1.
    pub duplicate: usize,
    /// Deliver messages in a random order from this seed. Default: in order of arrival.
    pub shuffle: Option<u64>,
    /// How often a message is delivered before it becomes a dead letter. Default 5.
    pub receives_max: u32,
    /// Queue events, and deliver none before [`Dispatcher::release`](super::Dispatcher::release): for many puts at once.
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
    /// The cloud has another dispatcher.
    #[error("the cloud already has a dispatcher: stop it before starting another")]
    AlreadyStarted,
    /// Two subscriptions name the function, it has no prefix, or a limit is 0.
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
    /// The journal of undelivered events cannot be used.
    #[error("cannot read the journal of undelivered events: expected a file of JSON lines that can be written")]
    Journal(#[source] io::Error),
}

/// Refuses subscriptions and options that cannot work.
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
