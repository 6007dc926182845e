//! Counts of requests by kind.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests answered so far. Refused and failed ones count, as a client pays for attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// GetObject.
    pub get: u64,
    /// HeadObject and HeadBucket.
    pub head: u64,
    /// PutObject.
    pub put: u64,
    /// ListObjectsV2.
    pub list: u64,
    /// DeleteObject and DeleteObjects.
    pub delete: u64,
    /// All Glue operations.
    pub glue: u64,
    /// Everything else, such as CreateBucket, or the calls of another JSON service.
    pub other: u64,
}

/// Names the counter of a kind of requests.
pub(crate) type Kind = fn(&mut Requests) -> &mut u64;

/// The counters of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Requests>);

impl Counters {
    pub(crate) fn count(&self, kind: Kind) {
        *kind(&mut self.requests()) += 1;
    }

    pub(crate) fn read(&self) -> Requests {
        *self.requests()
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
