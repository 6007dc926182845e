//! An object of a reading table: the eligible rows of one landing file in one partition.

use crate::Corrupt;
use crate::columnar::{self, BATCH_ROWS, Decoder, Metadata};
use crate::reading::{EligibleReading, Reading};
use arrow_array::RecordBatch;
use bytes::Bytes;
use model::hash::Shard;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Versions of customer shards: those that an object was computed from, or those that it needs at least.
pub type ShardVersions = BTreeMap<Shard, u64>;

/// The inputs of an output. Its footer holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The versions of the shards that decided which rows are eligible.
    pub shards: ShardVersions,
    /// The generation of the landing file's manifest.
    pub generation: u64,
    /// Whether this output has, or ever had, a row. Only then its partition is in the catalog.
    pub had_rows: bool,
}

const PROVENANCE: &str = "stedi.derived_from";

/// Writes the object of [`Reading::TRUSTED`] that holds `rows`.
pub fn encode<R: Reading>(rows: &[EligibleReading<'_, R::Value>], provenance: &Provenance) -> Result<Bytes, Corrupt> {
    let corrupt = |error: &dyn std::fmt::Display| Corrupt::new(R::TRUSTED.name(), error);
    let footer = serde_json::to_string(provenance).map_err(|error| corrupt(&error))?;
    let batches = rows.chunks(BATCH_ROWS).map(|rows| columnar::batch(R::TRUSTED, R::columns(rows)));
    let time = R::FIELDS[R::TIME].to_ascii_lowercase();
    let metadata = Metadata::from([(PROVENANCE.to_owned(), footer)]);
    columnar::encode(R::TRUSTED, &time, batches, &metadata).map_err(|error| corrupt(&error))
}

/// An object of a reading table, with its footer read.
pub struct Output {
    table: Table,
    decoder: Decoder,
    /// The inputs that it was computed from.
    pub provenance: Provenance,
}

impl Output {
    /// Reads the footer of an object of `table`.
    pub fn decode(table: Table, bytes: Bytes) -> Result<Self, Corrupt> {
        let decoder = Decoder::new(bytes, table.name())?;
        let footer = decoder
            .metadata(PROVENANCE)
            .ok_or_else(|| Corrupt::new(table.name(), "its footer lacks the inputs that it was computed from"))?;
        let provenance = serde_json::from_str(footer).map_err(|error| Corrupt::new(table.name(), error))?;
        Ok(Self { table, decoder, provenance })
    }

    /// Returns the number of its rows.
    pub fn rows(&self) -> u64 {
        self.decoder.rows()
    }

    /// Reads its rows.
    pub fn batches(self) -> Result<Vec<RecordBatch>, Corrupt> {
        self.decoder.batches(self.table)?.collect()
    }

    /// Whether it holds exactly these rows.
    pub fn holds<R: Reading>(self, rows: &[EligibleReading<'_, R::Value>]) -> Result<bool, Corrupt> {
        if self.rows() != rows.len() as u64 {
            return Ok(false);
        }
        for (stored, rows) in self.decoder.batches(self.table)?.zip(rows.chunks(BATCH_ROWS)) {
            let expected =
                columnar::batch(R::TRUSTED, R::columns(rows)).map_err(|e| Corrupt::new(R::TRUSTED.name(), e))?;
            if stored? != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
