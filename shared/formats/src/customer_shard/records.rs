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
use crate::Corrupt;
use crate::customer_file::{FileCustomer, Withdrawal};
use crate::packed::{packed, unpacked};
use crate::runs::Runs;
use model::consent::ConsentHistory;
use model::customer::excluded;
use model::hash::{ContentDigest, HashKey, KeyHash};
use model::layout::FileId;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

const TABLE: Table = Table::CustomerTrusted;

/// A version of a landing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileVersion {
    /// The file.
    pub file: FileId,
    /// The generation of its manifest.
    pub generation: u64,
    /// When S3 stored it.
    pub stored_ms: i64,
}

/// All records of a shard's customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The known version of each file that has, or once had, records.
    files: Vec<FileVersion>,
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
struct Record {
    date_ms: i64,
    consent: Option<Consent>,
    device: Option<KeyHash>,
    /// Whether it is valid in every field. Only a withdrawal may not be: it is in quarantine, and still counts.
    is_valid: bool,
    /// The files that hold it, as positions in the list of files.
    files: Runs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Consent {
    since_ms: i64,
    /// The digest of the record's content.
    digest: ContentDigest,
}

/// What an arriving file says of a customer, with hashes that are computed once.
pub(super) struct IncomingCustomer<'a> {
    pub(super) customer: &'a FileCustomer,
    /// The digest of the grant.
    pub(super) digest: Option<ContentDigest>,
    /// The device that the grant names.
    device: Option<KeyHash>,
}

/// What changed when a file was replaced.
pub(super) struct Replaced {
    /// The customers for whom anything changed.
    pub(super) changed: BTreeSet<KeyHash>,
    /// Whether the file has another generation now.
    pub(super) is_new: bool,
}

impl<'a> IncomingCustomer<'a> {
    pub(super) fn of(customer: &'a FileCustomer, hash_key: &HashKey) -> Self {
        let grant = customer.grant.as_ref();
        let device = grant.and_then(|grant| grant.device(hash_key));
        Self { customer, digest: grant.map(|grant| grant.digest(hash_key)), device }
    }

