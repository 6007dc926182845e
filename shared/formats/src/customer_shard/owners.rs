//! The part of a `customer_curated` shard that decides to whom a device belongs.

use super::claims::{DeviceOwner, DeviceOwners, Rank};
use super::header::Header;
use super::rows::{EMAIL, SINCE};
use super::{Owner, Versions};
use crate::Corrupt;
use crate::columnar::{Decoder, bigint_at, text_at};
use arrow_array::RecordBatch;
use bytes::Bytes;
use model::customer::consent_since;
use model::hash::KeyHash;
use model::table::Table;
use std::sync::OnceLock;

const TABLE: Table = Table::CustomerCurated;

/// The columns of an owner's row that the readings of the device need.
pub(super) const COLUMNS: [usize; 2] = [EMAIL, SINCE];

/// The owners of devices in one shard.
///
/// A function reads this of every shard, because any shard may have the owner. So lookups work on the stored bytes, and a
/// shard's rows are decoded only if it has an owner.
#[derive(Debug)]
pub struct Owners {
    object: Bytes,
    /// The rows with the [`COLUMNS`] only.
    rows: OnceLock<Vec<RecordBatch>>,
    owners: DeviceOwners,
    versions: Versions,
}

/// The owner of a device within one shard. Another shard may have a customer with a later record.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    owners: &'a Owners,
    owner: DeviceOwner,
}

impl Owners {
    /// Reads a shard's object.
    pub fn decode(object: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &object)?;
        let owners = DeviceOwners::decode(header.claims.clone(), TABLE)?;
        Ok(Self { object, rows: OnceLock::new(), owners, versions: Versions::of(TABLE, &header)? })
    }

    /// Returns the shard's versions, by the hash of the serial number.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the customer of this shard whose claim to the device is the greatest.
    pub fn of(&self, device: KeyHash) -> Option<Candidate<'_>> {
        self.owners.get(device).map(|owner| Candidate { owners: self, owner })
    }

    fn rows(&self) -> Result<&[RecordBatch], Corrupt> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let decoded = Decoder::new(self.object.clone(), TABLE.name())?.columns(TABLE, &COLUMNS)?;
        let decoded = decoded.collect::<Result<Vec<_>, _>>()?;
        Ok(self.rows.get_or_init(|| decoded))
    }
}

impl<'a> Candidate<'a> {
    /// Returns the rank of the claim: of the candidates of several shards, the greatest owns the device.
    pub fn rank(&self) -> impl Ord + use<> {
        let rank: Rank = self.owner.claim.rank();
        rank
    }

    /// Returns the owner, if the owner is in `customer_curated`. The caller has chosen the greatest candidate.
    ///
    /// # Errors
    /// If the rows are damaged. The first call that finds an owner decodes them.
    pub fn owner(self) -> Result<Option<Owner<'a>>, Corrupt> {
        let Some(row) = self.owner.row else { return Ok(None) };
        let (rows, row) = row_at(self.owners.rows()?, row)?;
        let email = text_at(rows, 0, row).ok_or_else(|| Corrupt::new(TABLE.name(), "a row without an email"))?;
        let since_ms = consent_since(bigint_at(rows, 1, row));
        Ok(since_ms.map(|since_ms| Owner { email, since_ms }))
    }
}

fn row_at(rows: &[RecordBatch], position: u32) -> Result<(&RecordBatch, usize), Corrupt> {
    let mut row = position as usize;
    for rows in rows {
        if row < rows.num_rows() {
            return Ok((rows, row));
        }
        row -= rows.num_rows();
    }
    Err(Corrupt::new(TABLE.name(), "its owners refer to rows that it does not have"))
}
