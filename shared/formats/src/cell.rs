//! A cell: an object of a reading table, with the eligible rows of all landing files in one slice of an
//! hour.
//!
//! A cell is a container of entries, one for each landing file. An entry has the generation of the file's manifest that its
//! rows were computed from, so a slow function cannot replace the rows of a newer version of the file. The cell has a
//! *consent vector*: for each consent shard, the version that its rows were last filtered by. A function that holds an older
//! version must read the shard again before it writes.
//!
//! The object is a Parquet file. Its rows are grouped by entry and sorted by time within, so an entry is a range of rows.
//! Readers of the table see rows only. The entries are listed between the magic bytes and the rows, where Parquet readers do
//! not look.

use crate::Corrupt;
use crate::columnar::{self, BATCH_ROWS, Decoder, Metadata, Order};
use crate::packed::{packed, unpacked};
use crate::reading::{EligibleReading, Reading};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use model::hash::Shard;
use model::layout::FileId;
use model::table::{ColumnType, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Versions of consent shards.
pub type ShardVersions = BTreeMap<Shard, u64>;

/// A cell, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    table: Table,
    /// The rows of each landing file that has, or once had, an entry.
    pub entries: BTreeMap<FileId, Entry>,
    /// The consent vector.
    pub consents: ShardVersions,
    /// Whether the cell has, or ever had, a row. Only then its partition is in the catalog.
    pub had_rows: bool,
}

/// The rows of one landing file in a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The generation of the file's manifest.
    pub generation: u64,
    /// The rows, sorted by time.
    pub rows: RecordBatch,
}

/// What a cell's object holds beside its rows.
#[derive(Serialize, Deserialize)]
struct Header {
    entries: Vec<EntryHeader>,
    consents: ShardVersions,
    had_rows: bool,
}

#[derive(Serialize, Deserialize)]
struct EntryHeader {
    file: FileId,
    generation: u64,
    rows: usize,
}

const MAGIC: &[u8] = b"PAR1";
/// The length of the header, little-endian, follows the magic bytes.
const LENGTH_BYTES: usize = 8;

impl Cell {
    /// The cell of `table` without an object.
    pub fn empty(table: Table) -> Self {
        Self { table, entries: BTreeMap::new(), consents: ShardVersions::new(), had_rows: false }
    }

    /// Reads an object of `table`.
    pub fn decode(table: Table, bytes: Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why: &dyn std::fmt::Display| Corrupt::new(table.name(), why);
        let after_magic = bytes.strip_prefix(MAGIC);
        let (length, rest) = after_magic
            .and_then(|rest| rest.split_first_chunk::<LENGTH_BYTES>())
            .ok_or_else(|| corrupt(&"it does not start like a cell"))?;
        let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
        let header = header.ok_or_else(|| corrupt(&"it ends within its header"))?;
        let Header { entries, consents, had_rows } = unpacked(table.name(), header)?;
        let batches = Decoder::new(bytes.clone(), table.name())?.batches(table)?.collect::<Result<Vec<_>, _>>()?;
        let rows = match <[RecordBatch; 1]>::try_from(batches) {
            Ok([rows]) => rows,
            Err(batches) => concat_batches(&columnar::schema(table), &batches).map_err(|error| corrupt(&error))?,
        };
        let mut cell = Self { table, entries: BTreeMap::new(), consents, had_rows };
        let mut start = 0_usize;
        for EntryHeader { file, generation, rows: count } in entries {
            let end = start.checked_add(count).filter(|end| *end <= rows.num_rows());
            let end = end.ok_or_else(|| corrupt(&"its entries have more rows than it has"))?;
            let rows = rows.slice(start, count);
            if cell.entries.insert(file, Entry { generation, rows }).is_some() {
                return Err(corrupt(&"a landing file has two entries"));
            }
            start = end;
        }
        match start == rows.num_rows() {
            true => Ok(cell),
            false => Err(corrupt(&"it has rows that belong to no entry")),
        }
    }

