//! Deliberately broken engines: each leaves out one step that the others rely on.
//!
//! Compiled only for the tests that show that the simulation would notice.

use bytes::Bytes;
use model::layout::ObjectLocation;
use std::cell::Cell;
use store::{Put, Store, StoreError};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An object is put whatever is there.
    Unconditional,
    /// The inputs are read before the output's version.
    InputsFirst,
    /// The inputs are not looked at again after a put.
    NoRecheck,
    /// A propagation leaves no mark where the rows stay the same.
    NoFence,
    /// A file is announced after it was derived.
    ManifestLate,
    /// The checkpoint is advanced before the work is done.
    EarlyCheckpoint,
    /// An event counts as handled whatever became of it.
    AcknowledgeFirst,
    /// A put that is refused counts as done by somebody else, even if it is our own whose response was lost.
    OwnWriteIsAnothers,
    /// A materialization does not notice that the file was announced anew.
    StaleManifest,
    /// Partitions are registered only by who wrote something.
    RegistersWritesOnly,
    /// A readers register is never recounted.
    NeverRecounts,
    /// A warm function does not ask whether the customers changed.
    StaleCache,
    /// What is merged of the index is taken for all of it.
    ReadsOnlyCompacted,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unconditional,
        Self::InputsFirst,
        Self::NoRecheck,
        Self::NoFence,
        Self::ManifestLate,
        Self::EarlyCheckpoint,
        Self::AcknowledgeFirst,
        Self::OwnWriteIsAnothers,
        Self::StaleManifest,
        Self::RegistersWritesOnly,
        Self::NeverRecounts,
        Self::StaleCache,
        Self::ReadsOnlyCompacted,
    ];
}

thread_local! {
    static BROKEN: Cell<Option<Broken>> = const { Cell::new(None) };
}

/// Breaks the engine in this thread, or mends it.
pub fn set(broken: Option<Broken>) {
    BROKEN.set(broken);
}

/// Whether the engine is broken in this way.
pub fn is(broken: Broken) -> bool {
    BROKEN.get() == Some(broken)
}

/// Puts over whatever version is there now: once, or until it is done.
pub(crate) async fn put(store: &Store, location: &ObjectLocation, body: Bytes) -> Result<Put, StoreError> {
    loop {
        let version = store.version(location).await?;
        let put = store.put(location, body.clone(), &version).await?;
        if put.is_done() || is(Broken::InputsFirst) {
            return Ok(put);
        }
    }
}
