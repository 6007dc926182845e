//! Work items: cells that a change of consent concerns.
//!
//! A change of consent may concern many cells, more than one invocation can write. So it is planned first: it becomes work
//! items of a bounded size, each an object. The item's event causes the work, and the item is deleted when the work is done.

use crate::Corrupt;
use crate::cell::ShardVersions;
use crate::packed::{packed, unpacked};
use bytes::Bytes;
use model::hash::KeyHash;
use model::layout::FileId;
use model::slice::Slice;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const WHAT: &str = "work item";

/// Cells whose rows are to be filtered by changed consents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkItem {
    /// The versions of the consent shards that were planned. The work needs at least these.
    pub planned: ShardVersions,
    /// For each of these shards the last version in which one of the keys changed.
    pub changed: ShardVersions,
    /// For each cell the keys whose consent changed, and for each key the files that have, or once had, readings of it.
    pub cells: BTreeMap<Slice, BTreeMap<KeyHash, BTreeSet<FileId>>>,
}

impl WorkItem {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        unpacked(WHAT, bytes)
    }

    /// Writes the object. Its name is a hash of it, so the same work has the same name.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        packed(WHAT, self)
    }

    /// Returns the keys of all cells.
    pub fn keys(&self) -> BTreeSet<KeyHash> {
        self.cells.values().flat_map(BTreeMap::keys).copied().collect()
    }
}
