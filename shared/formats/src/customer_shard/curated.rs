//! A shard of `customer_curated`: the consenting customers of a shard who have accelerometer readings that count.

use super::header::Header;
use super::rows::Rows;
use super::trusted::TrustedShard;
use super::{Versions, owners};
use crate::Corrupt;
use crate::key_map::KeyMap;
use crate::latest_readings::LatestReadings;
use bytes::Bytes;
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use model::table::Table;
use std::collections::BTreeMap;

const TABLE: Table = Table::CustomerCurated;

/// The curated customers of one shard.
#[derive(Clone, Debug)]
pub struct CuratedShard {
    rows: Rows,
    versions: Versions,
    /// For each serial number the position of its owner's row. If several customers name it, the latest record owns it.
    owners: KeyMap,
}

impl Default for CuratedShard {
    fn default() -> Self {
        Self { rows: Rows::none(TABLE), versions: Versions::default(), owners: KeyMap::default() }
    }
}

impl CuratedShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        let (versions, owners, rows) =
            (Versions::of(TABLE, &header)?, row_positions(&header)?, Rows::decode(TABLE, bytes)?);
        if owners.iter().any(|(_, position)| position >= rows.len() as u64) {
            return Err(no_such_row());
        }
        Ok(Self { rows, versions, owners })
    }

    /// Writes the shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        self.rows.encode(&Header { lookups: self.owners.encode(), ..self.versions.header() }, &owners::COLUMNS)
    }

    /// Returns the owner's position among these rows.
    fn owner(&self, serial_number: KeyHash) -> Option<usize> {
        usize::try_from(self.owners.get(serial_number)?).ok()
    }

    /// Returns the next version: the customers of `trusted` who have readings that count according to `latest_readings`.
    /// Returns `None` if no row changes.
    ///
    /// The rule is "has a row in `accelerometer_trusted`". This function does not read that table: it has a row of a
    /// consenting customer exactly if the customer's latest reading counts.
    pub fn curate(
        &self,
        trusted: &TrustedShard,
        latest_readings: &LatestReadings,
        policy: ConsentPolicy,
    ) -> Result<Option<Self>, Corrupt> {
        let trusted = trusted.rows();
        let counts = |row| {
            let latest_ms = latest_readings.latest_ms(KeyHash::of(trusted.email(row)));
            latest_ms.zip(trusted.since_ms(row)).is_some_and(|(latest_ms, since_ms)| policy.admits(latest_ms, since_ms))
        };
        let rows = trusted.filtered(TABLE, counts)?;
        if rows == self.rows {
            return Ok(None);
        }
        let next = Self { owners: owners_of(&rows), rows, versions: Versions::default() };
        // Compares whole records: if several shards have an owner, the one with the latest record is chosen.
        let is_same = |was: u64, is| usize::try_from(was).is_ok_and(|was| self.rows.is_same(was, &next.rows, is));
        let stays = |serial, was| next.owner(serial).is_some_and(|is| is_same(was, is));
        let gone_or_other = self.owners.iter().filter(|(serial, was)| !stays(*serial, *was));
        let new = next.owners.iter().filter(|(serial, _)| self.owners.get(*serial).is_none());
        let changed = gone_or_other.chain(new).map(|(serial, _)| serial);
        let versions = self.versions.next(changed);
        Ok(Some(Self { versions, ..next }))
    }
}

fn owners_of(rows: &Rows) -> KeyMap {
    let mut owners: BTreeMap<KeyHash, usize> = BTreeMap::new();
    for row in 0..rows.len() {
        let Some(serial) = rows.serial_number(row).map(KeyHash::of) else { continue };
        let owner = owners.entry(serial).or_insert(row);
        if *owner != row && rows.customer(row).cmp_latest(&rows.customer(*owner)).is_gt() {
            *owner = row;
        }
    }
    KeyMap::default().with(&owners.into_iter().map(|(serial, row)| (serial, Some(row as u64))).collect())
}

/// Reads the positions of the owners' rows from the header.
pub(super) fn row_positions(header: &Header) -> Result<KeyMap, Corrupt> {
    KeyMap::decode(header.lookups.clone(), TABLE.name())
}

pub(super) fn no_such_row() -> Corrupt {
    Corrupt::new(TABLE.name(), "its owners refer to rows that it does not have")
}

#[cfg(test)]
mod tests {
    use super::super::Owner;
    use super::super::owners::{Candidate, Owners};
    use super::*;
    use crate::columnar::BATCH_ROWS;
    use crate::customer_shard::test_customer::customer;
    use crate::customer_shard::trusted::CustomerShard;
    use model::customer::Customer;
    use model::layout::{FileName, ObjectLocation};

    fn trusted(customers: &[Customer]) -> TrustedShard {
        let location = ObjectLocation { bucket: "b".into(), key: "customer/landing/f".into() };
        let mut update = CustomerShard::default().update();
        update.ingest(&FileName::of(&location), &location, customers.iter());
        TrustedShard::decode(update.settle().unwrap().unwrap().encode().unwrap()).unwrap()
    }

