//! Who may be in the tables: the customer shards, and what they remember.
//!
//! A shard is one Parquet object. Its rows are a table's rows; in front of them it counts the shard's versions and remembers
//! in which version the trust in each key last changed, removals included. So a function that was woken by the shard knows
//! which keys changed since it last looked, and a derived object knows whether it is older than such a change.
//!
//! [`trusted`] is a shard of `customer_trusted`, by email, [`consents`] what is needed of it to let readings through, and
//! [`row_counts`] what receipts of customer files need; [`curated`] is one of `customer_curated`, by serial number, and
//! [`owners`] what is needed of that.

pub mod consents;
pub mod curated;
mod header;
pub mod owners;
pub mod records;
pub mod row_counts;
mod rows;
#[cfg(test)]
mod test_customer;
pub mod trusted;

use crate::Corrupt;
use crate::key_map::KeyMap;
use header::Header;
use model::hash::KeyHash;
use model::table::Table;

/// A shard's versions: how many there were, and which keys changed when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The version of the shard, counted from 1.
    pub version: u64,
    /// For each key that was ever trusted, the version in which that last changed.
    changed: KeyMap,
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

    fn of(table: Table, header: &Header) -> Result<Self, Corrupt> {
        Ok(Self { version: header.version, changed: KeyMap::decode(header.changed.clone(), table.name())? })
    }

    /// What is in front of a shard's rows, with nothing but its versions.
    fn header(&self) -> Header {
        Header { version: self.version, changed: self.changed.encode(), ..Header::default() }
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
