//! A dispatcher's counters and reports.

/// A dispatcher's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Finished messages: acknowledged ones and dead letters. One per event, triggered function and duplicate.
    pub events: u64,
    /// Messages that are queued, or in a call in progress.
    pub pending: usize,
    /// Messages delivered to functions, including redeliveries.
    pub deliveries: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// The dead letters among the finished messages.
    pub dead_letters: usize,
}

/// A message that its function failed to handle [`Options::receives_max`](super::Options::receives_max) times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The function.
    pub function: String,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// How often it was delivered.
    pub receives: u32,
    /// The error of the last call that failed as a whole. `None` if the function only reported this message in its batch
    /// responses; then its log says why.
    pub error: Option<String>,
}

/// What a dispatcher has done since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Finished messages; see [`Progress::events`].
    pub events: u64,
    /// Messages delivered to functions, including redeliveries.
    pub deliveries: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// The dead letters in order.
    pub dead_letters: Vec<DeadLetter>,
}
