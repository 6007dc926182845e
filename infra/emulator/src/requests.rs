//! How many requests of which kind came in.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests answered so far, refused and failed ones included: attempts, as a client pays for them.
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

/// The counters, indexed by [`Kind`]. Relaxed: they are independent of each other and of what they count.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; 7]);

impl Counters {
    pub(crate) fn count(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Requests {
        let of = |kind: Kind| self.0[kind as usize].load(Ordering::Relaxed);
        Requests {
            get: of(Kind::Get),
            head: of(Kind::Head),
            put: of(Kind::Put),
            list: of(Kind::List),
            delete: of(Kind::Delete),
            glue: of(Kind::Glue),
            other: of(Kind::Other),
        }
    }
}
