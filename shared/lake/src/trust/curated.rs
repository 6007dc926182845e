//! A shard of `customer_curated`: the trusted customers of a shard who have accelerometer readings that count.

use super::trusted::TrustedShard;
use super::{Versions, decode, encode};
use crate::Corrupt;
use crate::customer::Customer;
use crate::hash::KeyHash;
use crate::policy::ConsentPolicy;
use crate::readers::Readers;
use crate::table::Table;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};

const TABLE: Table = Table::CustomerCurated;

/// The curated customers of one shard.
#[derive(Clone, Debug, Default)]
pub struct CuratedShard {
    /// By email.
    rows: Vec<Customer>,
    versions: Versions,
    owners: Owners,
}

/// For each serial number, by its hash, the place of its owner's row, as far as one shard knows.
type Owners = HashMap<KeyHash, u32, foldhash::fast::FixedState>;

impl CuratedShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (rows, versions, _) = decode(TABLE, bytes)?;
        Ok(Self { owners: owners(&rows), rows, versions })
    }

    /// The shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        encode(TABLE, &self.rows.iter().collect::<Vec<_>>(), &self.versions.front())
    }

    /// The curated customer of this shard who owns the device: of several who name it, the one with the latest record.
    pub fn owner(&self, serial_number: KeyHash) -> Option<&Customer> {
        self.rows.get(*self.owners.get(&serial_number)? as usize)
    }

    /// The shard's versions, by the hash of the serial number.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The next version: the customers of `trusted` of whom `readers` says that they have readings that count. None
    /// if that changes nothing.
    ///
    /// "Has a row in `accelerometer_trusted`" is decided without looking at that table: it has one of a trusted
    /// customer exactly if the customer's latest reading counts.
    pub fn curate(&self, trusted: &TrustedShard, readers: &Readers, policy: ConsentPolicy) -> Option<Self> {
        let counts = |customer: &&Customer| {
            let latest_ms = readers.latest_ms(customer.key());
            latest_ms.zip(customer.since_ms()).is_some_and(|(latest_ms, since_ms)| policy.admits(latest_ms, since_ms))
        };
        let curated: Vec<&Customer> = trusted.customers().filter(counts).collect();
        if curated.iter().copied().eq(&self.rows) {
            return None;
        }
        let rows: Vec<Customer> = curated.into_iter().cloned().collect();
        let next = Self { owners: owners(&rows), rows, versions: Versions::default() };
        let serials: BTreeSet<KeyHash> = self.owners.keys().chain(next.owners.keys()).copied().collect();
        // The whole record: of owners in several shards the one with the latest record is chosen.
        let changed = serials.into_iter().filter(|serial| self.owner(*serial) != next.owner(*serial));
        let versions = self.versions.next(changed);
        Some(Self { versions, ..next })
    }
}

fn owners(rows: &[Customer]) -> Owners {
    let mut owners = Owners::default();
    for (place, customer) in rows.iter().enumerate() {
        let Some(serial) = customer.serialnumber.as_deref().map(KeyHash::of) else { continue };
        match owners.get_mut(&serial) {
            None => drop(owners.insert(serial, place as u32)),
            Some(owner) if customer.cmp_latest(&rows[*owner as usize]).is_gt() => *owner = place as u32,
            Some(_) => {}
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::tests::customer;
    use crate::layout::{FileName, Place};
    use crate::trust::trusted::CustomerShard;

    fn trusted(customers: &[Customer]) -> TrustedShard {
        let place = Place { bucket: "b".into(), key: "customer/landing/f".into() };
        let mut update = CustomerShard::default().update();
        update.land(&FileName::of(&place), &place, customers.iter());
        TrustedShard::decode(update.settle().unwrap().encode().unwrap()).unwrap()
    }

    fn readers(latest: &[(&str, i64)]) -> Readers {
        let latest_ms = latest.iter().map(|(email, time_ms)| (KeyHash::of(email), *time_ms));
        Readers::default().raised(latest_ms, ConsentPolicy::AtReading).unwrap()
    }

    #[test]
    fn a_trusted_customer_needs_a_reading_that_counts() {
        let trusted = trusted(&[customer("with", 5, Some(5)), customer("without", 5, Some(5))]);
        for (policy, latest_ms, curated) in
            [(ConsentPolicy::Ever, 4, true), (ConsentPolicy::AtReading, 4, false), (ConsentPolicy::AtReading, 5, true)]
        {
            let shard = CuratedShard::default().curate(&trusted, &readers(&[("with", latest_ms)]), policy);
            assert_eq!(shard.is_some(), curated, "{policy} {latest_ms}");
            if let Some(shard) = shard {
                assert_eq!(shard.rows.iter().map(|c| c.email.as_str()).collect::<Vec<_>>(), ["with"]);
                assert!(shard.curate(&trusted, &readers(&[("with", latest_ms)]), policy).is_none());
            }
        }
    }

    #[test]
    fn a_device_belongs_to_the_latest_record() {
        let mut old = customer("old", 1, Some(1));
        let mut new = customer("new", 2, Some(1));
        old.serialnumber = Some("device".into());
        new.serialnumber = Some("device".into());
        let both = readers(&[("old", 9), ("new", 9)]);
        let shard = CuratedShard::default().curate(&trusted(&[old.clone(), new]), &both, ConsentPolicy::Ever).unwrap();
        assert_eq!(shard.owner(KeyHash::of("device")).unwrap().email, "new");
        let shard = CuratedShard::decode(shard.encode().unwrap()).unwrap();
        let after = shard.curate(&trusted(&[old]), &both, ConsentPolicy::Ever).unwrap();
        assert_eq!(after.owner(KeyHash::of("device")).unwrap().email, "old");
        assert_eq!(after.versions().changed(KeyHash::of("device")), 2);
    }
}
