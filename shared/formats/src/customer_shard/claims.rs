//! Claims: which customer's latest record names a device.
//!
//! A customer claims the device of the latest record, with or without consent. So the readings of a device of a
//! customer without consent are not admitted, even if an earlier record of a consenting customer names it.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::KeyHash;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A customer's claim to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) device: KeyHash,
    pub(super) customer: KeyHash,
    /// The date of the customer's latest record.
    pub(super) date_ms: i64,
    /// Whether a grant of the customer is in force.
    pub(super) is_eligible: bool,
}

/// Orders claims to one device: the owner's is the greatest. The later record owns the device. Of one date, the customer
/// without consent does, and then the one with the smaller hash.
pub(super) type Rank = (i64, bool, Reverse<KeyHash>);

impl Claim {
    pub(super) fn rank(&self) -> Rank {
        (self.date_ms, !self.is_eligible, Reverse(self.customer))
    }
}

/// The greatest claim of a shard to a device, and the customer's row in `customer_curated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceOwner {
    pub(super) claim: Claim,
    /// None if the customer is not in the table: then no reading of the device is admitted.
    pub(super) row: Option<u32>,
}

const BYTES: usize = 48;
const ELIGIBLE: u64 = 1 << 32;

/// The owners of a shard's devices, as sorted entries of fixed length. Lookups work on the stored bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceOwners {
    entries: Bytes,
}

impl DeviceOwners {
    /// Returns the owners by device. `owners` is sorted by device.
    pub(super) fn new(owners: impl Iterator<Item = DeviceOwner>) -> Self {
        let mut entries = Vec::new();
        for DeviceOwner { claim: Claim { device, customer, date_ms, is_eligible }, row } in owners {
            entries.extend(device.bytes());
            entries.extend(customer.bytes());
            entries.extend(date_ms.to_be_bytes());
            let row = row.map_or(0, |row| u64::from(row) + 1);
            entries.extend((row | if is_eligible { ELIGIBLE } else { 0 }).to_be_bytes());
        }
        Self { entries: entries.into() }
    }

    /// Reads the owners from their bytes.
    pub(super) fn decode(entries: Bytes, table: Table) -> Result<Self, Corrupt> {
        let (owners, rest) = entries.as_chunks::<BYTES>();
        let in_order = owners.is_sorted_by(|a, b| a[..16] < b[..16]);
        match rest.is_empty() && in_order {
            true => Ok(Self { entries }),
            false => Err(Corrupt::new(table.name(), "the owners of its devices are cut off or not in order")),
        }
    }

    /// Returns the bytes.
    pub(super) fn encode(&self) -> Bytes {
        self.entries.clone()
    }

    /// Returns the owner of a device.
    pub(super) fn get(&self, device: KeyHash) -> Option<DeviceOwner> {
        let (owners, _) = self.entries.as_chunks::<BYTES>();
        // Numbers are compared faster than bytes.
        let device_of = |owner: &[u8; BYTES]| owner.first_chunk().map_or(0, |device| u128::from_be_bytes(*device));
        let at = owners.binary_search_by_key(&u128::from_be_bytes(device.bytes()), device_of).ok()?;
        Some(decoded(&owners[at]))
    }

    /// Returns all owners, by device.
    pub(super) fn iter(&self) -> impl Iterator<Item = DeviceOwner> {
        self.entries.as_chunks::<BYTES>().0.iter().map(decoded)
    }
}

fn decoded(entry: &[u8; BYTES]) -> DeviceOwner {
    let part = |at: usize| entry[at..].first_chunk::<16>().copied().unwrap_or_default();
    let number = |at: usize| entry[at..].first_chunk::<8>().map_or(0, |number| u64::from_be_bytes(*number));
    let row = number(40);
    let claim = Claim {
        device: KeyHash::from_bytes(part(0)),
        customer: KeyHash::from_bytes(part(16)),
        date_ms: number(32).cast_signed(),
        is_eligible: row & ELIGIBLE != 0,
    };
    // The lower half is the row counted from 1.
    DeviceOwner { claim, row: (row as u32).checked_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(customer: u8, date_ms: i64, is_eligible: bool) -> Claim {
        let hash = |n| KeyHash::from_bytes([n; 16]);
        Claim { device: hash(9), customer: hash(customer), date_ms, is_eligible }
    }

    #[test]
    fn the_later_record_owns_then_the_one_without_consent_then_the_smaller_hash() {
        let ranked = [claim(1, 1, false), claim(2, 2, true), claim(1, 2, true), claim(2, 2, false), claim(1, 2, false)];
        assert!(ranked.is_sorted_by(|a, b| a.rank() < b.rank()));
    }

    #[test]
    fn owners_survive_their_bytes_and_are_found() {
        let device = |n| KeyHash::from_bytes([n; 16]);
        let owner =
            |n: u8, row| DeviceOwner { claim: Claim { device: device(n), ..claim(n, -5, row != Some(0)) }, row };
        let owners = [owner(1, None), owner(3, Some(0)), owner(5, Some(u32::MAX - 1))];
        let encoded = DeviceOwners::new(owners.into_iter()).encode();
        let again = DeviceOwners::decode(encoded.clone(), Table::CustomerCurated).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), owners);
        assert_eq!(
            [1, 2, 3, 5, 6].map(|n| again.get(device(n)).map(|o| o.row)),
            [Some(None), None, Some(Some(0)), Some(Some(u32::MAX - 1)), None]
        );
        assert!(DeviceOwners::decode(encoded.slice(1..), Table::CustomerCurated).is_err());
        let swapped = [&encoded[BYTES..], &encoded[..BYTES]].concat();
        assert!(DeviceOwners::decode(swapped.into(), Table::CustomerCurated).is_err());
    }
}
