//! The state of every customer record of a shard, by landing file, and the consent history of each customer.
//!
//! A new version of a customer file replaces the records of the old one. So the shard keeps which record came from which
//! file. It keeps no contents: only the date, the consent, the device and a digest of each record, by the hash of the
//! customer. The content of the record that counts is the table's row. If another record begins to count, the function reads
//! its landing file again.
//!
//! The history only grows: a replaced, redacted or deleted file takes no withdrawal back.
//!
//! A daily export of all customers has the same records under a new name every day. Then one stored record lists a run of
//! files, and a shard grows with the number of changes, not with the number of days.

use super::claims::Claim;
use super::header::Header;
use super::row_counts::LandingFile;
use crate::Corrupt;
use crate::customer_file::{FileCustomer, Withdrawal};
use crate::packed::{packed, unpacked};
use crate::runs::Runs;
use model::consent::ConsentHistory;
use model::customer::Customer;
use model::hash::{ContentDigest, KeyHash};
use model::layout::{FileId, ObjectLocation};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

const TABLE: Table = Table::CustomerTrusted;

/// All records of a shard's customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    pub(super) files: Vec<LandingFile>,
    customers: BTreeMap<KeyHash, CustomerRecords>,
}

/// The records of a customer in the current files, and what all records have said about the consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CustomerRecords {
    records: Vec<Record>,
    /// Its `valid_seen_at_ms` leaves out the files that still have a valid record; see [`Records::history`].
    history: ConsentHistory,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) date_ms: i64,
    pub(super) consent: Option<Consent>,
    device: Option<KeyHash>,
    /// Whether it is valid in every field. Only a withdrawal may not be: it is in quarantine, and still counts.
    pub(super) is_valid: bool,
    /// The files that hold it, as positions in the list of files.
    pub(super) files: Runs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Consent {
    since_ms: i64,
    /// The digest of the record's content.
    pub(super) digest: ContentDigest,
}

/// What an arriving file says of a customer, with the digest of the grant computed once.
pub(super) struct IncomingCustomer<'a> {
    pub(super) customer: &'a FileCustomer,
    /// The digest of the grant.
    pub(super) digest: Option<ContentDigest>,
}

/// What changed when a file was replaced.
pub(super) struct Replaced {
    /// The customers for whom anything changed.
    pub(super) changed: BTreeSet<KeyHash>,
    /// Whether the known version of the file was stored earlier.
    pub(super) is_stored_later: bool,
}

impl<'a> IncomingCustomer<'a> {
    pub(super) fn of(customer: &'a FileCustomer) -> Self {
        Self { customer, digest: customer.grant.as_ref().map(Customer::digest) }
    }

    fn records(&self) -> Vec<Record> {
        let FileCustomer { grant, withdrawal, .. } = self.customer;
        let grant = grant.as_ref().zip(self.digest).and_then(|(grant, digest)| {
            let consent = Some(Consent { since_ms: grant.since_ms()?, digest });
            let (date_ms, device) = (grant.date_ms(), grant.device());
            Some(Record { date_ms, consent, device, is_valid: true, files: Runs::default() })
        });
        let withdrawal = withdrawal.map(|Withdrawal { date_ms, is_valid, device }| Record {
            date_ms,
            consent: None,
            device,
            is_valid,
            files: Runs::default(),
        });
        grant.into_iter().chain(withdrawal).collect()
    }
}

impl Record {
    fn is_same(&self, other: &Self) -> bool {
        let Self { date_ms, consent, device, is_valid, files: _ } = self;
        (date_ms, consent, device, is_valid) == (&other.date_ms, &other.consent, &other.device, &other.is_valid)
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
        self.customers.values().flat_map(|customer| &customer.records).all(|record| record.files.are_below(files))
    }

    /// Replaces what `file`, stored at `stored_ms`, says of this shard's customers. Calls `before_change` for each of them while the records are still the old ones.
    pub(super) fn replace(
        &mut self,
        (file, landing, stored_ms): (FileId, &ObjectLocation, i64),
        customers: &BTreeMap<KeyHash, IncomingCustomer<'_>>,
        mut before_change: impl FnMut(&Self, KeyHash),
    ) -> Replaced {
        let (id, had) = match self.files.iter().position(|known| known.file == file) {
            Some(id) => (id, self.of_file(id as u32)),
            None => {
                self.files.push(LandingFile::new(file, landing, stored_ms));
                (self.files.len() - 1, BTreeMap::new())
            }
        };
        let was_stored_ms = self.files[id].stored_ms;
        let mut changed = BTreeSet::new();
        if stored_ms < was_stored_ms {
            // A slow function read the file before it was stored again.
            return Replaced { changed, is_stored_later: false };
        }
        for key in had.keys().chain(customers.keys()) {
            let was = had.get(key).map(Vec::as_slice).unwrap_or_default();
            let is = customers.get(key).map(IncomingCustomer::records).unwrap_or_default();
            let said = customers.get(key).map(|incoming| incoming.customer.history).unwrap_or_default();
            let known = self.customers.get(key).map(|customer| customer.history).unwrap_or_default();
            let mut history = known.raised(ConsentHistory { valid_seen_at_ms: None, ..said });
            let has_valid = is.iter().any(|record| record.is_valid);
            if !has_valid {
                let left = was.iter().any(|record| record.is_valid).then_some(was_stored_ms);
                history.valid_seen_at_ms = history.valid_seen_at_ms.max(said.valid_seen_at_ms).max(left);
            }
            let same = was.len() == is.len() && is.iter().all(|is| was.iter().any(|was| was.is_same(is)));
            let may_end_suspension = known.suspended_at_ms.is_some() && has_valid && stored_ms > was_stored_ms;
            if same && history == known && !may_end_suspension || !changed.insert(*key) {
                continue;
            }
            before_change(self, *key);
            self.replace_records(*key, id as u32, is, history);
        }
        self.files[id].stored_ms = stored_ms;
        Replaced { changed, is_stored_later: stored_ms > was_stored_ms }
    }

