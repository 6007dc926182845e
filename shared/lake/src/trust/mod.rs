//! Who may be in the tables: the customer shards, and what they remember.
//!
//! A shard is one Parquet object. Its rows are a table's rows; in front of them it counts the shard's versions and remembers
//! in which version the trust in each key last changed, removals included. So a function that was woken by the shard knows
//! which keys changed since it last looked, and a derived object knows whether it is older than such a change.
//!
//! [`trusted`] is a shard of `customer_trusted`, by email, [`consents`] what is needed of it to let readings through, and
//! [`accounts`] what receipts of customer files need; [`curated`] is one of `customer_curated`, by serial number, and
//! [`owners`] what is needed of that.

pub mod accounts;
pub mod consents;
pub mod curated;
mod front;
pub mod owners;
pub mod records;
pub mod trusted;

use crate::Corrupt;
use crate::columnar::{self, Decoder, Metadata};
use crate::customer::Customer;
use crate::hash::KeyHash;
use crate::key_numbers::KeyNumbers;
use crate::table::Table;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use front::Front;
use std::sync::Arc;

/// A shard's versions: how many there were, and which keys changed when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The version of the shard, counted from 1.
    pub version: u64,
    /// For each key that was ever trusted, the version in which that last changed.
    changed: KeyNumbers,
}

impl Versions {
    /// The version in which the trust in `key` last changed; 0 if it never did.
    pub fn changed(&self, key: KeyHash) -> u64 {
        self.changed.get(key).unwrap_or(0)
    }

    /// The keys that changed after version `seen`.
    pub fn changed_since(&self, seen: u64) -> impl Iterator<Item = KeyHash> {
        self.changed.iter().filter(move |(_, version)| *version > seen).map(|(key, _)| key)
    }

    /// The next version, in which the trust in `keys` changed.
    fn next(&self, keys: impl IntoIterator<Item = KeyHash>) -> Self {
        let version = self.version + 1;
        Self { version, changed: self.changed.with(&keys.into_iter().map(|key| (key, Some(version))).collect()) }
    }

    fn of(table: Table, front: &Front) -> Result<Self, Corrupt> {
        Ok(Self { version: front.version, changed: KeyNumbers::decode(front.changed.clone(), table.name())? })
    }

    /// What is in front of a shard's rows, with nothing but its versions.
    fn front(&self) -> Front {
        Front { version: self.version, changed: self.changed.encode(), ..Front::default() }
    }
}

/// The customer whose readings some are, and since when they may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The customer's email.
    pub email: &'a str,
    /// Since when there is a consent to research.
    pub since_ms: i64,
}

/// A shard's object: rows of customers, sorted by email, and what stands in front of them. Some of the columns are read by
/// themselves, and are `plain` for that.
fn encode(table: Table, rows: &[&Customer], front: &Front, plain: &[usize]) -> Result<Bytes, Corrupt> {
    let text = |of: fn(&Customer) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|c| of(c)).collect::<StringArray>())
    };
    let time =
        |of: fn(&Customer) -> Option<i64>| -> ArrayRef { Arc::new(rows.iter().map(|c| of(c)).collect::<Int64Array>()) };
    let columns = vec![
        text(|c| c.customername.as_deref()),
        text(|c| Some(&c.email)),
        text(|c| c.phone.as_deref()),
        text(|c| c.birthday.as_deref()),
        text(|c| c.serialnumber.as_deref()),
        time(|c| c.registrationdate),
        time(|c| c.lastupdatedate),
        time(|c| c.sharewithresearchasofdate),
        time(|c| c.sharewithpublicasofdate),
        time(|c| c.sharewithfriendsasofdate),
    ];
    let plain: Vec<&str> = plain.iter().map(|place| table.columns()[*place].name).collect();
    let rows = columnar::batch(table, columns);
    columnar::encode_behind(&front.encode(), table, "email", &plain, [rows], &Metadata::new())
        .map_err(|e| Corrupt::new(table.name(), e))
}

/// The customers, in order, the versions, and what stands in front.
fn decode(table: Table, object: Bytes) -> Result<(Vec<Customer>, Versions, Front), Corrupt> {
    let front = Front::of(table, &object)?;
    let versions = Versions::of(table, &front)?;
    let mut customers = Vec::new();
    for rows in Decoder::new(object, table.name())?.batches(table)? {
        let rows = rows?;
        if rows.column(EMAIL).null_count() > 0 {
            return Err(Corrupt::new(table.name(), "a row without an email"));
        }
        customers.extend((0..rows.num_rows()).map(|row| customer_at(&rows, row)));
    }
    Ok((customers, versions, front))
}

const EMAIL: usize = 1;
const REGISTERED: usize = 5;
const UPDATED: usize = 6;
const SINCE: usize = 7;

fn customer_at(rows: &RecordBatch, row: usize) -> Customer {
    let text = |i| columnar::text_at(rows, i, row).map(str::to_owned);
    let time = |i| columnar::bigint_at(rows, i, row);
    Customer {
        customername: text(0),
        email: text(EMAIL).unwrap_or_default(),
        phone: text(2),
        birthday: text(3),
        serialnumber: text(4),
        registrationdate: time(REGISTERED),
        lastupdatedate: time(UPDATED),
        sharewithresearchasofdate: time(SINCE),
        sharewithpublicasofdate: time(8),
        sharewithfriendsasofdate: time(9),
    }
}