    fn latest_readings(latest: &[(&str, i64)]) -> LatestReadings {
        let latest_ms = latest.iter().map(|(email, time_ms)| (KeyHash::of(email), *time_ms));
        LatestReadings::default().raised(latest_ms, ConsentPolicy::AtReading).unwrap()
    }

    #[test]
    fn a_consenting_customer_needs_a_reading_that_counts() {
        let trusted = trusted(&[customer("with", 5, Some(5)), customer("without", 5, Some(5))]);
        for (policy, latest_ms, curated) in
            [(ConsentPolicy::Ever, 4, true), (ConsentPolicy::AtReading, 4, false), (ConsentPolicy::AtReading, 5, true)]
        {
            let shard =
                CuratedShard::default().curate(&trusted, &latest_readings(&[("with", latest_ms)]), policy).unwrap();
            assert_eq!(shard.is_some(), curated, "{policy} {latest_ms}");
            if let Some(shard) = shard {
                assert_eq!((shard.rows.len(), shard.rows.email(0)), (1, "with"));
                assert!(shard.curate(&trusted, &latest_readings(&[("with", latest_ms)]), policy).unwrap().is_none());
            }
        }
    }

    #[test]
    fn a_device_belongs_to_the_latest_record() {
        let mut old = customer("old", 1, Some(1));
        let mut new = customer("new", 2, Some(3));
        old.serialnumber = Some("device".into());
        new.serialnumber = Some("device".into());
        let owner = |shard: &CuratedShard| {
            let owners = Owners::decode(shard.encode().unwrap()).unwrap();
            let owner = owners.of(KeyHash::of("device")).unwrap().and_then(Candidate::owner);
            owner.map(|Owner { email, since_ms }| (email.to_owned(), since_ms))
        };
        let both = latest_readings(&[("old", 9), ("new", 9)]);
        let shard =
            CuratedShard::default().curate(&trusted(&[old.clone(), new]), &both, ConsentPolicy::Ever).unwrap().unwrap();
        assert_eq!(owner(&shard), Some(("new".into(), 3)));
        let shard = CuratedShard::decode(shard.encode().unwrap()).unwrap();
        let after = shard.curate(&trusted(&[old]), &both, ConsentPolicy::Ever).unwrap().unwrap();
        assert_eq!(owner(&after), Some(("old".into(), 1)));
        assert_eq!(after.versions.changed(KeyHash::of("device")), 2);
    }

    #[test]
    fn candidates_are_ordered_like_their_records() {
        // If a record has two dates, the update counts and the registration does not.
        let person =
            |n: i64| Customer { registrationdate: Some(50 - n), ..customer(&format!("c{n}"), n % 5, Some(1 + n)) };
        let people: Vec<_> = (0..50).map(person).collect();
        let latest: Vec<_> = people.iter().map(|c| (c.email.as_str(), 9)).collect();
        let shard = CuratedShard::default()
            .curate(&trusted(&people), &latest_readings(&latest), ConsentPolicy::Ever)
            .unwrap()
            .unwrap();
        let owners = Owners::decode(shard.encode().unwrap()).unwrap();
        assert_eq!(owners.versions(), &shard.versions);
        let candidate = |of: &Customer| owners.of(KeyHash::of(of.serialnumber.as_deref().unwrap())).unwrap().unwrap();
        for (a, b) in people.iter().flat_map(|a| people.iter().map(move |b| (a, b))) {
            assert_eq!(candidate(a).owner().map(|owner| owner.email), Some(a.email.as_str()));
            assert_eq!(candidate(a).cmp_latest(candidate(b)).unwrap(), a.cmp_latest(b));
        }
        assert!(owners.of(KeyHash::of("unknown")).unwrap().is_none());
    }

    #[test]
    fn an_owner_beyond_the_first_batch_of_rows_is_found() {
        let people: Vec<_> = (0..BATCH_ROWS as i64 + 3).map(|n| customer(&format!("c{n}"), n, Some(1 + n))).collect();
        let latest: Vec<_> = people.iter().map(|c| (c.email.as_str(), 9)).collect();
        let shard = CuratedShard::default()
            .curate(&trusted(&people), &latest_readings(&latest), ConsentPolicy::Ever)
            .unwrap()
            .unwrap();
        let owners = Owners::decode(shard.encode().unwrap()).unwrap();
        for person in &people {
            let candidate = owners.of(KeyHash::of(person.serialnumber.as_deref().unwrap())).unwrap().unwrap();
            assert_eq!(candidate.owner().map(|owner| owner.email), Some(person.email.as_str()));
        }
    }

    #[test]
    fn owners_without_a_row_are_refused() {
        let people = [customer("a", 1, Some(1))];
        let shard = CuratedShard::default()
            .curate(&trusted(&people), &latest_readings(&[("a", 9)]), ConsentPolicy::Ever)
            .unwrap()
            .unwrap();
        let owners = KeyMap::default().with(&BTreeMap::from([(KeyHash::of("s"), Some(1))]));
        let object = CuratedShard { owners, ..shard }.encode().unwrap();
        assert!(CuratedShard::decode(object.clone()).is_err());
        assert!(Owners::decode(object).unwrap().of(KeyHash::of("s")).is_err());
    }
}
