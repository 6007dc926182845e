//! Who may be in the tables: the customer shards, and what they remember.
//!
//! A shard is one Parquet object. Its rows are a table's rows; its footer counts the shard's versions and remembers in
//! which version the trust in each key last changed, removals included. So a function that was woken by the shard knows
//! which keys changed since it last looked, and a derived object knows whether it is older than such a change.
//!
//! [`trusted`] is a shard of `customer_trusted`, by email; [`curated`] one of `customer_curated`, by serial number.

pub mod curated;
pub mod records;
pub mod trusted;

use crate::Corrupt;
use crate::columnar::{self, Decoder, Metadata};
use crate::customer::Customer;
use crate::hash::KeyHash;
use crate::table::Table;
use arrow_array::{ArrayRef, Int64Array, StringArray};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A shard's versions: how many there were, and which keys changed when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The version of the shard, counted from 1.
    pub version: u64,
    /// For each key that was ever trusted, the version in which that last changed.
    changed: BTreeMap<KeyHash, u64>,
}

impl Versions {
    /// The version in which the trust in `key` last changed; 0 if it never did.
    pub fn changed(&self, key: KeyHash) -> u64 {
        self.changed.get(&key).copied().unwrap_or(0)
    }

    /// The keys that changed after version `seen`.
    pub fn changed_since(&self, seen: u64) -> impl Iterator<Item = KeyHash> {
        self.changed.iter().filter(move |(_, version)| **version > seen).map(|(key, _)| *key)
    }

    /// The next version, in which the trust in `keys` changed.
    fn next(&self, keys: impl IntoIterator<Item = KeyHash>) -> Self {
        let mut next = self.clone();
        next.version += 1;
        next.changed.extend(keys.into_iter().map(|key| (key, next.version)));
        next
    }
}

const VERSIONS: &str = "stedi.versions";

/// A shard's object: rows of customers, sorted by email, and texts in its footer.
fn encode(
    table: Table,
    rows: &BTreeMap<String, Customer>,
    versions: &Versions,
    mut footer: Metadata,
) -> Result<Bytes, Corrupt> {
    let rows: Vec<&Customer> = rows.values().collect();
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
    footer.insert(VERSIONS.into(), json(versions)?);
    columnar::encode(table, "email", [columnar::batch(table, columns)], &footer)
        .map_err(|e| Corrupt::new(table.name(), e))
}

fn decode(table: Table, bytes: Bytes) -> Result<(BTreeMap<String, Customer>, Versions, Decoder), Corrupt> {
    let decoder = Decoder::new(bytes, table.name())?;
    let versions = parse(table, decoder.metadata(VERSIONS))?;
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
            rows.push((customer.email.clone(), customer));
        }
    }
    // They are sorted, so the map is built at once.
    Ok((rows.into_iter().collect(), versions, decoder))
}

fn json(value: &impl Serialize) -> Result<String, Corrupt> {
    serde_json::to_string(value).map_err(|error| Corrupt::new("footer", error))
}

fn parse<T: for<'de> Deserialize<'de>>(table: Table, text: Option<&str>) -> Result<T, Corrupt> {
    let text = text.ok_or_else(|| Corrupt::new(table.name(), "its footer lacks the shard's versions or records"))?;
    serde_json::from_str(text).map_err(|error| Corrupt::new(table.name(), error))
}
