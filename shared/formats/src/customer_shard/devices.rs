//! The device lookup: who owns a device. `step_trainer_trusted` reads it.
//!
//! A shard has an entry for each customer who claims, or once claimed, one of its devices. An entry has the version of the
//! `customer_curated` shard that it was taken from, so a slow function cannot replace it by an older claim.

use super::claims::Claim;
use super::curated::CuratedShard;
use super::{Owner, Versions};
use crate::Corrupt;
use crate::key_map::KeyMap;
use crate::packed::{packed, unpacked};
use bytes::Bytes;
use foldhash::fast::FixedState;
use model::hash::{KeyHash, Shard, ShardCount};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const NAME: &str = "device lookup";

/// The owners of the devices of one shard.
#[derive(Clone, Debug, Default)]
pub struct DeviceShard {
    versions: Versions,
    entries: BTreeMap<KeyHash, Entry>,
    /// The owner of each device that one in `customer_curated` owns.
    owners: HashMap<KeyHash, CuratedCustomer, FixedState>,
}

/// The claim of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The version of the `customer_curated` shard.
    version: u64,
    /// None: the customer claims no device of this shard any more.
    claim: Option<DeviceClaim>,
}

/// A claim to a device, and to whom its readings belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClaim {
    /// The claim.
    pub claim: Claim,
    /// The customer; none if the customer is not in `customer_curated`. Then no reading of the device is admitted.
    pub owner: Option<CuratedCustomer>,
}

/// A customer of `customer_curated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CuratedCustomer {
    email: String,
    since_ms: i64,
}

impl From<Owner<'_>> for CuratedCustomer {
    fn from(Owner { email, since_ms }: Owner<'_>) -> Self {
        Self { email: email.to_owned(), since_ms }
    }
}

