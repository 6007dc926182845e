//! A shard of `customer_curated`: the eligible customers of a shard who have accelerometer readings that count, and the claims
//! to devices of all its customers.

use super::claims::Claim;
use super::devices::DeviceClaim;
use super::header::Header;
use super::rows::Rows;
use super::trusted::TrustedShard;
use super::{Owner, Versions};
use crate::Corrupt;
use crate::latest_readings::LatestReadings;
use crate::packed::{packed, unpacked};
use bytes::Bytes;
use model::hash::{KeyHash, Shard, ShardCount};
use model::lake_config::LakeConfig;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: Table = Table::CustomerCurated;

/// The curated customers of one shard.
#[derive(Clone, Debug)]
pub struct CuratedShard {
    rows: Rows,
    versions: Versions,
    state: State,
}

/// The versions of the objects that a shard was computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CuratedFrom {
    /// The ETag of the `customer_trusted` shard.
    pub trusted: Option<String>,
    /// The version of that shard.
    pub trusted_version: u64,
    /// The ETag of the latest-reading index.
    pub latest_readings: Option<String>,
}

/// What a shard's object holds beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    from: CuratedFrom,
    /// The claim of each customer, and the customer's row.
    claims: BTreeMap<KeyHash, (Claim, Option<u32>)>,
    /// The device shards that a customer claimed a device of before, beside that of the claim. They may have the old claim.
    earlier: BTreeMap<KeyHash, BTreeSet<Shard>>,
}

impl Default for CuratedShard {
    fn default() -> Self {
        Self { rows: Rows::none(TABLE), versions: Versions::default(), state: State::default() }
    }
}

