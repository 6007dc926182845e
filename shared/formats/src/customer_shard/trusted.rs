//! A shard of `customer_trusted`: the customers whose latest record has a consent to research.

use super::Versions;
use super::header::Header;
use super::records::{IncomingRecord, Records, RowCountChanges, RowCountMismatch};
use super::rows::Rows;
use crate::Corrupt;
use crate::key_map::KeyMap;
use bytes::Bytes;
use model::customer::Customer;
use model::hash::{ContentDigest, KeyHash};
use model::layout::{FileName, ObjectLocation};
use model::table::Table;
use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: Table = Table::CustomerTrusted;

/// The consenting customers of one shard.
#[derive(Clone, Debug)]
pub struct TrustedShard {
    rows: Rows,
    versions: Versions,
}

impl Default for TrustedShard {
    fn default() -> Self {
        Self { rows: Rows::none(TABLE), versions: Versions::default() }
    }
}

impl TrustedShard {
    /// Reads a shard's object without its records.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let versions = Versions::of(TABLE, &Header::of(TABLE, &bytes)?)?;
        Ok(Self { rows: Rows::decode(TABLE, bytes)?, versions })
    }

    /// Returns the consenting customers, by email.
    pub fn customers(&self) -> impl Iterator<Item = Customer> {
        (0..self.rows.len()).map(|row| self.rows.customer(row))
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Returns the shard's versions, by the hash of the email.
    #[cfg(test)]
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }
}

/// A shard of `customer_trusted` with its records. The function `customer_trusted` works on it.
#[derive(Clone, Debug, Default)]
pub struct CustomerShard {
    shard: TrustedShard,
    records: Records,
}

impl CustomerShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let records = Records::decode(&Header::of(TABLE, &bytes)?)?;
        Ok(Self { shard: TrustedShard::decode(bytes)?, records })
    }

    /// Writes the shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let TrustedShard { rows, versions } = &self.shard;
        let since = (0..rows.len()).filter_map(|row| Some((KeyHash::of(rows.email(row)), rows.since_ms(row)?)));
        let consents: BTreeMap<_, _> = since.map(|(key, since_ms)| (key, Some(since_ms.cast_unsigned()))).collect();
        let lookups = KeyMap::default().with(&consents).encode();
        let Header { version, changed, .. } = versions.header();
        rows.encode(&Header { version, lookups, changed, ..self.records.header()? }, &[])
    }

    /// Begins an update.
    pub fn update(self) -> Update {
        let before = Before { shard: self.shard, rows: OnceCell::new() };
        let changes = RowCountChanges::default();
        let (touched, contents) = (BTreeMap::new(), HashMap::new());
        Update { before, records: self.records, touched, changes, contents }
    }
}

/// An update of a shard.
///
/// The caller passes the records of each file to [`ingest`](Self::ingest), reads the files that are [`wanted`](Self::wanted),
/// passes their records to [`supply`](Self::supply), and calls [`settle`](Self::settle).
pub struct Update {
    before: Before,
    records: Records,
    /// The customers whose records changed, each with the row that counted before.
    touched: BTreeMap<KeyHash, Option<usize>>,
    changes: RowCountChanges,
    /// The records whose content is known, by digest.
    contents: HashMap<ContentDigest, Customer>,
}

/// The shard before an update.
struct Before {
    shard: TrustedShard,
    rows: OnceCell<HashMap<KeyHash, usize>>,
}

impl Before {
    /// Finds the row of a customer whose email is not known.
    fn row(&self, key: KeyHash) -> Option<usize> {
        let rows = &self.shard.rows;
        let by_key = || (0..rows.len()).map(|row| (KeyHash::of(rows.email(row)), row)).collect();
        self.rows.get_or_init(by_key).get(&key).copied()
    }
}