    /// Writes the object. The same entries and the same consent vector give the same bytes.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let corrupt = |error: &dyn std::fmt::Display| Corrupt::new(self.table.name(), error);
        let entries = self.entries.iter().map(|(file, Entry { generation, rows })| EntryHeader {
            file: *file,
            generation: *generation,
            rows: rows.num_rows(),
        });
        let header = Header {
            entries: entries.collect(),
            consents: self.consents.clone(),
            had_rows: self.had_rows || self.has_rows(),
        };
        let header = packed(self.table.name(), &header)?;
        let header = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
        let rows = self.entries.values().map(|entry| &entry.rows).filter(|rows| rows.num_rows() > 0);
        // Batches of one size, so that the bytes depend on the rows alone and not on how they were put together.
        let schema = columnar::schema(self.table);
        let rows = concat_batches(&schema, rows).map_err(|error| corrupt(&error))?;
        let batches = (0..rows.num_rows()).step_by(BATCH_ROWS);
        let batches = batches.map(|start| Ok(rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start))));
        columnar::encode_with_header(
            &header,
            self.table,
            Order::Grouped(time_column(self.table)),
            batches,
            &Metadata::new(),
        )
        .map_err(|error| corrupt(&error))
    }

    /// Whether it has a row.
    pub fn has_rows(&self) -> bool {
        self.entries.values().any(|entry| entry.rows.num_rows() > 0)
    }

    /// Returns the version of `shard` that its rows were last filtered by; 0 if they never were.
    pub fn consent(&self, shard: Shard) -> u64 {
        self.consents.get(&shard).copied().unwrap_or(0)
    }
}

/// Returns the name of the column by which the rows of an entry are sorted.
fn time_column(table: Table) -> &'static str {
    let column = table.columns().iter().find(|column| column.kind == ColumnType::BigInt);
    column.map_or("", |column| column.name)
}

/// Returns rows of [`Reading::TRUSTED`] as columns.
pub fn rows<R: Reading>(rows: &[EligibleReading<'_, R::Value>]) -> Result<RecordBatch, Corrupt> {
    columnar::batch(R::TRUSTED, R::columns(rows)).map_err(|error| Corrupt::new(R::TRUSTED.name(), error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test")]

    use super::*;
    use crate::reading::StepTrainer;
    use model::hash::HashKey;
    use model::hash::ShardCount;
    use model::layout::ObjectLocation;

    const TABLE: Table = Table::StepTrainerTrusted;

    fn file(name: &str) -> FileId {
        FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: name.into() })
    }

    fn entry(generation: u64, times: &[i64]) -> Entry {
        let readings: Vec<_> =
            times.iter().map(|ms| EligibleReading { key: "s", owner: "a", time_ms: *ms, value: 1 }).collect();
        Entry { generation, rows: rows::<StepTrainer>(&readings).unwrap() }
    }

    fn cell() -> Cell {
        let entries = [("a", entry(1, &[1, 2])), ("b", entry(7, &[])), ("c", entry(2, &[1]))];
        let mut cell = Cell::empty(TABLE);
        cell.entries = entries.into_iter().map(|(name, entry)| (file(name), entry)).collect();
        cell.consents = ShardCount::default().all().zip(3..).take(2).collect();
        cell.had_rows = true;
        cell
    }

    #[test]
    fn a_cell_survives_its_bytes() {
        let cell = cell();
        let again = Cell::decode(TABLE, cell.encode().unwrap()).unwrap();
        assert_eq!(again, cell);
        assert_eq!(again.encode().unwrap(), cell.encode().unwrap());
        let empty = Cell::empty(TABLE);
        assert_eq!(Cell::decode(TABLE, empty.encode().unwrap()).unwrap(), empty);
    }

    #[test]
    fn it_remembers_that_it_had_rows() {
        let mut cell = cell();
        cell.had_rows = false;
        let mut again = Cell::decode(TABLE, cell.encode().unwrap()).unwrap();
        assert!(again.had_rows);
        again.entries.clear();
        assert!(Cell::decode(TABLE, again.encode().unwrap()).unwrap().had_rows);
    }

    #[test]
    fn damaged_cells_are_refused() {
        let bytes = cell().encode().unwrap();
        assert!((0..bytes.len()).all(|length| Cell::decode(TABLE, bytes.slice(..length)).is_err()));
        let mut long = bytes.to_vec();
        long[MAGIC.len()..][..LENGTH_BYTES].fill(0xff);
        assert!(Cell::decode(TABLE, long.into()).is_err());
        // The entries of one cell before the rows of another.
        let other = Cell { entries: [(file("a"), entry(1, &[1; 9]))].into(), ..cell() }.encode().unwrap();
        let header = |bytes: &Bytes| {
            let length = bytes[MAGIC.len()..].first_chunk().map(|length| u64::from_le_bytes(*length)).unwrap();
            MAGIC.len() + LENGTH_BYTES + length as usize
        };
        let mixed =
            |head: &Bytes, rows: &Bytes| -> Bytes { [&head[..header(head)], &rows[header(rows)..]].concat().into() };
        assert!(Cell::decode(TABLE, mixed(&bytes, &other)).is_err());
        assert!(Cell::decode(TABLE, mixed(&other, &bytes)).is_err());
    }
}