    fn records(&self) -> Vec<Record> {
        let FileCustomer { grant, withdrawal, .. } = self.customer;
        let grant = grant.as_ref().zip(self.digest).and_then(|(grant, digest)| {
            let consent = Some(Consent { since_ms: grant.since_ms()?, digest });
            Some(Record {
                date_ms: grant.date_ms(),
                consent,
                device: self.device,
                is_valid: true,
                files: Runs::default(),
            })
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
        let records: Self = unpacked(TABLE.name(), &header.records)?;
        match records.is_sound() {
            true => Ok(records),
            false => Err(Corrupt::new(TABLE.name(), "its records refer to files that it does not list")),
        }
    }

    /// Returns a header that holds nothing but the records.
    pub(super) fn header(&self) -> Result<Header, Corrupt> {
        Ok(Header { records: packed(TABLE.name(), self)?, ..Header::default() })
    }

    /// Returns the position of a file, and its known version.
    pub(super) fn find(&self, file: FileId) -> Option<(u32, FileVersion)> {
        let id = self.files.iter().position(|known| known.file == file)?;
        Some((id as u32, self.files[id]))
    }

    /// Whether every record refers to listed files only.
    fn is_sound(&self) -> bool {
        let files = self.files.len();
        self.customers.values().flat_map(|customer| &customer.records).all(|record| record.files.are_below(files))
    }

    /// Replaces what a file says of this shard's customers. Calls `before_change` for each of them while the records are still
    /// the old ones. The caller has checked that no later generation is known.
    pub(super) fn replace(
        &mut self,
        version: FileVersion,
        customers: &BTreeMap<KeyHash, IncomingCustomer<'_>>,
        mut before_change: impl FnMut(&Self, KeyHash),
    ) -> Replaced {
        let FileVersion { file, generation, stored_ms } = version;
        let known = self.find(file).map(|(id, _)| id as usize);
        let mut changed = BTreeSet::new();
        // The same version, or nothing to fence. Of a deleted file, the fence has the same generation and another time.
        let is_nothing = known.map_or(customers.is_empty() && generation == 1, |id| self.files[id] == version);
        if is_nothing {
            return Replaced { changed, is_new: false };
        }
        let (id, had) = match known {
            Some(id) => (id, self.of_file(id as u32)),
            None => {
                self.files.push(FileVersion { generation: 0, ..version });
                (self.files.len() - 1, BTreeMap::new())
            }
        };
        let was_stored_ms = self.files[id].stored_ms;
        for key in had.keys().chain(customers.keys()) {
            let was = had.get(key).map(Vec::as_slice).unwrap_or_default();
            let is = customers.get(key).map(IncomingCustomer::records).unwrap_or_default();
            let said = customers.get(key).map(|incoming| incoming.customer.history).unwrap_or_default();
            let known = self.customers.get(key).map(|customer| customer.history).unwrap_or_default();
            let mut history = known.raised(ConsentHistory { valid_seen_at_ms: None, ..said });
            let has_valid = is.iter().any(|record| record.is_valid);
            if !has_valid {
                history.valid_seen_at_ms = history.valid_seen_at_ms.max(said.valid_seen_at_ms);
            }
            if !has_valid || stored_ms < was_stored_ms {
                let left = was.iter().any(|record| record.is_valid).then_some(was_stored_ms);
                history.valid_seen_at_ms = history.valid_seen_at_ms.max(left);
            }
            let same = was.len() == is.len() && is.iter().all(|is| was.iter().any(|was| was.is_same(is)));
            let may_end_suspension = known.suspended_at_ms.is_some() && has_valid && stored_ms > was_stored_ms;
            if same && history == known && !may_end_suspension || !changed.insert(*key) {
                continue;
            }
            before_change(self, *key);
            self.replace_records(*key, id as u32, is, history);
        }
        self.files[id] = version;
        Replaced { changed, is_new: true }
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

    fn of(&self, key: KeyHash) -> &[Record] {
        self.customers.get(&key).map(|customer| customer.records.as_slice()).unwrap_or_default()
    }

    /// Returns the customer's latest grants, by digest, each with a landing file that has it. One of them counts. Returns
    /// none if no grant is in force.
    pub(super) fn candidates(&self, key: KeyHash) -> BTreeMap<ContentDigest, FileId> {
        let grants = || self.of(key).iter().filter_map(|record| Some((record, record.consent.as_ref()?)));
        let Some(latest_ms) = grants().map(|(record, _)| record.date_ms).max() else { return BTreeMap::new() };
        if !self.history(key).admits(latest_ms) {
            return BTreeMap::new();
        }
        let latest = grants().filter(|(record, _)| record.date_ms == latest_ms);
        let held_in = |record: &Record| record.files.last().and_then(|id| self.files.get(id as usize));
        latest.filter_map(|(record, consent)| Some((consent.digest, held_in(record)?.file))).collect()
    }

    /// Returns the customer's claim to a device, given the digest of the grant that counts.
    pub(super) fn claim(&self, key: KeyHash, counting: Option<ContentDigest>) -> Option<Claim> {
        let counts = |record: &&Record| record.consent.as_ref().is_some_and(|consent| Some(consent.digest) == counting);
        let rank = |record: &&Record| (record.date_ms, record.consent.is_none(), Reverse(record.device));
        let records = || self.of(key).iter();
        let latest = records().find(counts).or_else(|| records().max_by_key(rank))?;
        Some(Claim { device: latest.device?, customer: key, date_ms: latest.date_ms, is_eligible: counting.is_some() })
    }

    /// Counts in `counts` what becomes of a customer's valid records in the file at this position, given the digest of the grant that counts.
    /// Rejected records are in the quarantine of the file.
    pub(super) fn count(&self, id: u32, key: KeyHash, counting: Option<ContentDigest>, counts: &mut RowCounts) {
        let history = self.history(key);
        for record in self.of(key).iter().filter(|record| record.is_valid && record.files.contains(id)) {
            let reason = match &record.consent {
                None => excluded::NO_CONSENT,
                // The file that came first has the row.
                Some(consent) if Some(consent.digest) == counting && record.files.iter().next() == Some(id) => {
                    counts.kept += 1;
                    continue;
                }
                Some(consent) if Some(consent.digest) == counting => excluded::DUPLICATE,
                Some(_) if history.is_withdrawn(record.date_ms) => excluded::CONSENT_WITHDRAWN,
                Some(_) if history.is_suspended() => excluded::SUSPENDED,
                // The landing file of the grant that counts is gone.
                Some(_) if counting.is_none() => excluded::CONSENT_WITHDRAWN,
                Some(_) => excluded::SUPERSEDED,
            };
            *counts.excluded.entry(reason).or_default() += 1;
        }
    }
}

/// What became of the records of a file in a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// How many records are rows of the table.
    pub kept: u64,
    /// How many records are not rows of the table, by reason.
    pub excluded: BTreeMap<&'static str, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::{customer, file, says};

    #[test]
    fn each_generation_replaces_the_records_once() {
        let mut records = Records::default();
        let mut replace = |generation, date_ms| {
            let says = says(&[customer("a", date_ms, Some(1))]);
            let incoming = says
                .iter()
                .map(|customer| (customer.key, IncomingCustomer::of(customer, &HashKey::public())))
                .collect();
            let version = FileVersion { generation, stored_ms: 1, file: file("f") };
            records.replace(version, &incoming, |_, _| {}).changed.len()
        };
        assert_eq!([replace(1, 1), replace(1, 2), replace(2, 2), replace(3, 2)], [1, 0, 1, 0]);
    }

    #[test]
    fn a_daily_export_takes_one_run() {
        let mut records = Records::default();
        let customer = says(&[customer("a", 1, Some(1))]);
        for day in 0..365 {
            let incoming = customer
                .iter()
                .map(|customer| (customer.key, IncomingCustomer::of(customer, &HashKey::public())))
                .collect();
            let version = FileVersion { file: file(&day.to_string()), generation: 1, stored_ms: day };
            records.replace(version, &incoming, |_, _| {});
        }
        let [record] = records.of(customer[0].key) else { panic!("{records:?}") };
        assert_eq!(record.files, (0..365).collect());
    }
}
