//! The row counts of each landing file within one shard of `customer_trusted`.
//!
//! The receipt of a file sums over all shards that have records of it. So the row counts lie before the records, and a
//! function reads them without the records.

use super::header::Header;
use crate::Corrupt;
use crate::packed::unpacked;
use bytes::Bytes;
use model::layout::{FileId, ObjectLocation};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const TABLE: Table = Table::CustomerTrusted;

/// The landing files that have records in a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRowCounts {
    version: u64,
    files: Vec<LandingFile>,
}

/// A landing file, and the row counts of those of its records that belong to the shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LandingFile {
    pub(super) file: FileId,
    pub(super) landing: ObjectLocation,
    /// When S3 stored it.
    pub(super) stored_ms: i64,
    pub(super) row_counts: RowCounts,
    /// The shard's version in which the row counts last changed.
    pub(super) changed: u64,
}

impl LandingFile {
    pub(super) fn new(file: FileId, landing: &ObjectLocation, stored_ms: i64) -> Self {
        Self { file, landing: landing.clone(), stored_ms, row_counts: RowCounts::default(), changed: 0 }
    }
}

/// The row counts of one file within one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// How many records are rows of the table.
    pub kept: u64,
    /// How many records are not rows of the table, by reason.
    pub excluded: BTreeMap<String, u64>,
}

impl FileRowCounts {
    /// The number of bytes to read of a shard's object at first. They hold what is needed of some 10,000 customers from a few
    /// files, or of half as many with a file each.
    pub const START_BYTES: usize = 512 << 10;

    /// Returns how many bytes of a shard's object [`decode`](Self::decode) needs, given the object's start.
    pub fn needed(start: &[u8]) -> usize {
        Header::up_to_row_counts(start).unwrap_or_default()
    }

    /// Reads a shard's object, or its first [`needed`](Self::needed) bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        Ok(Self { version: header.version, files: unpacked(TABLE.name(), &header.row_counts)? })
    }

    /// Returns the version of the shard.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the row counts of `file` in this shard, and the version in which they last changed.
    pub fn of(&self, file: FileId) -> Option<(&RowCounts, u64)> {
        self.files.iter().find(|known| known.file == file).map(|known| (&known.row_counts, known.changed))
    }

    /// Returns the files whose row counts changed after version `seen`, with their locations.
    pub fn changed_since(&self, seen: u64) -> impl Iterator<Item = (FileId, &ObjectLocation)> {
        self.files.iter().filter(move |file| file.changed > seen).map(|file| (file.file, &file.landing))
    }
}
