//! Deliberately broken engines: each omits one step of the protocol.
//!
//! Compiled only for the tests which show that the simulation catches them.

use bytes::Bytes;
use model::layout::ObjectLocation;
use std::cell::Cell;
use store::{Put, Store, StoreError};

/// What is broken in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A put of a materialized object has no condition.
    Unconditional,
    /// The inputs are read before the version of the output.
    InputsFirst,
    /// The inputs are not checked after a put.
    NoRecheck,
    /// An event is acknowledged although it failed.
    AcknowledgeFirst,
    /// A conflict counts as success, as if another function had written the same rows.
    ConflictCountsAsSuccess,
    /// A warm function uses cached shards without checking their versions.
    StaleCache,
    /// The checkpoint is advanced before the work items are put.
    EarlyCheckpoint,
    /// The key index is written after consent is read.
    IndexLate,
    /// A manifest names only what the current version of a file touches.
    NoUnion,
    /// A function that wrote a manifest does not look at the file again.
    NoLookAgain,
    /// A function writes a cell although it holds older consents than the cell.
    NoVersionRule,
    /// A function replaces an entry and a receipt of a later generation.
    NoGeneration,
    /// A change of consent that changes no row writes no cell.
    NoFence,
    /// Rows of files that cannot be read from landing are kept.
    NoFilterOfOwnRows,
    /// Only a function that wrote an object registers partitions.
    RegistersWritesOnly,
    /// A search in the index reads only compacted segments.
    ReadsOnlyCompacted,
    /// A withdrawal counts only if its record is valid in every field.
    WithdrawalNeedsValidRecord,
    /// The owner of a device is chosen among the curated customers.
    OwnersAmongEligibleOnly,
}

impl Broken {
    /// All broken engines.
    pub const ALL: [Self; 18] = [
        Self::Unconditional,
        Self::InputsFirst,
        Self::NoRecheck,
        Self::AcknowledgeFirst,
        Self::ConflictCountsAsSuccess,
        Self::StaleCache,
        Self::EarlyCheckpoint,
        Self::IndexLate,
        Self::NoUnion,
        Self::NoLookAgain,
        Self::NoVersionRule,
        Self::NoGeneration,
        Self::NoFence,
        Self::NoFilterOfOwnRows,
        Self::RegistersWritesOnly,
        Self::ReadsOnlyCompacted,
        Self::WithdrawalNeedsValidRecord,
        Self::OwnersAmongEligibleOnly,
    ];
}

thread_local! {
    static BROKEN: Cell<Option<Broken>> = const { Cell::new(None) };
}

/// Breaks the engine in this thread, or repairs it.
pub fn set(broken: Option<Broken>) {
    BROKEN.set(broken);
}

/// Whether the engine of this thread is broken in this way.
pub fn is(broken: Broken) -> bool {
    BROKEN.get() == Some(broken)
}

/// Puts an object over its current version.
pub(crate) async fn put(store: &Store, location: &ObjectLocation, body: Bytes) -> Result<Put, StoreError> {
    for _ in 0..crate::ATTEMPTS_MAX {
        let version = store.version(location).await?;
        let put = store.put(location, body.clone(), &version).await?;
        if put.is_done() || is(Broken::InputsFirst) {
            return Ok(put);
        }
    }
    Ok(Put::Conflict)
}