impl CuratedShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        let (versions, state): (_, State) = (Versions::of(TABLE, &header)?, unpacked(TABLE.name(), &header.claims)?);
        let rows = Rows::decode(TABLE, bytes)?;
        if state.claims.values().filter_map(|(_, row)| *row).any(|row| row as usize >= rows.len()) {
            return Err(Corrupt::new(TABLE.name(), "its claims refer to rows that it does not have"));
        }
        Ok(Self { rows, versions, state })
    }

    /// Writes the shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        self.rows.encode(&Header { claims: packed(TABLE.name(), &self.state)?, ..self.versions.header() })
    }

    /// Returns the versions of the objects that it was computed from.
    pub fn from(&self) -> &CuratedFrom {
        &self.state.from
    }

    /// Returns the shard's versions, by the hash of the customer: the version in which the customer's claim last changed.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the claim of a customer.
    pub fn claim(&self, customer: KeyHash) -> Option<DeviceClaim> {
        let (claim, row) = *self.state.claims.get(&customer)?;
        let owner = row.and_then(|row| Some((self.rows.email(row as usize), self.rows.since_ms(row as usize)?)));
        Some(DeviceClaim { claim, owner: owner.map(|(email, since_ms)| Owner { email, since_ms }.into()) })
    }

    /// Returns the device shards that have, or may have, a claim of a customer.
    pub fn device_shards(&self, customer: KeyHash, count: ShardCount) -> impl Iterator<Item = Shard> {
        let now = self.state.claims.get(&customer).map(|(claim, _)| claim.device.shard(count));
        let earlier = self.state.earlier.get(&customer).into_iter().flatten().copied();
        earlier.filter(move |earlier| Some(*earlier) != now).chain(now)
    }

    /// Returns the next version: the customers of `trusted` who have readings that count according to `latest_readings`, and
    /// the claims of all customers of `trusted`.
    ///
    /// The rule is "has a row in `accelerometer_trusted`". This function does not read that table: it has a row of an eligible
    /// customer exactly if the customer's latest reading counts.
    pub fn curate(
        &self,
        from: CuratedFrom,
        trusted: &TrustedShard,
        latest_readings: &LatestReadings,
        config: &LakeConfig,
    ) -> Result<Self, Corrupt> {
        let TrustedShard { rows: trusted, keys, claims, .. } = trusted;
        let counts = |row: usize| {
            let latest_ms = latest_readings.latest_ms(keys[row]);
            let since_ms = trusted.since_ms(row);
            latest_ms
                .zip(since_ms)
                .is_some_and(|(latest_ms, since_ms)| config.consent_policy.admits(latest_ms, since_ms))
        };
        let rows = trusted.filtered(TABLE, counts)?;
        let curated = (0..trusted.len()).filter(|row| counts(*row));
        let row_of: HashMap<KeyHash, u32> = curated.zip(0..).map(|(row, position)| (keys[row], position)).collect();
        let with_row = |claim: &Claim| (claim.customer, (*claim, row_of.get(&claim.customer).copied()));
        let claims = claims.iter().map(with_row).collect();
        let mut next = Self {
            rows,
            versions: Versions::default(),
            state: State { from, claims, earlier: self.state.earlier.clone() },
        };
        let customers: BTreeSet<KeyHash> = self.state.claims.keys().chain(next.state.claims.keys()).copied().collect();
        let changed = customers.into_iter().filter(|customer| self.claim(*customer) != next.claim(*customer));
        let changed: Vec<KeyHash> = changed.collect();
        for customer in &changed {
            let shard = |claims: &State| Some(claims.claims.get(customer)?.0.device.shard(config.customer_shards));
            let earlier = shard(&self.state).filter(|earlier| Some(*earlier) != shard(&next.state));
            if let Some(earlier) = earlier {
                next.state.earlier.entry(*customer).or_default().insert(earlier);
            }
        }
        next.versions = self.versions.next(changed);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::{customer, says, settled, version};
    use crate::customer_shard::trusted::CustomerShard;
    use model::customer::Customer;
    use model::hash::HashKey;
    use model::lake_config::ConsentPolicy;

    fn trusted(customers: &[Customer]) -> TrustedShard {
        let mut update = CustomerShard::empty(HashKey::public()).update();
        update.ingest(version("f"), says(customers).iter());
        TrustedShard::decode(settled(update).unwrap().encode().unwrap(), &HashKey::public()).unwrap()
    }

    fn latest_readings(latest: &[(&str, i64)]) -> LatestReadings {
        let latest_ms = latest.iter().map(|(email, time_ms)| (HashKey::public().of_email(email), *time_ms));
        LatestReadings::default().raised(latest_ms, ConsentPolicy::AtReading).unwrap_or_default()
    }

    fn config(consent_policy: ConsentPolicy) -> LakeConfig {
        LakeConfig { consent_policy, ..LakeConfig::default() }
    }

    fn curate(before: &CuratedShard, people: &[Customer], with_readings: &[&str]) -> CuratedShard {
        let latest: Vec<_> = with_readings.iter().map(|email| (*email, 9)).collect();
        let (trusted, latest) = (trusted(people), latest_readings(&latest));
        let shard = before.curate(CuratedFrom::default(), &trusted, &latest, &config(ConsentPolicy::Ever)).unwrap();
        CuratedShard::decode(shard.encode().unwrap()).unwrap()
    }

    fn with_device(serial_number: &str, of: Customer) -> Customer {
        Customer { serialnumber: Some(serial_number.into()), ..of }
    }

    #[test]
    fn an_eligible_customer_needs_a_reading_that_counts() {
        let trusted = trusted(&[customer("with", 5, Some(5)), customer("without", 5, Some(5))]);
        for (policy, latest_ms, curated) in
            [(ConsentPolicy::Ever, 4, 1), (ConsentPolicy::AtReading, 4, 0), (ConsentPolicy::AtReading, 5, 1)]
        {
            let latest = latest_readings(&[(" WITH", latest_ms)]);
            let curate = |before: &CuratedShard| {
                before.curate(CuratedFrom::default(), &trusted, &latest, &config(policy)).unwrap()
            };
            let shard = curate(&CuratedShard::default());
            assert_eq!(shard.rows.len(), curated, "{policy} {latest_ms}");
            let again = curate(&shard);
            assert_eq!((again.rows, again.state), (shard.rows, shard.state));
            assert_eq!(again.versions.changed_since(1).count(), 0, "a new version in which nothing changed");
        }
    }

    #[test]
    fn a_customer_claims_a_device_with_or_without_consent_or_readings() {
        let people = [("a", Some(1)), ("b", Some(1)), ("c", None)].map(|(name, since)| customer(name, 2, since));
        let shard = curate(&CuratedShard::default(), &people, &["a", "c"]);
        let claim =
            |email| shard.claim(HashKey::public().of_email(email)).map(|claim| (claim.claim.is_eligible, claim.owner));
        let owner = Owner { email: "a", since_ms: 1 }.into();
        assert_eq!(claim("a"), Some((true, Some(owner))));
        assert_eq!([claim("b"), claim("c"), claim("d")], [Some((true, None)), Some((false, None)), None]);
    }

    #[test]
    fn the_shards_of_earlier_devices_are_remembered() {
        let count = ShardCount::default();
        let shard_of = |serial_number: &str| HashKey::public().of(serial_number).shard(count);
        let serials: Vec<String> = (0..99).map(|n| format!("s{n}")).collect();
        let other = serials.iter().find(|serial| shard_of(serial) != shard_of("s0")).unwrap();
        let (key, before) = (HashKey::public().of("a"), CuratedShard::default());
        let first = curate(&before, &[with_device("s0", customer("a", 1, Some(1)))], &["a"]);
        let shards = |shard: &CuratedShard| shard.device_shards(key, count).collect::<BTreeSet<_>>();
        assert_eq!(shards(&first), [shard_of("s0")].into());
        let second = curate(&first, &[with_device(other, customer("a", 1, Some(1)))], &["a"]);
        assert_eq!(shards(&second), [shard_of("s0"), shard_of(other)].into());
        let third = curate(&second, &[Customer { serialnumber: None, ..customer("a", 1, Some(1)) }], &["a"]);
        assert_eq!((third.claim(key), shards(&third).len()), (None, 2));
        assert_eq!(third.versions().changed(key), 3);
    }

    #[test]
    fn only_a_change_of_the_claim_is_a_change() {
        let person = customer("a", 1, Some(1));
        let shard = curate(&CuratedShard::default(), std::slice::from_ref(&person), &["a"]);
        let phone = Customer { phone: Some("1".into()), ..person.clone() };
        for (now, changed) in
            [(phone, 1), (Customer { email: "A".into(), ..person.clone() }, 2), (customer("a", 1, Some(2)), 2)]
        {
            assert_eq!(curate(&shard, &[now], &["a"]).versions().changed(HashKey::public().of("a")), changed);
        }
        assert_eq!(curate(&shard, &[person], &[]).versions().changed(HashKey::public().of("a")), 2, "no readings");
    }

    #[test]
    fn claims_without_a_row_are_refused() {
        let mut shard = curate(&CuratedShard::default(), &[customer("a", 1, Some(1))], &["a"]);
        shard.state.claims.values_mut().for_each(|(_, row)| *row = Some(1));
        assert!(CuratedShard::decode(shard.encode().unwrap()).is_err());
    }
}
