//! What became of the records of each landing file, as far as one shard of `customer_trusted` knows.
//!
//! The receipt of a file counts over all shards that have records of it. So this is in front of the records themselves, and
//! is read without them.

use super::header::Header;
use crate::Corrupt;
use crate::packed::unpacked;
use bytes::Bytes;
use model::layout::{FileName, ObjectLocation};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const TABLE: Table = Table::CustomerTrusted;

/// The landing files that have records in a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRowCounts {
    version: u64,
    files: Vec<LandedFile>,
}

/// A landing file, and what became of those of its records that belong to the shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LandedFile {
    pub(super) file: FileName,
    pub(super) landing: ObjectLocation,
    pub(super) row_counts: RowCounts,
    /// The shard's version in which the row_counts last changed.
    pub(super) changed: u64,
}

/// What became of the records of one file in one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// How many are rows of the table.
    pub kept: u64,
    /// How many are not, by reason.
    pub excluded: BTreeMap<String, u64>,
}

impl FileRowCounts {
    /// How many bytes of a shard's object are worth reading at first: they hold all that is needed of some 10,000 customers
    /// who landed in a few files, or of half as many with a file each.
    pub const START_BYTES: usize = 512 << 10;

    /// How many bytes of a shard's object hold what is needed, given its start.
    pub fn needed(start: &[u8]) -> usize {
        Header::up_to_row_counts(start).unwrap_or_default()
    }

    /// Reads a shard's object, or as much of it as is [needed](Self::needed).
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        Ok(Self { version: header.version, files: unpacked(TABLE.name(), &header.row_counts)? })
    }

    /// The version of the shard.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The row_counts of `file` in this shard, and the version in which it last changed.
    pub fn of(&self, file: &FileName) -> Option<(&RowCounts, u64)> {
        self.files.iter().find(|landed| landed.file == *file).map(|landed| (&landed.row_counts, landed.changed))
    }

    /// The files whose row_counts changed after version `seen`, and where they landed.
    pub fn changed_since(&self, seen: u64) -> impl Iterator<Item = (&FileName, &ObjectLocation)> {
        self.files.iter().filter(move |landed| landed.changed > seen).map(|landed| (&landed.file, &landed.landing))
    }
}
