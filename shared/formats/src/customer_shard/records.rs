//! The state of every customer record of a shard, by landing file.
//!
//! A new version of a customer file replaces the records of the old one. So the shard keeps which record came from which
//! file. It keeps no contents: only the date, the consent and a digest of each record, by the hash of the email. The
//! content of the record that counts is the table's row. If another record begins to count, the function reads its landing
//! file again.
//!
//! A daily export of all customers has the same records under a new name every day. Then one stored record lists a run of
//! files, and a shard grows with the number of changes, not with the number of days.

use super::header::Header;
use super::row_counts::{LandingFile, RowCounts};
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
    files: Vec<LandingFile>,
    customers: BTreeMap<KeyHash, Vec<Record>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    date_ms: i64,
    consent: Option<Consent>,
    /// The files that hold it, as positions in the list of files.
    files: Runs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Consent {
    since_ms: i64,
    /// The digest of the record's content.
    digest: ContentDigest,
}

/// A record of an arriving file, with its digest computed once.
pub(super) struct IncomingRecord<'a> {
    pub(super) customer: &'a Customer,
    /// The digest of its content, if it has a consent.
    pub(super) digest: Option<ContentDigest>,
}

impl<'a> IncomingRecord<'a> {
    /// Returns the record with the key of its customer.
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
            false => Err(Corrupt::new(TABLE.name(), "its records refer to files that it does not list")),
        }
    }

    /// Returns a header that holds nothing but the row counts and the records.
    pub(super) fn header(&self) -> Result<Header, Corrupt> {
        let (row_counts, records) = (packed(TABLE.name(), &self.files)?, packed(TABLE.name(), &self.customers)?);
        Ok(Header { row_counts, records, ..Header::default() })
    }

    /// Whether every record refers to listed files only.
    fn is_sound(&self) -> bool {
        let files = self.files.len();
        self.customers.values().flatten().all(|record| record.files.are_below(files))
    }

    /// Replaces the records that `file` has of this shard's customers by `customers`. Returns the keys whose records change.
    /// Calls `before_change` for each of them while the records are still the old ones.
    pub(super) fn replace(
        &mut self,
        file: &FileName,
        landing: &ObjectLocation,
        customers: &BTreeMap<KeyHash, IncomingRecord<'_>>,
        mut before_change: impl FnMut(&Self, KeyHash),
    ) -> BTreeSet<KeyHash> {
        let (id, had) = match self.files.iter().position(|known| known.file == *file) {
            Some(id) => (id as u32, self.of_file(id as u32)),
            None => {
                let (file, landing) = (file.clone(), landing.clone());
                self.files.push(LandingFile { file, landing, row_counts: RowCounts::default(), changed: 0 });
                (self.files.len() as u32 - 1, BTreeMap::new())
            }
        };
        let mut has = BTreeMap::new();
        for (key, IncomingRecord { customer, digest }) in customers {
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
            before_change(self, *key);
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

    /// Returns the customer's latest records, by digest, each with a landing file that has it. One of them counts. Returns
    /// none if a latest record lacks consent, or if there is no record.
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

    /// Returns the outcome of each record of a customer in each file that holds it, given the digest of the one that counts.
    fn outcomes(&self, key: KeyHash, counting: Option<ContentDigest>) -> impl Iterator<Item = (u32, Outcome)> {
        self.customers.get(&key).into_iter().flatten().flat_map(move |record| {
            let first = match (&record.consent, counting) {
                (None, _) => Outcome::NoConsent,
                (Some(_), None) => Outcome::ConsentWithdrawn,
                (Some(consent), Some(counting)) if consent.digest == counting => Outcome::Kept,
                (Some(_), Some(_)) => Outcome::Superseded,
            };
            // If several files have the same record, it counts in the first file by name. So the order of arrival never
            // decides. And when the record no longer counts, only the row counts of that file change.
            let keeper = record.files.iter().min_by_key(|id| self.files.get(*id as usize).map(|known| &known.file));
            let others = if record.consent.is_some() { Outcome::Duplicate } else { first };
            record.files.iter().map(move |id| (id, if Some(id) == keeper { first } else { others }))
        })
    }

    /// Applies `changes` to the row counts of the files, as of `version` of the shard.
    ///
    /// # Errors
    /// If a count would become negative.
    pub(super) fn apply(&mut self, changes: &RowCountChanges, version: u64) -> Result<(), RowCountMismatch> {
        for (file, changes) in self.files.iter_mut().zip(&changes.by_file) {
            let row_counts = file.row_counts.with(changes)?;
            file.set_row_counts(row_counts, version);
        }
        Ok(())
    }

    /// Counts the rows of all files anew, given the digests of the records that count.
    pub(super) fn recount(
        &mut self,
        counting: &HashMap<KeyHash, ContentDigest>,
        version: u64,
    ) -> Result<(), RowCountMismatch> {
        let mut changes = RowCountChanges::default();
        self.customers.keys().for_each(|key| changes.add(self, *key, counting.get(key).copied()));
        for (position, file) in self.files.iter_mut().enumerate() {
            let row_counts = RowCounts::default().with(&changes.by_file.get(position).copied().unwrap_or_default())?;
            file.set_row_counts(row_counts, version);
        }
        Ok(())
    }
}

impl LandingFile {
    fn set_row_counts(&mut self, row_counts: RowCounts, version: u64) {
        if row_counts != self.row_counts {
            (self.row_counts, self.changed) = (row_counts, version);
        }
    }
}

/// The stored row counts are not those of the stored records.
#[derive(Debug)]
pub(super) struct RowCountMismatch;

impl RowCounts {
    fn with(&self, changes: &[i64; OUTCOMES.len()]) -> Result<Self, RowCountMismatch> {
        let mut row_counts = self.clone();
        for (outcome, by) in OUTCOMES.into_iter().zip(changes) {
            let was = outcome.reason().map_or(self.kept, |reason| self.excluded.get(reason).copied().unwrap_or(0));
            let is = was.checked_add_signed(*by).ok_or(RowCountMismatch)?;
            match outcome.reason() {
                None => row_counts.kept = is,
                Some(reason) if is == 0 => drop(row_counts.excluded.remove(reason)),
                Some(reason) => drop(row_counts.excluded.insert(reason.to_owned(), is)),
            }
        }
        Ok(row_counts)
    }
}

/// What happens to a record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Kept,
    NoConsent,
    ConsentWithdrawn,
    Superseded,
    Duplicate,
}

