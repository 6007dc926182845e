//! The customer shards: which customers consent, which are curated, and what is known of their records.
//!
//! A shard is one Parquet object. Its rows are rows of a table. Its header holds the shard's version, and for each key the
//! version in which it last changed, removals included: the consent of a customer, the claim of a customer, the owner of a
//! device. So a function that the shard triggers finds the keys that changed since its checkpoint.
//!
//! | module | content |
//! |---|---|
//! | [`trusted`] | a shard of `customer_trusted`, by email |
//! | [`consents`] | the part of it that decides which accelerometer readings are eligible |
//! | [`records`] | the state of every customer record, by landing file, and the history of each consent |
//! | [`curated`] | a shard of `customer_curated`, by email |
//! | [`devices`] | a shard of the device lookup, by serial number: it decides which step trainer readings are eligible |
//! | [`claims`] | which customer's latest record names a device |

pub mod claims;
pub mod consents;
pub mod curated;
pub mod devices;
mod header;
pub mod records;
mod rows;
#[cfg(test)]
mod test_customer;
pub mod trusted;

use crate::Corrupt;
use crate::key_map::KeyMap;
use header::Header;
use model::hash::KeyHash;
use model::table::Table;

/// A shard's version, and the version in which each key last changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The version of the shard, counted from 1.
    pub version: u64,
    /// For each key that ever changed, the version in which it last did.
    changed: KeyMap,
}

impl Versions {
    /// Returns the version in which `key` last changed; 0 if it never changed.
    pub fn changed(&self, key: KeyHash) -> u64 {
        self.changed.get(key).unwrap_or(0)
    }

    /// Returns the keys that last changed in `version` or later, each with the version in which it did.
    pub fn changed_from(&self, version: u64) -> impl Iterator<Item = (KeyHash, u64)> {
        self.changed.iter().filter(move |(_, changed)| *changed >= version)
    }

    /// Returns the keys that changed after version `seen`.
    pub fn changed_since(&self, seen: u64) -> impl Iterator<Item = KeyHash> {
        self.changed_from(seen + 1).map(|(key, _)| key)
    }

    /// Returns the next version, in which `keys` changed.
    fn next(&self, keys: impl IntoIterator<Item = KeyHash>) -> Self {
        let version = self.version + 1;
        Self { version, changed: self.changed.with(&keys.into_iter().map(|key| (key, Some(version))).collect()) }
    }

    fn of(table: Table, header: &Header) -> Result<Self, Corrupt> {
        Ok(Self { version: header.version, changed: KeyMap::decode(header.changed.clone(), table.name())? })
    }

    /// Returns a header that holds nothing but the versions.
    fn header(&self) -> Header {
        Header { version: self.version, changed: self.changed.encode(), ..Header::default() }
    }
}

/// The customer to whom readings belong, and the date of the consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The customer's email.
    pub email: &'a str,
    /// The date of the consent to research.
    pub since_ms: i64,
}
