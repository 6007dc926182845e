//! Who may be in the tables: the customer shards, and what they remember.
//!
//! A shard is one Parquet object. Its rows are a table's rows; its footer counts the shard's versions and remembers in
//! which version the trust in each key last changed, removals included. So a function that was woken by the shard knows
//! which keys changed since it last looked, and a derived object knows whether it is older than such a change.
//!
//! [`trusted`] is a shard of `customer_trusted`, by email, and [`consents`] what is needed of it to let readings through;
//! [`curated`] is one of `customer_curated`, by serial number.

pub mod consents;
pub mod curated;
pub mod records;
pub mod trusted;

use crate::Corrupt;
use crate::columnar::{self, Decoder, Metadata};
use crate::customer::Customer;
use crate::hash::KeyHash;
use crate::key_numbers::KeyNumbers;
use crate::table::Table;
use arrow_array::{ArrayRef, Int64Array, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
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

    fn write(&self, footer: &mut Metadata) {
        footer.insert(VERSION.into(), self.version.to_string());
        footer.insert(CHANGED.into(), BASE64.encode(self.changed.encode()));
    }

    fn read(table: Table, footer: &Decoder) -> Result<Self, Corrupt> {
        Self::of(table, version_in(table, footer)?, changed_in(table, footer)?)
    }

    fn of(table: Table, version: u64, changed: &str) -> Result<Self, Corrupt> {
        let changed = BASE64.decode(changed).map_err(|error| Corrupt::new(table.name(), error))?;
        Ok(Self { version, changed: KeyNumbers::decode(changed.into(), table.name())? })
    }
}

/// The version of a shard, as its footer has it.
fn version_in(table: Table, footer: &Decoder) -> Result<u64, Corrupt> {
    let version = footer.metadata(VERSION).ok_or_else(|| lacks(table, "version"))?;
    version.parse().map_err(|error| Corrupt::new(table.name(), error))
}

/// Which keys changed when, as the footer has it.
fn changed_in(table: Table, footer: &Decoder) -> Result<&str, Corrupt> {
    footer.metadata(CHANGED).ok_or_else(|| lacks(table, "changes"))
}

fn lacks(table: Table, what: &str) -> Corrupt {
    Corrupt::new(table.name(), format!("its footer lacks the shard's {what}"))
}

/// The customer whose readings some are, and since when they may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The customer's email.
    pub email: &'a str,
    /// Since when there is a consent to research.
    pub since_ms: i64,
}

const VERSION: &str = "stedi.version";
/// The [`Versions::changed`] keys in base 64: a footer holds text.
const CHANGED: &str = "stedi.changed";

/// A shard's object: rows of customers, sorted by email, and texts in its footer.
fn encode(table: Table, rows: &[&Customer], versions: &Versions, mut footer: Metadata) -> Result<Bytes, Corrupt> {
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
    versions.write(&mut footer);
    columnar::encode(table, "email", [columnar::batch(table, columns)], &footer)
        .map_err(|e| Corrupt::new(table.name(), e))
}

/// The customers, in order, what the footer says of versions, and the rest of it.
fn decode(table: Table, bytes: Bytes) -> Result<(Vec<Customer>, Versions, Decoder), Corrupt> {
    let decoder = Decoder::new(bytes, table.name())?;
    let versions = Versions::read(table, &decoder)?;
    let mut rows = Vec::new();
    for batch in decoder.batches(table)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let text = |i| columnar::text_at(&batch, i, row).map(str::to_owned);
            let time = |i| columnar::bigint_at(&batch, i, row);
            let customer = Customer {
                customername: text(0),
                email: text(1).ok_or_else(|| Corrupt::new(table.name(), "a row without an email"))?,
                phone: text(2),
                birthday: text(3),
                serialnumber: text(4),
                registrationdate: time(5),
                lastupdatedate: time(6),
                sharewithresearchasofdate: time(7),
                sharewithpublicasofdate: time(8),
                sharewithfriendsasofdate: time(9),
            };
            rows.push(customer);
        }
    }
    Ok((rows, versions, decoder))
}

fn json(value: &impl Serialize) -> Result<String, Corrupt> {
    serde_json::to_string(value).map_err(|error| Corrupt::new("footer", error))
}

fn parse<'a, T: Deserialize<'a>>(table: Table, text: Option<&'a str>) -> Result<T, Corrupt> {
    let text = text.ok_or_else(|| lacks(table, "records"))?;
    serde_json::from_str(text).map_err(|error| Corrupt::new(table.name(), error))
}
