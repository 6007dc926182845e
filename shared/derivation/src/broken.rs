//! Deliberately broken engines: each leaves out one step that the others rely on.
//!
//! Compiled only for the tests that show that the simulation would notice.

use aws::store::{Put, Store, StoreError};
use bytes::Bytes;
use lake::layout::Place;
use std::cell::Cell;

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
    NoMark,
    /// A file is announced after it was derived.
    AnnounceLate,
    /// The cursor is advanced before the work is done.
    EarlyCursor,
    /// An event counts as handled whatever became of it.
    AcknowledgeFirst,
    /// A put that is refused counts as done by somebody else, even if it is our own whose response was lost.
    OwnWriteIsAnothers,
    /// A derivation does not notice that the file was announced anew.
    StaleAnnouncement,
    /// Partitions are registered only by who wrote something.
    RegistersWritesOnly,
    /// A readers register is never recounted.
    NeverRecounts,
    /// A warm function does not ask whether the customers changed.
    TrustsItsCache,
    /// What is merged of the index is taken for all of it.
    ReadsOnlyMerged,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unconditional,
        Self::InputsFirst,
        Self::NoRecheck,
        Self::NoMark,
        Self::AnnounceLate,
        Self::EarlyCursor,
        Self::AcknowledgeFirst,
        Self::OwnWriteIsAnothers,
        Self::StaleAnnouncement,
        Self::RegistersWritesOnly,
        Self::NeverRecounts,
        Self::TrustsItsCache,
        Self::ReadsOnlyMerged,
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
pub(crate) async fn put(store: &Store, place: &Place, body: Bytes) -> Result<Put, StoreError> {
    loop {
        let version = store.version(place).await?;
        let put = store.put(place, body.clone(), &version).await?;
        if put.is_done() || is(Broken::InputsFirst) {
            return Ok(put);
        }
    }
}