impl DeviceShard {
    fn of(versions: Versions, entries: BTreeMap<KeyHash, Entry>) -> Self {
        let mut greatest: HashMap<KeyHash, &DeviceClaim, FixedState> = HashMap::default();
        for claim in entries.values().filter_map(|entry| entry.claim.as_ref()) {
            let of_device = greatest.entry(claim.claim.device).or_insert(claim);
            if claim.claim.rank() > of_device.claim.rank() {
                *of_device = claim;
            }
        }
        let owners = greatest.into_iter().filter_map(|(device, claim)| Some((device, claim.owner.clone()?)));
        Self { versions, owners: owners.collect(), entries }
    }

    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (version, changed, entries): (u64, Vec<u8>, BTreeMap<KeyHash, Entry>) = unpacked(NAME, &bytes)?;
        if entries.iter().any(|(key, entry)| entry.claim.as_ref().is_some_and(|claim| claim.claim.customer != *key)) {
            return Err(Corrupt::new(NAME, "an entry has the claim of another customer"));
        }
        let versions = Versions { version, changed: KeyMap::decode(changed.into(), NAME)? };
        Ok(Self::of(versions, entries))
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let Self { versions: Versions { version, changed }, entries, owners: _ } = self;
        packed(NAME, &(version, changed.encode().to_vec(), entries))
    }

    /// Returns the shard's versions, by the hash of the serial number: the version in which the owner last changed.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the owner of a device, if the owner is in `customer_curated`.
    pub fn owner(&self, device: KeyHash) -> Option<Owner<'_>> {
        let CuratedCustomer { email, since_ms } = self.owners.get(&device)?;
        Some(Owner { email, since_ms: *since_ms })
    }

    /// Returns the next version of `shard`, with the claims of these customers; none if nothing changes. They claim, or once
    /// claimed, a device of `shard`, and each comes with the shard of `customer_curated` that has the claim.
    ///
    /// An equal claim is taken too if it is of an earlier version than the last change: else a slow function could take an
    /// older one after this.
    pub fn merged<'a>(
        &self,
        shard: Shard,
        customers: impl IntoIterator<Item = (&'a CuratedShard, KeyHash)>,
        count: ShardCount,
    ) -> Option<Self> {
        let mut entries = self.entries.clone();
        let mut devices = BTreeSet::new();
        for (curated, customer) in customers {
            let version = curated.versions().version;
            let was = entries.get(&customer).cloned().unwrap_or_default();
            let claim = curated.claim(customer).filter(|claim| claim.claim.device.shard(count) == shard);
            let is_due = was.claim != claim || was.version < curated.versions().changed(customer);
            if was.version <= version && is_due {
                devices.extend([&was.claim, &claim].into_iter().flatten().map(|claim| claim.claim.device));
                entries.insert(customer, Entry { version, claim });
            }
        }
        if entries == self.entries {
            return None;
        }
        let next = Self::of(Versions::default(), entries);
        let changed = devices.into_iter().filter(|device| self.owner(*device) != next.owner(*device));
        let versions = self.versions.next(changed.collect::<Vec<_>>());
        Some(Self { versions, ..next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::curated::CuratedFrom;
    use crate::customer_shard::test_customer::{customer, says, settled, version};
    use crate::customer_shard::trusted::{CustomerShard, TrustedShard};
    use crate::latest_readings::LatestReadings;
    use model::customer::Customer;
    use model::hash::HashKey;
    use model::lake_config::{ConsentPolicy, LakeConfig};

    /// A lake with one shard.
    fn config() -> LakeConfig {
        LakeConfig { customer_shards: ShardCount::try_from(1).unwrap(), ..LakeConfig::default() }
    }

    fn curate(before: &CuratedShard, people: &[Customer], with_readings: &[&str]) -> CuratedShard {
        let mut update = CustomerShard::empty(HashKey::public()).update();
        update.ingest(version("f"), says(people).iter());
        let trusted = TrustedShard::decode(settled(update).unwrap().encode().unwrap(), &HashKey::public()).unwrap();
        let latest_ms = with_readings.iter().map(|email| (HashKey::public().of_email(email), 9));
        let latest = LatestReadings::default().raised(latest_ms, ConsentPolicy::Ever).unwrap();
        before.curate(CuratedFrom::default(), &trusted, &latest, &config()).unwrap()
    }

    fn merged(devices: &DeviceShard, curated: &CuratedShard, people: &[&str]) -> Option<DeviceShard> {
        let customers = people.iter().map(|email| (curated, HashKey::public().of_email(email)));
        let count = config().customer_shards;
        let merged = devices.merged(HashKey::public().of("a").shard(count), customers, count)?;
        Some(DeviceShard::decode(merged.encode().unwrap()).unwrap())
    }

    fn owner<'a>(devices: &'a DeviceShard, serial_number: &str) -> Option<(&'a str, i64)> {
        devices.owner(HashKey::public().of(serial_number)).map(|Owner { email, since_ms }| (email, since_ms))
    }

    fn with_device(of: Customer) -> Customer {
        Customer { serialnumber: Some("device".into()), ..of }
    }

    #[test]
    fn a_device_belongs_to_the_latest_record() {
        let old = with_device(customer("old", 1, Some(1)));
        let new = with_device(customer("new", 2, Some(3)));
        let curated = curate(&CuratedShard::default(), &[old.clone(), new], &["old", "new"]);
        let devices = merged(&DeviceShard::default(), &curated, &["old", "new"]).unwrap();
        assert_eq!(owner(&devices, "device"), Some(("new", 3)));
        assert!(merged(&devices, &curated, &["old", "new"]).is_none(), "the same claims again");
        let curated = curate(&curated, &[old], &["old"]);
        let devices = merged(&devices, &curated, &["new"]).unwrap();
        assert_eq!(owner(&devices, "device"), Some(("old", 1)));
        assert_eq!(devices.versions().changed(HashKey::public().of("device")), 2);
    }

    #[test]
    fn a_device_of_a_customer_without_consent_or_readings_has_no_owner() {
        let old = with_device(customer("old", 1, Some(1)));
        for new in [customer("new", 2, None), customer("new", 1, None), customer("new", 2, Some(1))] {
            let curated = curate(&CuratedShard::default(), &[old.clone(), with_device(new)], &["old"]);
            let devices = merged(&DeviceShard::default(), &curated, &["old", "new"]).unwrap();
            assert_eq!(owner(&devices, "device"), None);
        }
        let earlier = with_device(customer("new", 0, None));
        let curated = curate(&CuratedShard::default(), &[old, earlier], &["old"]);
        let devices = merged(&DeviceShard::default(), &curated, &["old", "new"]).unwrap();
        assert_eq!(owner(&devices, "device"), Some(("old", 1)));
    }

    #[test]
    fn an_older_claim_does_not_replace_a_newer_one() {
        let person = with_device(customer("a", 1, Some(1)));
        let first = curate(&CuratedShard::default(), std::slice::from_ref(&person), &["a"]);
        let second = curate(&first, &[with_device(customer("a", 2, None))], &["a"]);
        let devices = merged(&DeviceShard::default(), &second, &["a"]).unwrap();
        assert!(merged(&devices, &first, &["a"]).is_none());
        // An equal claim of a later version is a fence.
        let devices = merged(&DeviceShard::default(), &first, &["a"]).unwrap();
        let third = curate(&second, &[person], &["a"]);
        let fenced = merged(&devices, &third, &["a"]).unwrap();
        assert_eq!(owner(&fenced, "device"), owner(&devices, "device"));
        assert!(merged(&fenced, &second, &["a"]).is_none());
        assert_eq!(fenced.versions().changed(HashKey::public().of("device")), 1, "the owner is the same");
    }
}
