//! Deliberately broken engines: each omits one step of the protocol.
//!
//! Compiled only for the tests which show that the simulation catches them.

use model::layout::ObjectLocation;
use std::cell::Cell;
use store::{Put, Store, StoreError, Version};

/// What is broken in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The inputs of a materialized object are read before its version.
    InputsFirst,
    /// A materialized object with equal rows is not put.
    SkipEqual,
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
    pub const ALL: [Self; 17] = [
        Self::InputsFirst,
        Self::SkipEqual,
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

/// Returns the condition of the put of a materialized object that was read in this version.
pub(crate) async fn condition(
    store: &Store,
    location: &ObjectLocation,
    version: Version,
) -> Result<Version, StoreError> {
    match is(Broken::InputsFirst) {
        true => store.version(location).await,
        false => Ok(version),
    }
}

/// Returns what a put of a materialized object counts as.
pub(crate) fn outcome(put: Put) -> Put {
    match put {
        Put::Conflict if is(Broken::ConflictCountsAsSuccess) => Put::Done(Version::Absent),
        put => put,
    }
}
