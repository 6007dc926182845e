//! What a dispatcher tells of its work.

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages that are finished: acknowledged, or dead letters. One per event, woken function and duplicate.
    pub events: u64,
    /// Messages that are queued or being handled.
    pub pending: usize,
    /// Messages handed to functions, redeliveries included.
    pub deliveries: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// How many of the finished messages are dead letters.
    pub dead_letters: usize,
}

/// A message that its function never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The function that was to handle it.
    pub function: String,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// How often it was delivered.
    pub receives: u32,
    /// The error of the last call that failed as a whole; `None` if the function only ever named this message in its
    /// batch response. Then the function's log says why.
    pub error: Option<String>,
}

/// What a dispatcher did, from its start until nothing was pending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages finished; see [`Progress::events`].
    pub events: u64,
    /// Messages handed to functions, redeliveries included.
    pub deliveries: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// Messages given up, in the order in which that happened.
    pub dead_letters: Vec<DeadLetter>,
}