    fn replace_records(&mut self, key: KeyHash, file: u32, is: Vec<Record>, history: ConsentHistory) {
        let customer = self.customers.entry(key).or_default();
        customer.history = history;
        let records = &mut customer.records;
        records.iter_mut().for_each(|record| record.files.remove(file));
        records.retain(|record| !record.files.is_empty());
        for mut is in is {
            match records.iter_mut().find(|record| record.is_same(&is)) {
                Some(record) => record.files.insert(file),
                None => {
                    is.files.insert(file);
                    records.push(is);
                }
            }
        }
        if records.is_empty() && history == ConsentHistory::default() {
            self.customers.remove(&key);
        }
    }

    fn of_file(&self, id: u32) -> BTreeMap<KeyHash, Vec<Record>> {
        let mut of_file = BTreeMap::new();
        for (key, customer) in &self.customers {
            let held: Vec<Record> =
                customer.records.iter().filter(|record| record.files.contains(id)).cloned().collect();
            if !held.is_empty() {
                of_file.insert(*key, held);
            }
        }
        of_file
    }

    /// Returns what all records of a customer have said about the consent.
    pub(super) fn history(&self, key: KeyHash) -> ConsentHistory {
        let Some(CustomerRecords { records, history }) = self.customers.get(&key) else { return Default::default() };
        // Without a suspension nothing asks for it.
        if history.suspended_at_ms.is_none() {
            return *history;
        }
        let files = records.iter().filter(|record| record.is_valid).flat_map(|record| record.files.iter());
        let seen = files.filter_map(|id| Some(self.files.get(id as usize)?.stored_ms)).max();
        ConsentHistory { valid_seen_at_ms: history.valid_seen_at_ms.max(seen), ..*history }
    }

    /// Returns the customers of the shard.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyHash> {
        self.customers.keys().copied()
    }

    pub(super) fn of(&self, key: KeyHash) -> &[Record] {
        self.customers.get(&key).map(|customer| customer.records.as_slice()).unwrap_or_default()
    }

    /// Returns the customer's latest grants, by digest, each with a landing file that has it. One of them counts. Returns
    /// none if no grant is in force.
    pub(super) fn candidates(&self, key: KeyHash) -> BTreeMap<ContentDigest, &ObjectLocation> {
        let grants = || self.of(key).iter().filter_map(|record| Some((record, record.consent.as_ref()?)));
        let Some(latest_ms) = grants().map(|(record, _)| record.date_ms).max() else { return BTreeMap::new() };
        if !self.history(key).admits(latest_ms) {
            return BTreeMap::new();
        }
        let latest = grants().filter(|(record, _)| record.date_ms == latest_ms);
        let held_in = |record: &Record| record.files.last().and_then(|id| self.files.get(id as usize));
        latest.filter_map(|(record, consent)| Some((consent.digest, &held_in(record)?.landing))).collect()
    }

    /// Returns the customer's claim to a device, given the digest of the grant that counts.
    pub(super) fn claim(&self, key: KeyHash, counting: Option<ContentDigest>) -> Option<Claim> {
        let counts = |record: &&Record| record.consent.as_ref().is_some_and(|consent| Some(consent.digest) == counting);
        let rank = |record: &&Record| (record.date_ms, record.consent.is_none(), Reverse(record.device));
        let records = || self.of(key).iter();
        let latest = records().find(counts).or_else(|| records().max_by_key(rank))?;
        Some(Claim { device: latest.device?, customer: key, date_ms: latest.date_ms, is_eligible: counting.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::{customer, says};

    #[test]
    fn a_version_that_was_stored_earlier_than_the_known_one_is_ignored() {
        let at = ObjectLocation { bucket: "b".into(), key: "customer/landing/f.json".into() };
        let mut records = Records::default();
        let mut replace = |stored_ms, date_ms| {
            let says = says(&[customer("a", date_ms, Some(1))]);
            let incoming = says.iter().map(|customer| (customer.key, IncomingCustomer::of(customer))).collect();
            records.replace((FileId::of(&at), &at, stored_ms), &incoming, |_, _| {}).changed.len()
        };
        assert_eq!([replace(5, 1), replace(4, 2), replace(5, 3), replace(5, 3)], [1, 0, 1, 0]);
    }

    #[test]
    fn a_daily_export_takes_one_run() {
        let mut records = Records::default();
        let customer = says(&[customer("a", 1, Some(1))]);
        for day in 0..365 {
            let at = ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{day:03}.json") };
            let incoming = customer.iter().map(|customer| (customer.key, IncomingCustomer::of(customer))).collect();
            records.replace((FileId::of(&at), &at, day), &incoming, |_, _| {});
        }
        let [record] = records.of(customer[0].key) else { panic!("{records:?}") };
        assert_eq!(record.files, (0..365).collect());
    }
}
