//! What a shard remembers of every customer record that landed, by landing file.
//!
//! A replaced customer file replaces its records, so the shard must know which record came from which file. It keeps
//! no contents: of a record only the date, the consent and a digest, by the hash of the email. The content of the
//! record that counts is the table's row; another's, should it come to count, is read from its landing file again.
//!
//! A daily export of all customers has the same records under a new name every day: one remembered record then stands
//! in a run of files, so that a shard's size follows the changes and not the days.

use super::header::Header;
use super::row_counts::{LandedFile, RowCounts};
use crate::Corrupt;
use crate::packed::{packed, unpacked};
use crate::runs::Runs;
use model::customer::{Customer, excluded};
use model::hash::{ContentDigest, KeyHash};
use model::layout::{FileName, ObjectLocation};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: Table = Table::CustomerTrusted;

/// All records of a shard's customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    files: Vec<LandedFile>,
    customers: BTreeMap<KeyHash, Vec<Record>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    date_ms: i64,
    consent: Option<Consent>,
    /// The files that hold it, by their place in the list of files.
    files: Runs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Consent {
    since_ms: i64,
    /// Tells this record's content from another's.
    digest: ContentDigest,
}

/// A record that lands, and what takes time to be told of it.
pub(super) struct Landing<'a> {
    pub(super) customer: &'a Customer,
    /// Its digest, if it has a consent.
    pub(super) digest: Option<ContentDigest>,
}

impl<'a> Landing<'a> {
    /// By the key of the customer.
    pub(super) fn of(customer: &'a Customer) -> (KeyHash, Self) {
        (customer.key(), Self { customer, digest: customer.since_ms().map(|_| customer.digest()) })
    }
}

impl Records {
    /// Reads the records of a shard.
    pub(super) fn decode(header: &Header) -> Result<Self, Corrupt> {
        let (files, customers) =
            (unpacked(TABLE.name(), &header.row_counts)?, unpacked(TABLE.name(), &header.records)?);
        let records = Self { files, customers };
        match records.is_sound() {
            true => Ok(records),
            false => Err(Corrupt::new(TABLE.name(), "it remembers records of files that it does not list")),
        }
    }

    /// What is in front of a shard's rows, with nothing but its records.
    pub(super) fn header(&self) -> Result<Header, Corrupt> {
        let (row_counts, records) = (packed(TABLE.name(), &self.files)?, packed(TABLE.name(), &self.customers)?);
        Ok(Header { row_counts, records, ..Header::default() })
    }

    /// Whether each record stands in files that are listed, as of all that was written here.
    fn is_sound(&self) -> bool {
        let files = self.files.len();
        self.customers.values().flatten().all(|record| record.files.are_below(files))
    }

    /// Replaces what `file` says of this shard's customers by `customers`; the keys for which that is a change. Each of
    /// them is first told to `before`, with the records as they were.
    pub(super) fn replace(
        &mut self,
        file: &FileName,
        landing: &ObjectLocation,
        customers: &BTreeMap<KeyHash, Landing<'_>>,
        mut before: impl FnMut(&Self, KeyHash),
    ) -> BTreeSet<KeyHash> {
        let (id, had) = match self.files.iter().position(|landed| landed.file == *file) {
            Some(id) => (id as u32, self.of_file(id as u32)),
            None => {
                let (file, landing) = (file.clone(), landing.clone());
                self.files.push(LandedFile { file, landing, row_counts: RowCounts::default(), changed: 0 });
                (self.files.len() as u32 - 1, BTreeMap::new())
            }
        };
        let mut has = BTreeMap::new();
        for (key, Landing { customer, digest }) in customers {
            let consent = customer.since_ms().zip(*digest).map(|(since_ms, digest)| Consent { since_ms, digest });
            has.insert(*key, Record { date_ms: customer.date_ms(), consent, files: Runs::default() });
        }
        let same = |a: &Record, b: &Record| a.date_ms == b.date_ms && a.consent == b.consent;
        let mut changed = BTreeSet::new();
        for key in had.keys().chain(has.keys()) {
            let (was, is) = (had.get(key), has.get(key));
            if was.zip(is).is_some_and(|(was, is)| same(was, is)) || !changed.insert(*key) {
                continue;
            }
            before(self, *key);
            let records = self.customers.entry(*key).or_default();
            records.iter_mut().for_each(|record| record.files.remove(id));
            records.retain(|record| !record.files.is_empty());
            if let Some(is) = is {
                match records.iter_mut().find(|record| same(record, is)) {
                    Some(record) => record.files.insert(id),
                    None => {
                        let mut record = is.clone();
                        record.files.insert(id);
                        records.push(record);
                    }
                }
            }
            if records.is_empty() {
                self.customers.remove(key);
            }
        }
        changed
    }