impl Update {
    /// Replaces the records that `file` has of this shard's customers by `customers`.
    pub fn ingest<'a>(
        &mut self,
        file: &FileName,
        landing: &ObjectLocation,
        customers: impl Iterator<Item = &'a Customer>,
    ) {
        let Self { before, records, touched, changes, contents } = self;
        let customers: BTreeMap<KeyHash, IncomingRecord<'a>> = customers.map(IncomingRecord::of).collect();
        let mut touch = |records: &Records, key| {
            let Entry::Vacant(vacant) = touched.entry(key) else { return };
            let rows = &before.shard.rows;
            let row = match customers.get(&key) {
                Some(IncomingRecord { customer, .. }) => rows.find(&customer.email),
                None => before.row(key),
            };
            let was = vacant.insert(row).map(|row| rows.customer(row));
            let was = was.map(|was| (was.digest(), was));
            changes.subtract(records, key, was.as_ref().map(|(digest, _)| *digest));
            contents.extend(was);
        };
        let mut changed = records.replace(file, landing, &customers, &mut touch);
        // A record may have begun to count while its landing file was gone. Its content is known again now.
        let back = customers.iter().filter(|(key, IncomingRecord { customer, digest })| {
            let counts = |digest| records.candidates(**key).contains_key(digest);
            !changed.contains(*key)
                && before.shard.rows.find(&customer.email).is_none()
                && digest.as_ref().is_some_and(counts)
        });
        let back: Vec<KeyHash> = back.map(|(key, _)| *key).collect();
        back.iter().for_each(|key| touch(records, *key));
        changed.extend(back);
        let known = customers.into_iter().filter(|(key, _)| changed.contains(key));
        contents.extend(known.filter_map(|(_, record)| Some((record.digest?, record.customer.clone()))));
    }

    /// Returns the landing files that must be read again, because one of their records begins to count.
    pub fn wanted(&self) -> BTreeSet<ObjectLocation> {
        let candidates = self.touched.keys().flat_map(|key| self.records.candidates(*key));
        candidates
            .filter(|(digest, _)| !self.contents.contains_key(digest))
            .map(|(_, location)| location.clone())
            .collect()
    }

    /// Takes the records of a landing file that was read again.
    pub fn supply<'a>(&mut self, customers: impl Iterator<Item = &'a Customer>) {
        let consenting = customers.filter(|customer| customer.since_ms().is_some());
        self.contents.extend(consenting.map(|customer| (customer.digest(), customer.clone())));
    }

    /// Returns the new version of the shard; `None` if nothing changed.
    ///
    /// If a record is still wanted, its landing file is gone. Then the shard leaves the customer out until the file arrives
    /// again: it never guesses a consent.
    pub fn settle(self) -> Result<Option<CustomerShard>, Corrupt> {
        if self.touched.is_empty() {
            return Ok(None);
        }
        let Self { before: Before { shard: before, .. }, mut records, touched, mut changes, contents } = self;
        let (mut removed, mut added, mut consent_changed) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (key, was) in touched {
            let candidates = records.candidates(key).into_keys();
            let candidates = candidates.filter_map(|digest| Some((digest, contents.get(&digest)?)));
            let latest = candidates.max_by(|(_, a), (_, b)| a.cmp_latest(b));
            changes.add(&records, key, latest.map(|(digest, _)| digest));
            let latest = latest.map(|(_, latest)| latest);
            if was.and_then(|row| before.rows.since_ms(row)) != latest.and_then(Customer::since_ms) {
                consent_changed.push(key);
            }
            removed.extend(was);
            added.extend(latest.cloned());
        }
        added.sort_by(|a, b| a.email.cmp(&b.email));
        let after = TrustedShard {
            rows: before.rows.changed(&removed, &added)?,
            versions: before.versions.next(consent_changed),
        };
        let version = after.versions.version;
        if let Err(RowCountMismatch) = records.apply(&changes, version) {
            let counting = after.customers().map(|customer| (customer.key(), customer.digest())).collect();
            let unsound = |RowCountMismatch| Corrupt::new(TABLE.name(), "its records cannot be counted");
            records.recount(&counting, version).map_err(unsound)?;
        }
        Ok(Some(CustomerShard { shard: after, records }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::row_counts::FileRowCounts;
    use crate::customer_shard::test_customer::customer;
    use model::customer::excluded;

    fn location(name: &str) -> ObjectLocation {
        ObjectLocation { bucket: "b".into(), key: format!("customer/landing/{name}.json") }
    }

    fn ingest(shard: CustomerShard, name: &str, customers: &[Customer]) -> Option<CustomerShard> {
        let mut update = shard.update();
        update.ingest(&FileName::of(&location(name)), &location(name), customers.iter());
        assert!(update.wanted().is_empty());
        update.settle().unwrap()
    }

    fn emails(shard: &CustomerShard) -> Vec<String> {
        shard.shard.customers().map(|customer| customer.email).collect()
    }

    #[test]
    fn the_order_of_arrival_never_decides() {
        let records = [customer("a", 1, Some(1)), customer("a", 2, None), customer("a", 3, Some(3))];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut shard = CustomerShard::default();
            for i in order {
                shard = ingest(shard, &i.to_string(), &records[i..=i]).unwrap();
            }
            assert_eq!(shard.shard.customers().collect::<Vec<_>>(), records[2..], "{order:?}");
        }
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let records = [customer("a", 1, Some(1)), customer("b", 1, None)];
        let shard = ingest(CustomerShard::default(), "f", &records).unwrap();
        assert!(ingest(shard, "f", &records).is_none());
    }

    #[test]
    fn a_shard_survives_its_bytes_and_holds_no_data_of_customers_without_consent() {
        let shard =
            ingest(CustomerShard::default(), "f", &[customer("yes", 1, Some(1)), customer("refusing", 1, None)])
                .unwrap();
        let bytes = shard.encode().unwrap();
        let again = CustomerShard::decode(bytes.clone()).unwrap();
        assert_eq!(
            (again.shard.rows.clone(), again.records.clone()),
            (shard.shard.rows.clone(), shard.records.clone())
        );
        assert_eq!(again.encode().unwrap(), bytes);
        assert_eq!(TrustedShard::decode(bytes).unwrap().versions(), &shard.shard.versions);
        assert!(!serde_json::to_string(&shard.records).unwrap().contains("refusing"));
    }

    #[test]
    fn a_shard_with_records_of_unknown_files_is_refused() {
        let mut shard = ingest(CustomerShard::default(), "f", &[customer("a", 1, Some(1))]).unwrap();
        for runs in ["[[0,1]]", "[[1,1]]", "[[1,0]]", "[[0,4294967295]]"] {
            let records = serde_json::to_string(&shard.records)
                .unwrap()
                .replace("\"files\":[[0,0]]", &format!("\"files\":{runs}"));
            let before = std::mem::replace(&mut shard.records, serde_json::from_str(&records).unwrap());
            assert!(CustomerShard::decode(shard.encode().unwrap()).is_err(), "{records}");
            shard.records = before;
        }
        assert!(CustomerShard::decode(shard.encode().unwrap()).is_ok());
    }

    #[test]
    fn only_keys_whose_consent_changed_are_remembered_as_changed() {
        let shard =
            ingest(CustomerShard::default(), "f", &[customer("a", 1, Some(1)), customer("b", 1, Some(1))]).unwrap();
        let shard = ingest(shard, "g", &[customer("a", 2, Some(1)), customer("b", 2, Some(2)), customer("c", 1, None)])
            .unwrap();
        let changed: Vec<_> = shard.shard.versions.changed_since(1).collect();
        assert_eq!(changed, [KeyHash::of("b")]);
    }

    #[test]
    fn a_replaced_withdrawal_reads_the_earlier_record_again() {
        let consent = [customer("a", 1, Some(1))];
        let shard = ingest(CustomerShard::default(), "f", &consent).unwrap();
        let shard = ingest(shard, "g", &[customer("a", 2, None)]).unwrap();
        assert!(emails(&shard).is_empty());
        let mut update = shard.clone().update();
        update.ingest(&FileName::of(&location("g")), &location("g"), [].iter());
        assert_eq!(update.wanted(), BTreeSet::from([location("f")]));
        update.supply(consent.iter());
        assert!(update.wanted().is_empty());
        assert_eq!(emails(&update.settle().unwrap().unwrap()), ["a"]);

        let mut gone = shard.update();
        gone.ingest(&FileName::of(&location("g")), &location("g"), [].iter());
        let gone = gone.settle().unwrap().unwrap();
        assert!(emails(&gone).is_empty(), "a record that cannot be read again does not count");
        let back = ingest(gone, "f", &consent).unwrap();
        assert_eq!(emails(&back), ["a"], "until its file arrives again");
        assert!(ingest(back, "f", &consent).is_none());
    }

    #[test]
    fn row_counts_follow_the_record_that_counts() {
        let of_all_files = |shard: &CustomerShard| {
            let object = shard.encode().unwrap();
            let needed = FileRowCounts::needed(&object);
            assert!(FileRowCounts::decode(object.slice(..needed - 1)).is_err());
            FileRowCounts::decode(object.slice(..needed)).unwrap()
        };
        let row_counts = |shard: &CustomerShard, name: &str| {
            let of_all_files = of_all_files(shard);
            let (row_counts, changed) = of_all_files.of(&FileName::of(&location(name))).unwrap();
            (row_counts.kept, row_counts.excluded.clone(), changed)
        };
        let one = |reason: &str| BTreeMap::from([(reason.to_owned(), 1)]);
        let shard = ingest(CustomerShard::default(), "f", &[customer("a", 1, Some(1))]).unwrap();
        assert_eq!(row_counts(&shard, "f"), (1, BTreeMap::new(), 1));
        let shard = ingest(shard, "g", &[customer("a", 2, Some(2))]).unwrap();
        assert_eq!(row_counts(&shard, "f"), (0, one(excluded::SUPERSEDED), 2));
        assert_eq!(row_counts(&shard, "g"), (1, BTreeMap::new(), 2));
        let shard = ingest(shard, "h", &[customer("a", 3, None)]).unwrap();
        assert_eq!(row_counts(&shard, "g"), (0, one(excluded::CONSENT_WITHDRAWN), 3));
        assert_eq!(row_counts(&shard, "h"), (0, one(excluded::NO_CONSENT), 3));
        assert_eq!(of_all_files(&shard).version(), 3);
        assert_eq!(of_all_files(&shard).changed_since(2).count(), 3);
    }

    #[test]
    fn row_counts_that_do_not_match_the_records_are_counted_anew() {
        let mut shard =
            ingest(CustomerShard::default(), "f", &[customer("a", 1, Some(1)), customer("b", 1, None)]).unwrap();
        let records = serde_json::to_string(&shard.records).unwrap().replace("\"kept\":1", "\"kept\":0");
        let right = std::mem::replace(&mut shard.records, serde_json::from_str(&records).unwrap());
        assert_ne!(shard.records, right);
        let shard = ingest(shard, "g", &[customer("a", 2, None)]).unwrap();
        assert!(emails(&shard).is_empty());
        let row_counts = FileRowCounts::decode(shard.encode().unwrap()).unwrap();
        let (row_counts, changed) = row_counts.of(&FileName::of(&location("f"))).unwrap();
        let excluded = [excluded::CONSENT_WITHDRAWN, excluded::NO_CONSENT].map(|reason| (reason.to_owned(), 1));
        assert_eq!((row_counts.kept, &row_counts.excluded, changed), (0, &BTreeMap::from(excluded), 2));
    }
}
