//! What becomes of each customer record, and the row counts of the files that follow.
//!
//! An update subtracts a changed customer's old records from the counts and adds the new ones, so it does not look at other
//! customers.

use super::records::{Record, Records};
use super::row_counts::{LandingFile, RowCounts};
use model::customer::excluded;
use model::hash::{ContentDigest, KeyHash};
use std::collections::HashMap;

/// What happens to a record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Kept,
    NoConsent,
    ConsentWithdrawn,
    Suspended,
    Superseded,
    Duplicate,
}

/// All outcomes, in the order of the enum.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Kept,
    Outcome::NoConsent,
    Outcome::ConsentWithdrawn,
    Outcome::Suspended,
    Outcome::Superseded,
    Outcome::Duplicate,
];

impl Outcome {
    /// Returns why the record is not a row; `None` if it is a row.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Kept => None,
            Self::NoConsent => Some(excluded::NO_CONSENT),
            Self::ConsentWithdrawn => Some(excluded::CONSENT_WITHDRAWN),
            Self::Suspended => Some(excluded::SUSPENDED),
            Self::Superseded => Some(excluded::SUPERSEDED),
            Self::Duplicate => Some(excluded::DUPLICATE),
        }
    }
}

impl Records {
    /// Returns the outcome of each valid record of a customer in each file that holds it, given the digest of the grant that
    /// counts. Rejected records are in the quarantine of their file.
    fn outcomes(&self, key: KeyHash, counting: Option<ContentDigest>) -> impl Iterator<Item = (u32, Outcome)> {
        let history = self.history(key);
        self.of(key).iter().filter(|record| record.is_valid).flat_map(move |record: &Record| {
            let first = match &record.consent {
                None => Outcome::NoConsent,
                Some(consent) if Some(consent.digest) == counting => Outcome::Kept,
                Some(_) if history.is_withdrawn(record.date_ms) => Outcome::ConsentWithdrawn,
                Some(_) if history.is_suspended() => Outcome::Suspended,
                // The landing file of the grant that counts is gone.
                Some(_) if counting.is_none() => Outcome::ConsentWithdrawn,
                Some(_) => Outcome::Superseded,
            };
            // If several files have the same record, it counts in the first file by location. So the order of arrival never
            // decides. And when the record no longer counts, only the row counts of that file change.
            let keeper = record.files.iter().min_by_key(|id| self.files.get(*id as usize).map(|known| &known.landing));
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

    /// Counts the rows of all files anew, given the digests of the grants that count.
    pub(super) fn recount(
        &mut self,
        counting: &HashMap<KeyHash, ContentDigest>,
        version: u64,
    ) -> Result<(), RowCountMismatch> {
        let mut changes = RowCountChanges::default();
        self.keys().for_each(|key| changes.add(self, key, counting.get(&key).copied()));
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

/// By how much the number of records changes, for each file and outcome.
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
    use super::super::records::IncomingCustomer;
    use super::*;
    use crate::customer_shard::test_customer::{customer, says};
    use model::customer::Customer;
    use model::layout::{FileId, ObjectLocation};

    fn location(day: u32) -> ObjectLocation {
        ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{day:03}.json") }
    }

    /// Replaces the file of `day` by `customers`, each of which counts, and applies the row counts that follow.
    fn replace(records: &mut Records, day: u32, customers: &[Customer], version: u64) {
        let counted = |records: &Records, key| records.candidates(key).into_keys().next();
        let mut changes = RowCountChanges::default();
        let customers = says(customers);
        let incoming = customers.iter().map(|customer| (customer.key, IncomingCustomer::of(customer))).collect();
        let subtract = |records: &Records, key| changes.subtract(records, key, counted(records, key));
        let file = (FileId::of(&location(day)), &location(day), i64::from(day));
        for key in records.replace(file, &incoming, subtract).changed {
            changes.add(records, key, counted(records, key));
        }
        records.apply(&changes, version).unwrap();
    }

    #[test]
    fn a_record_that_no_longer_counts_changes_the_row_counts_of_one_file_only() {
        let mut records = Records::default();
        for day in 0..5 {
            replace(&mut records, day, &[customer("a", 1, Some(1))], 1);
        }
        replace(&mut records, 5, &[customer("a", 2, Some(1))], 2);
        assert_eq!(records.files.iter().filter(|file| file.changed > 1).count(), 2);
        assert_eq!(records.files.iter().map(|file| file.row_counts.kept).sum::<u64>(), 1);
    }
}