    fn of_file(&self, id: u32) -> BTreeMap<KeyHash, Record> {
        let held = |records: &Vec<Record>| records.iter().find(|record| record.files.contains(id)).cloned();
        self.customers.iter().filter_map(|(key, records)| Some((*key, held(records)?))).collect()
    }

    /// The records of a customer of which one counts, by digest, each with a landing file that has it. None if the
    /// latest record has no consent, or there is no record.
    pub fn candidates(&self, key: KeyHash) -> BTreeMap<ContentDigest, &ObjectLocation> {
        let records = self.customers.get(&key).map(Vec::as_slice).unwrap_or_default();
        let latest_ms = records.iter().map(|record| record.date_ms).max();
        let latest = || records.iter().filter(|record| Some(record.date_ms) == latest_ms);
        if latest().any(|record| record.consent.is_none()) {
            return BTreeMap::new();
        }
        let held_in = |record: &Record| record.files.last().and_then(|id| self.files.get(id as usize));
        latest().filter_map(|r| Some((r.consent.as_ref()?.digest, &held_in(r)?.landing))).collect()
    }

    /// What becomes of each record of a customer in each file that holds it, given the digest of the one that counts.
    fn fates(&self, key: KeyHash, counting: Option<ContentDigest>) -> impl Iterator<Item = (u32, Fate)> {
        self.customers.get(&key).into_iter().flatten().flat_map(move |record| {
            let first = match (&record.consent, counting) {
                (None, _) => Fate::NoConsent,
                (Some(_), None) => Fate::ConsentWithdrawn,
                (Some(consent), Some(counting)) if consent.digest == counting => Fate::Kept,
                (Some(_), Some(_)) => Fate::Superseded,
            };
            // Of several files with the very record, the first by name answers for it: the order of arrival never
            // decides, and when the record no longer counts, only that file's row_counts changes.
            let keeper = record.files.iter().min_by_key(|id| self.files.get(*id as usize).map(|landed| &landed.file));
            let others = if record.consent.is_some() { Fate::Duplicate } else { first };
            record.files.iter().map(move |id| (id, if Some(id) == keeper { first } else { others }))
        })
    }

    /// Changes the row_counts of files, in `version` of the shard; or says that one row_counts for fewer records than are
    /// taken off.
    pub(super) fn row_counts(&mut self, changes: &AccountChanges, version: u64) -> Result<(), Deviates> {
        for (landed, changes) in self.files.iter_mut().zip(&changes.by_file) {
            let row_counts = landed.row_counts.changed(changes)?;
            landed.row_counts(row_counts, version);
        }
        Ok(())
    }

    /// Counts all row_counts anew, given the digests of the records that count.
    pub(super) fn recount(&mut self, counting: &HashMap<KeyHash, ContentDigest>, version: u64) -> Result<(), Deviates> {
        let mut changes = AccountChanges::default();
        self.customers.keys().for_each(|key| changes.add(self, *key, counting.get(key).copied()));
        for (place, landed) in self.files.iter_mut().enumerate() {
            let row_counts = RowCounts::default().changed(&changes.by_file.get(place).copied().unwrap_or_default())?;
            landed.row_counts(row_counts, version);
        }
        Ok(())
    }
}

impl LandedFile {
    fn row_counts(&mut self, row_counts: RowCounts, version: u64) {
        if row_counts != self.row_counts {
            (self.row_counts, self.changed) = (row_counts, version);
        }
    }
}

