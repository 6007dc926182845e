//! A shard of `customer_curated`: the eligible customers of a shard who have accelerometer readings that count, and the owners
//! of devices among all customers of the shard.

use super::claims::{Claim, DeviceOwner, DeviceOwners};
use super::header::Header;
use super::rows::Rows;
use super::trusted::TrustedShard;
use super::{Versions, owners};
use crate::Corrupt;
use crate::latest_readings::LatestReadings;
use bytes::Bytes;
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use model::table::Table;
use std::collections::{BTreeMap, HashMap};

const TABLE: Table = Table::CustomerCurated;

/// The curated customers of one shard.
#[derive(Clone, Debug)]
pub struct CuratedShard {
    rows: Rows,
    versions: Versions,
    owners: DeviceOwners,
}

impl Default for CuratedShard {
    fn default() -> Self {
        Self { rows: Rows::none(TABLE), versions: Versions::default(), owners: DeviceOwners::default() }
    }
}

impl CuratedShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        let (versions, owners) = (Versions::of(TABLE, &header)?, DeviceOwners::decode(header.claims.clone(), TABLE)?);
        let rows = Rows::decode(TABLE, bytes)?;
        if owners.iter().filter_map(|owner| owner.row).any(|row| row as usize >= rows.len()) {
            return Err(Corrupt::new(TABLE.name(), "its owners refer to rows that it does not have"));
        }
        Ok(Self { rows, versions, owners })
    }

    /// Writes the shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        self.rows.encode(&Header { claims: self.owners.encode(), ..self.versions.header() }, &owners::COLUMNS)
    }

    /// Returns the next version: the customers of `trusted` who have readings that count according to `latest_readings`, and
    /// the owners of devices by the claims of `trusted`. Returns `None` if nothing changes.
    ///
    /// The rule is "has a row in `accelerometer_trusted`". This function does not read that table: it has a row of an eligible
    /// customer exactly if the customer's latest reading counts.
    pub fn curate(
        &self,
        trusted: &TrustedShard,
        latest_readings: &LatestReadings,
        policy: ConsentPolicy,
    ) -> Result<Option<Self>, Corrupt> {
        let TrustedShard { rows: trusted, claims } = trusted;
        let keys: Vec<KeyHash> = (0..trusted.len()).map(|row| KeyHash::of_email(trusted.email(row))).collect();
        let counts = |row: usize| {
            let latest_ms = latest_readings.latest_ms(keys[row]);
            latest_ms.zip(trusted.since_ms(row)).is_some_and(|(latest_ms, since_ms)| policy.admits(latest_ms, since_ms))
        };
        let rows = trusted.filtered(TABLE, counts)?;
        let curated = (0..trusted.len()).filter(|row| counts(*row));
        let row_of: HashMap<KeyHash, u32> = curated.zip(0..).map(|(row, position)| (keys[row], position)).collect();
        let mut owners: BTreeMap<KeyHash, Claim> = BTreeMap::new();
        for claim in claims {
            let greatest = owners.entry(claim.device).or_insert(*claim);
            if claim.rank() > greatest.rank() {
                *greatest = *claim;
            }
        }
        let owner = |claim: Claim| DeviceOwner { claim, row: row_of.get(&claim.customer).copied() };
        let owners = DeviceOwners::new(owners.into_values().map(owner));
        if rows == self.rows && owners == self.owners {
            return Ok(None);
        }
        let next = Self { rows, owners, versions: Versions::default() };
        // Another record in the row is a change. Another position of the row is not.
        let is_same = |was: DeviceOwner, is: DeviceOwner| {
            let row = match (was.row, is.row) {
                (Some(was), Some(is)) => self.rows.is_same(was as usize, &next.rows, is as usize),
                (was, is) => was == is,
            };
            row && was.claim == is.claim
        };
        let stays = |was: &DeviceOwner| next.owners.get(was.claim.device).is_some_and(|is| is_same(*was, is));
        let gone_or_other = self.owners.iter().filter(|was| !stays(was));
        let new = next.owners.iter().filter(|is| self.owners.get(is.claim.device).is_none());
        let versions = self.versions.next(gone_or_other.chain(new).map(|owner| owner.claim.device));
        Ok(Some(Self { versions, ..next }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Owner;
    use super::super::owners::{Candidate, Owners};
    use super::*;
    use crate::columnar::BATCH_ROWS;
    use crate::customer_shard::test_customer::{customer, says};
    use crate::customer_shard::trusted::CustomerShard;
    use model::customer::Customer;
    use model::layout::{FileId, ObjectLocation};

    fn trusted(customers: &[Customer]) -> TrustedShard {
        let location = ObjectLocation { bucket: "b".into(), key: "customer/landing/f".into() };
        let mut update = CustomerShard::default().update();
        update.ingest((FileId::of(&location), &location, 1), says(customers).iter());
        TrustedShard::decode(update.settle().unwrap().unwrap().encode().unwrap()).unwrap()
    }

    fn latest_readings(latest: &[(&str, i64)]) -> LatestReadings {
        let latest_ms = latest.iter().map(|(email, time_ms)| (KeyHash::of_email(email), *time_ms));
        LatestReadings::default().raised(latest_ms, ConsentPolicy::AtReading).unwrap()
    }

    fn curate(before: &CuratedShard, people: &[Customer], with_readings: &[&str]) -> CuratedShard {
        let latest: Vec<_> = with_readings.iter().map(|email| (*email, 9)).collect();
        let shard = before.curate(&trusted(people), &latest_readings(&latest), ConsentPolicy::Ever).unwrap().unwrap();
        CuratedShard::decode(shard.encode().unwrap()).unwrap()
    }

    fn owner(shard: &CuratedShard, serial_number: &str) -> Option<(String, i64)> {
        let owners = Owners::decode(shard.encode().unwrap()).unwrap();
        let owner = owners.of(KeyHash::of_serial_number(serial_number).unwrap()).map(Candidate::owner);
        owner.and_then(Result::unwrap).map(|Owner { email, since_ms }| (email.to_owned(), since_ms))
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
            let shard = CuratedShard::default().curate(&trusted, &latest, policy).unwrap().unwrap();
            assert_eq!(shard.rows.len(), curated, "{policy} {latest_ms}");
            assert!(shard.curate(&trusted, &latest, policy).unwrap().is_none());
        }
    }

    #[test]
    fn a_device_belongs_to_the_latest_record() {
        let old = with_device("device", customer("old", 1, Some(1)));
        let new = with_device(" device ", customer("new", 2, Some(3)));
        let shard = curate(&CuratedShard::default(), &[old.clone(), new], &["old", "new"]);
        assert_eq!(owner(&shard, "device"), Some(("new".into(), 3)));
        let after = curate(&shard, &[old], &["old"]);
        assert_eq!(owner(&after, "device"), Some(("old".into(), 1)));
        assert_eq!(after.versions.changed(KeyHash::of("device")), 2);
    }

    #[test]
    fn a_device_of_a_customer_without_consent_or_readings_has_no_owner() {
        let old = with_device("device", customer("old", 1, Some(1)));
        for new in [customer("new", 2, None), customer("new", 1, None), customer("new", 2, Some(1))] {
            let shard = curate(&CuratedShard::default(), &[old.clone(), with_device("device", new)], &["old"]);
            assert_eq!(owner(&shard, "device"), None);
        }
        let earlier = with_device("device", customer("new", 0, None));
        let shard = curate(&CuratedShard::default(), &[old, earlier], &["old"]);
        assert_eq!(owner(&shard, "device"), Some(("old".into(), 1)));
    }

    #[test]
    fn an_owner_beyond_the_first_batch_of_rows_is_found() {
        let people: Vec<_> = (0..BATCH_ROWS as i64 + 3).map(|n| customer(&format!("c{n}"), n, Some(1 + n))).collect();
        let emails: Vec<_> = people.iter().map(|person| person.email.as_str()).collect();
        let shard = curate(&CuratedShard::default(), &people, &emails);
        let owners = Owners::decode(shard.encode().unwrap()).unwrap();
        assert_eq!(owners.versions(), &shard.versions);
        for person in &people {
            let owner = owners.of(person.device().unwrap()).unwrap().owner().unwrap();
            assert_eq!(owner.map(|owner| owner.email), Some(person.email.as_str()));
        }
    }

    #[test]
    fn owners_without_a_row_are_refused() {
        let shard = curate(&CuratedShard::default(), &[customer("a", 1, Some(1))], &["a"]);
        let owners = DeviceOwners::new(shard.owners.iter().map(|owner| DeviceOwner { row: Some(1), ..owner }));
        let object = CuratedShard { owners, ..shard }.encode().unwrap();
        assert!(CuratedShard::decode(object.clone()).is_err());
        let device = KeyHash::of_serial_number("serial of a").unwrap();
        assert!(Owners::decode(object).unwrap().of(device).unwrap().owner().is_err());
    }
}
