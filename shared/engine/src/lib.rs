//! The engine: how derived objects are written. It knows objects and versions, not customers.
//!
//! S3 delivers events at least once, in any order and late, to many functions at once. Its reads, lists and conditional writes
//! are strongly consistent. So an event only says where to look, and two mechanisms write every derived object:
//!
//! - **merge**: an object is a container of entries, one for each landing file or customer. Each entry is fenced by its own
//!   version: a landing file's is the generation of its [`manifest`]. A function changes its own entries by
//!   [`store::compare_and_swap()`].
//! - **materialize**: an object is a pure function of a few others, and names their versions: see [`materialize()`].
//!
//! | module | what it does |
//! |---|---|
//! | [`manifest`] | gives each version of a landing file its generation |
//! | [`receipts`] | writes the receipt of a generation, once |
//! | [`landing_file`] | reads a landing file in bounded memory |
//! | [`log`] | log lines and metrics |
//!
//! [`Cache`] keeps decoded objects by version while a function is warm. [`Checkpoint`] stores up to which version, and which key, of an
//! input its changes were processed.

#[cfg(feature = "broken")]
pub mod broken;
mod cache;
mod checkpoint;
pub mod landing_file;
pub mod log;
pub mod manifest;
mod materialize;
pub mod receipts;

pub use cache::{CACHE_BYTES_MAX, Cache, Start};
pub use checkpoint::{Checkpoint, Progress};
pub use materialize::{Materialize, materialize};

use formats::Corrupt;
use model::layout::ObjectLocation;
use store::{Contended, ErrorKind, Failure, StoreError};

/// How often an object is written before the event fails.
pub const ATTEMPTS_MAX: u32 = store::compare_and_swap::ATTEMPTS_MAX;

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Glue failed.
    #[error(transparent)]
    Catalog(#[from] store::catalog::CatalogError),
    /// A stored object is damaged.
    #[error("the stored object {location} is damaged; keep the event, and deliver it again after the repair")]
    Corrupt {
        /// The object.
        location: ObjectLocation,
        /// What is wrong with it.
        source: Corrupt,
    },
    /// Other functions kept changing the object or its inputs.
    #[error("{location} or its inputs changed during each of {ATTEMPTS_MAX} attempts; deliver the event again")]
    Contended {
        /// The object.
        location: ObjectLocation,
    },
    /// A consent shard is older than work that was planned from it.
    #[error(
        "{location} is older than the work that was planned from it: it was put back to an earlier version; put the latest \
         version back, deliver the event again, and also those of customer files that arrived meanwhile"
    )]
    PutBack {
        /// The shard.
        location: ObjectLocation,
    },
    /// The landing file that the caller read has changed. The caller must read it again; this error never leaves a function.
    #[error("the landing file changed; read it again")]
    Outdated,
}

impl Error {
    /// Wraps `source`: the object at `location` is damaged.
    pub fn corrupt(location: ObjectLocation) -> impl FnOnce(Corrupt) -> Self {
        move |source| Self::Corrupt { location, source }
    }
}

impl From<Contended> for Error {
    fn from(Contended { location }: Contended) -> Self {
        Self::Contended { location }
    }
}

impl Failure for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Catalog(error) => error.kind(),
            // The event is right and must not be thrown away: it may be a withdrawal.
            Self::Corrupt { .. } | Self::PutBack { .. } => ErrorKind::Misconfigured,
            Self::Contended { .. } | Self::Outdated => ErrorKind::Retry,
        }
    }
}