/// An row_counts is not that of the records.
#[derive(Debug)]
pub(super) struct Deviates;

impl RowCounts {
    fn changed(&self, changes: &[i64; FATES.len()]) -> Result<Self, Deviates> {
        let mut row_counts = self.clone();
        for (fate, by) in FATES.into_iter().zip(changes) {
            let was = fate.reason().map_or(self.kept, |reason| self.excluded.get(reason).copied().unwrap_or(0));
            let is = was.checked_add_signed(*by).ok_or(Deviates)?;
            match fate.reason() {
                None => row_counts.kept = is,
                Some(reason) if is == 0 => drop(row_counts.excluded.remove(reason)),
                Some(reason) => drop(row_counts.excluded.insert(reason.to_owned(), is)),
            }
        }
        Ok(row_counts)
    }
}

/// What becomes of a record in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    NoConsent,
    ConsentWithdrawn,
    Superseded,
    Duplicate,
}

/// All there are, by their number.
const FATES: [Fate; 5] = [Fate::Kept, Fate::NoConsent, Fate::ConsentWithdrawn, Fate::Superseded, Fate::Duplicate];

impl Fate {
    /// Why the record is not a row; none if it is.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Kept => None,
            Self::NoConsent => Some(excluded::NO_CONSENT),
            Self::ConsentWithdrawn => Some(excluded::CONSENT_WITHDRAWN),
            Self::Superseded => Some(excluded::SUPERSEDED),
            Self::Duplicate => Some(excluded::DUPLICATE),
        }
    }
}

/// How many records of each file more, or fewer, meet each fate: a customer of whom something changed is taken off as
/// it was, and added as it is, so that nobody else has to be counted.
#[derive(Debug, Default)]
pub(super) struct AccountChanges {
    by_file: Vec<[i64; FATES.len()]>,
}

impl AccountChanges {
    /// Takes a customer off.
    pub(super) fn less(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>) {
        self.change(records, key, counting, -1);
    }

    /// Adds a customer.
    pub(super) fn add(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>) {
        self.change(records, key, counting, 1);
    }

    fn change(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>, by: i64) {
        self.by_file.resize(records.files.len(), Default::default());
        for (id, fate) in records.fates(key, counting) {
            if let Some(changes) = self.by_file.get_mut(id as usize) {
                changes[fate as usize] += by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(day: u32) -> ObjectLocation {
        ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{day:03}.json") }
    }

    /// `records` after `day` has `customers`, each of whom counts, with the row_counts that follow.
    fn landed(records: &mut Records, day: u32, customers: &[Customer], version: u64) {
        let counted = |records: &Records, key| records.candidates(key).into_keys().next();
        let mut changes = AccountChanges::default();
        let landings = customers.iter().map(Landing::of).collect();
        let less = |records: &Records, key| changes.less(records, key, counted(records, key));
        for key in records.replace(&FileName::of(&place(day)), &place(day), &landings, less) {
            changes.add(records, key, counted(records, key));
        }
        records.row_counts(&changes, version).unwrap();
    }

    #[test]
    fn when_a_record_no_longer_counts_only_the_first_file_that_has_it_changes_its_account() {
        let mut records = Records::default();
        let customer = |date| crate::customer_shard::test_customer::customer("a", date, Some(1));
        for day in 0..5 {
            landed(&mut records, day, &[customer(1)], 1);
        }
        landed(&mut records, 5, &[customer(2)], 2);
        assert_eq!(records.files.iter().filter(|file| file.changed > 1).count(), 2);
        assert_eq!(records.files.iter().map(|file| file.row_counts.kept).sum::<u64>(), 1);
    }

    #[test]
    fn a_daily_export_takes_one_run() {
        let mut records = Records::default();
        let customer = crate::customer_shard::test_customer::customer("a", 1, Some(1));
        for day in 0..365 {
            let day = place(day);
            records.replace(&FileName::of(&day), &day, &[Landing::of(&customer)].into(), |_, _| {});
        }
        assert_eq!(records.customers[&customer.key()][0].files, (0..365).collect());
    }
}
