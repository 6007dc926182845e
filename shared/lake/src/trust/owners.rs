//! A shard of `customer_curated` as far as it says whose a device is.

use super::curated::places;
use super::{EMAIL, Owner, SINCE, Versions, customer_at, open};
use crate::Corrupt;
use crate::columnar::{bigint_at, text_at};
use crate::customer::consent_since;
use crate::hash::KeyHash;
use crate::key_numbers::KeyNumbers;
use crate::table::Table;
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::cmp::Ordering;

const TABLE: Table = Table::CustomerCurated;

/// Who of one shard owns which device.
///
/// A function that starts reads this of every shard, for any of them may have the owner. So owners are looked up in the rows
/// as they are stored.
#[derive(Debug)]
pub struct Owners {
    rows: Vec<RecordBatch>,
    /// For each serial number the place of its owner's row.
    places: KeyNumbers,
    versions: Versions,
}

/// The owner of a device as far as one shard knows.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    rows: &'a RecordBatch,
    row: usize,
}

impl Owners {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (rows, versions, front) = open(TABLE, bytes)?;
        let places = places(&front, rows.iter().map(RecordBatch::num_rows).sum())?;
        Ok(Self { rows, places, versions })
    }

    /// The shard's versions, by the hash of the serial number.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The curated customer of this shard who owns the device.
    pub fn of(&self, serial_number: KeyHash) -> Option<Candidate<'_>> {
        let mut row = usize::try_from(self.places.get(serial_number)?).ok()?;
        for rows in &self.rows {
            if row < rows.num_rows() {
                return Some(Candidate { rows, row });
            }
            row -= rows.num_rows();
        }
        None
    }
}

impl<'a> Candidate<'a> {
    /// The owner, if this is the only candidate, or the one with the latest record.
    pub fn owner(self) -> Option<Owner<'a>> {
        let since_ms = consent_since(bigint_at(self.rows, SINCE, self.row))?;
        Some(Owner { email: text_at(self.rows, EMAIL, self.row)?, since_ms })
    }

    /// Whose record is the later one: see [`crate::customer::Customer::cmp_latest`].
    pub fn cmp_latest(self, other: Self) -> Ordering {
        customer_at(self.rows, self.row).cmp_latest(&customer_at(other.rows, other.row))
    }
}
