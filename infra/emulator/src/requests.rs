//! Counts of requests by kind.

use std::sync::atomic::{AtomicU64, Ordering};

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

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Get,
    Head,
    Put,
    List,
    Delete,
    Glue,
    Other,
}

/// The counters, indexed by [`Kind`]. They are independent of each other and of other memory, so their order is relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; 7]);

impl Counters {
    pub(crate) fn count(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Requests {
        let count = |kind: Kind| self.0[kind as usize].load(Ordering::Relaxed);
        Requests {
            get: count(Kind::Get),
            head: count(Kind::Head),
            put: count(Kind::Put),
            list: count(Kind::List),
            delete: count(Kind::Delete),
            glue: count(Kind::Glue),
            other: count(Kind::Other),
        }
    }
}
