//! A shard of `customer_curated` as far as it says whose a device is.

use super::curated::{no_such_row, places};
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

/// The columns that say whose a device is. [`Owners`] reads no other, unless two owners have records of one time.
pub(super) const COLUMNS: [usize; 4] = [EMAIL, REGISTERED, UPDATED, SINCE];

/// Who of one shard owns which device.
///
/// A function that starts reads this of every shard, for any of them may have the owner. So owners are looked up in the rows
/// as they are stored, and the rows of a shard are only read if it has one.
#[derive(Debug)]
pub struct Owners {
    object: Bytes,
    /// The rows, with nothing but the [`COLUMNS`].
    rows: OnceLock<Vec<RecordBatch>>,
    /// The rows with all columns.
    whole: OnceLock<Vec<RecordBatch>>,
    /// For each serial number the place of its owner's row.
    places: KeyMap,
    versions: Versions,
}

/// The owner of a device as far as one shard knows.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    owners: &'a Owners,
    place: u64,
    email: &'a str,
    since_ms: Option<i64>,
    made_ms: i64,
}

impl Owners {
    /// Reads a shard's object.
    pub fn decode(object: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &object)?;
        let (places, versions) = (places(&header)?, Versions::of(TABLE, &header)?);
        Ok(Self { object, rows: OnceLock::new(), whole: OnceLock::new(), places, versions })
    }

    /// The shard's versions, by the hash of the serial number.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The curated customer of this shard who owns the device.
    ///
    /// # Errors
    /// If the rows are damaged, which is not seen before one is asked for.
    pub fn of(&self, serial_number: KeyHash) -> Result<Option<Candidate<'_>>, Corrupt> {
        let Some(place) = self.places.get(serial_number) else { return Ok(None) };
        let columns = |of: Decoder| of.columns(TABLE, &COLUMNS)?.collect();
        let (rows, row) = row_at(self.read(&self.rows, columns)?, place)?;
        let [email, registered, updated, since] = [0, 1, 2, 3];
        let time = |column| bigint_at(rows, column, row);
        Ok(Some(Candidate {
            owners: self,
            place,
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

fn row_at(rows: &[RecordBatch], place: u64) -> Result<(&RecordBatch, usize), Corrupt> {
    let mut row = usize::try_from(place).map_err(|_| no_such_row())?;
    for rows in rows {
        if row < rows.num_rows() {
            return Ok((rows, row));
        }
        row -= rows.num_rows();
    }
    Err(no_such_row())
}

impl<'a> Candidate<'a> {
    /// The owner, if this is the only candidate, or the one with the latest record.
    pub fn owner(self) -> Option<Owner<'a>> {
        Some(Owner { email: self.email, since_ms: self.since_ms? })
    }

    /// Whose record is the later one: see [`model::customer::Customer::cmp_latest`].
    ///
    /// # Errors
    /// If that takes whole records, and they are damaged.
    pub fn cmp_latest(self, other: Self) -> Result<Ordering, Corrupt> {
        let by_date = self.made_ms.cmp(&other.made_ms);
        if by_date.is_ne() {
            return Ok(by_date);
        }
        Ok(self.record()?.cmp_latest(&other.record()?))
    }

    fn record(self) -> Result<Customer, Corrupt> {
        let whole = |of: Decoder| of.batches(TABLE)?.collect();
        let (rows, row) = row_at(self.owners.read(&self.owners.whole, whole)?, self.place)?;
        Ok(customer_at(rows, row))
    }
}