/// All outcomes, in the order of the enum.
const OUTCOMES: [Outcome; 5] =
    [Outcome::Kept, Outcome::NoConsent, Outcome::ConsentWithdrawn, Outcome::Superseded, Outcome::Duplicate];

impl Outcome {
    /// Returns why the record is not a row; `None` if it is a row.
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

/// By how much the number of records changes, for each file and outcome.
///
/// An update subtracts a changed customer's old records and adds the new ones, so it need not count other customers.
#[derive(Debug, Default)]
pub(super) struct RowCountChanges {
    by_file: Vec<[i64; OUTCOMES.len()]>,
}

impl RowCountChanges {
    /// Subtracts a customer's records.
    pub(super) fn subtract(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>) {
        self.change(records, key, counting, -1);
    }

    /// Adds a customer's records.
    pub(super) fn add(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>) {
        self.change(records, key, counting, 1);
    }

    fn change(&mut self, records: &Records, key: KeyHash, counting: Option<ContentDigest>, by: i64) {
        self.by_file.resize(records.files.len(), Default::default());
        for (id, outcome) in records.outcomes(key, counting) {
            if let Some(changes) = self.by_file.get_mut(id as usize) {
                changes[outcome as usize] += by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(day: u32) -> ObjectLocation {
        ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{day:03}.json") }
    }

    /// Replaces the file of `day` by `customers`, each of which counts, and applies the row counts that follow.
    fn replace(records: &mut Records, day: u32, customers: &[Customer], version: u64) {
        let counted = |records: &Records, key| records.candidates(key).into_keys().next();
        let mut changes = RowCountChanges::default();
        let incoming = customers.iter().map(IncomingRecord::of).collect();
        let subtract = |records: &Records, key| changes.subtract(records, key, counted(records, key));
        for key in records.replace(&FileName::of(&location(day)), &location(day), &incoming, subtract) {
            changes.add(records, key, counted(records, key));
        }
        records.apply(&changes, version).unwrap();
    }

    #[test]
    fn a_record_that_no_longer_counts_changes_the_row_counts_of_one_file_only() {
        let mut records = Records::default();
        let customer = |date| crate::customer_shard::test_customer::customer("a", date, Some(1));
        for day in 0..5 {
            replace(&mut records, day, &[customer(1)], 1);
        }
        replace(&mut records, 5, &[customer(2)], 2);
        assert_eq!(records.files.iter().filter(|file| file.changed > 1).count(), 2);
        assert_eq!(records.files.iter().map(|file| file.row_counts.kept).sum::<u64>(), 1);
    }

    #[test]
    fn a_daily_export_takes_one_run() {
        let mut records = Records::default();
        let customer = crate::customer_shard::test_customer::customer("a", 1, Some(1));
        for day in 0..365 {
            let day = location(day);
            records.replace(&FileName::of(&day), &day, &[IncomingRecord::of(&customer)].into(), |_, _| {});
        }
        assert_eq!(records.customers[&customer.key()][0].files, (0..365).collect());
    }
}
