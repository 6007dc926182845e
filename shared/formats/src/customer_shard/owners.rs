//! The part of a `customer_curated` shard that decides to whom a device belongs.

use super::curated::{no_such_row, row_positions};
use super::header::Header;
use super::rows::{EMAIL, REGISTERED, SINCE, UPDATED, customer_at};
use super::{Owner, Versions};
use crate::Corrupt;
use crate::columnar::{Decoder, bigint_at, text_at};
use crate::key_map::KeyMap;
use arrow_array::RecordBatch;
use bytes::Bytes;
use model::customer::{Customer, consent_since, made};
use model::hash::KeyHash;
use model::table::Table;
use std::cmp::Ordering;
use std::sync::OnceLock;

const TABLE: Table = Table::CustomerCurated;

/// The columns that decide to whom a device belongs. [`Owners`] reads the others only if two owners' records have one date.
pub(super) const COLUMNS: [usize; 4] = [EMAIL, REGISTERED, UPDATED, SINCE];

/// The owners of devices in one shard.
///
/// A function reads this of every shard, because any shard may have the owner. So lookups work on the stored bytes, and a
/// shard's rows are decoded only if it has an owner.
#[derive(Debug)]
pub struct Owners {
    object: Bytes,
    /// The rows with the [`COLUMNS`] only.
    rows: OnceLock<Vec<RecordBatch>>,
    /// The rows with all columns.
    whole: OnceLock<Vec<RecordBatch>>,
    /// For each serial number the position of its owner's row.
    row_positions: KeyMap,
    versions: Versions,
}

/// The owner of a device within one shard. Another shard may have a candidate with a later record.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    owners: &'a Owners,
    position: u64,
    email: &'a str,
    since_ms: Option<i64>,
    made_ms: i64,
}

impl Owners {
    /// Reads a shard's object.
    pub fn decode(object: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &object)?;
        let (row_positions, versions) = (row_positions(&header)?, Versions::of(TABLE, &header)?);
        Ok(Self { object, rows: OnceLock::new(), whole: OnceLock::new(), row_positions, versions })
    }

    /// Returns the shard's versions, by the hash of the serial number.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the curated customer of this shard who owns the device.
    ///
    /// # Errors
    /// If the rows are damaged. The first call that finds an owner decodes them.
    pub fn of(&self, serial_number: KeyHash) -> Result<Option<Candidate<'_>>, Corrupt> {
        let Some(position) = self.row_positions.get(serial_number) else { return Ok(None) };
        let columns = |of: Decoder| of.columns(TABLE, &COLUMNS)?.collect();
        let (rows, row) = row_at(self.read(&self.rows, columns)?, position)?;
        let [email, registered, updated, since] = [0, 1, 2, 3];
        let time = |column| bigint_at(rows, column, row);
        Ok(Some(Candidate {
            owners: self,
            position,
            email: text_at(rows, email, row).ok_or_else(|| Corrupt::new(TABLE.name(), "a row without an email"))?,
            since_ms: consent_since(time(since)),
            made_ms: made(time(updated), time(registered)),
        }))
    }

    fn read<'a>(
        &'a self,
        rows: &'a OnceLock<Vec<RecordBatch>>,
        decode: impl FnOnce(Decoder) -> Result<Vec<RecordBatch>, Corrupt>,
    ) -> Result<&'a [RecordBatch], Corrupt> {
        if let Some(rows) = rows.get() {
            return Ok(rows);
        }
        let decoded = decode(Decoder::new(self.object.clone(), TABLE.name())?)?;
        Ok(rows.get_or_init(|| decoded))
    }
}

fn row_at(rows: &[RecordBatch], position: u64) -> Result<(&RecordBatch, usize), Corrupt> {
    let mut row = usize::try_from(position).map_err(|_| no_such_row())?;
    for rows in rows {
        if row < rows.num_rows() {
            return Ok((rows, row));
        }
        row -= rows.num_rows();
    }
    Err(no_such_row())
}

impl<'a> Candidate<'a> {
    /// Returns the owner. The caller has chosen the candidate with the latest record.
    pub fn owner(self) -> Option<Owner<'a>> {
        Some(Owner { email: self.email, since_ms: self.since_ms? })
    }

    /// Compares the candidates' records by [`Customer::cmp_latest`]; the greater one is the later one.
    ///
    /// # Errors
    /// If the comparison takes whole records, and they are damaged.
    pub fn cmp_latest(self, other: Self) -> Result<Ordering, Corrupt> {
        let by_date = self.made_ms.cmp(&other.made_ms);
        if by_date.is_ne() {
            return Ok(by_date);
        }
        Ok(self.record()?.cmp_latest(&other.record()?))
    }

    fn record(self) -> Result<Customer, Corrupt> {
        let whole = |of: Decoder| of.batches(TABLE)?.collect();
        let (rows, row) = row_at(self.owners.read(&self.owners.whole, whole)?, self.position)?;
        Ok(customer_at(rows, row))
    }
}
