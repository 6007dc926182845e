//! A shard of `customer_trusted`: the customers with a grant in force.

use super::Versions;
use super::claims::Claim;
use super::consents::Spellings;
use super::header::Header;
use super::records::{FileVersion, IncomingCustomer, Records, RowCounts};
use super::rows::Rows;
use crate::Corrupt;
use crate::customer_file::FileCustomer;
use crate::key_map::KeyMap;
use crate::packed::{packed, unpacked};
use bytes::Bytes;
use model::consent::ConsentHistory;
use model::customer::Customer;
use model::hash::{ContentDigest, HashKey, KeyHash};
use model::layout::FileId;
use model::table::Table;
use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: Table = Table::CustomerTrusted;

/// What `customer_curated` needs of a shard: the eligible customers, and the claims of all customers.
#[derive(Clone, Debug)]
pub struct TrustedShard {
    /// The version of the shard.
    pub version: u64,
    pub(super) rows: Rows,
    /// The customer of each row.
    pub(super) keys: Vec<KeyHash>,
    /// The claims of all customers, eligible or not.
    pub claims: Vec<Claim>,
}

impl Default for TrustedShard {
    fn default() -> Self {
        Self { version: 0, rows: Rows::none(TABLE), keys: Vec::new(), claims: Vec::new() }
    }
}

impl TrustedShard {
    /// Reads a shard's object without its records.
    pub fn decode(bytes: Bytes, hash_key: &HashKey) -> Result<Self, Corrupt> {
        let Header { version, claims, .. } = Header::of(TABLE, &bytes)?;
        let rows = Rows::decode(TABLE, bytes)?;
        let keys = rows.keys(hash_key).collect();
        Ok(Self { version, rows, keys, claims: unpacked(TABLE.name(), &claims)? })
    }
}

/// A shard of `customer_trusted` with its records. The function `customer_trusted` works on it.
#[derive(Clone, Debug)]
pub struct CustomerShard {
    hash_key: HashKey,
    rows: Rows,
    versions: Versions,
    since_ms: KeyMap,
    spellings: Spellings,
    records: Records,
}

impl CustomerShard {
    /// Returns a shard without customers, of a lake with this key.
    pub fn empty(hash_key: HashKey) -> Self {
        Self {
            hash_key,
            rows: Rows::none(TABLE),
            versions: Versions::default(),
            since_ms: KeyMap::default(),
            spellings: Spellings::default(),
            records: Records::default(),
        }
    }

    /// Reads a shard's object.
    pub fn decode(bytes: Bytes, hash_key: HashKey) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        Ok(Self {
            hash_key,
            rows: Rows::decode(TABLE, bytes)?,
            versions: Versions::of(TABLE, &header)?,
            since_ms: KeyMap::decode(header.consents.clone(), TABLE.name())?,
            spellings: Spellings::decode(&header)?,
            records: Records::decode(&header)?,
        })
    }

    /// Writes the shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let Self { hash_key: _, rows, versions, since_ms, spellings, records } = self;
        let by_key = OnceCell::new();
        let claims = records.keys().filter_map(|key| records.claim(key, self.counting(key, &by_key)));
        let claims: Vec<Claim> = claims.collect();
        let (consents, spellings) = (since_ms.encode(), spellings.encode()?);
        let claims = packed(TABLE.name(), &claims)?;
        let Header { version, changed, .. } = versions.header();
        rows.encode(&Header { version, consents, spellings, changed, claims, ..records.header()? })
    }

    /// Returns the digest of the customer's grant that counts. `by_key` is filled when it is first needed.
    fn counting(&self, key: KeyHash, by_key: &OnceCell<HashMap<KeyHash, usize>>) -> Option<ContentDigest> {
        self.since_ms.get(key)?;
        let mut candidates = self.records.candidates(key).into_keys();
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Some(only),
            // Several grants of one date: the row tells which one counts.
            _ => {
                let row = by_key.get_or_init(|| rows_by_key(&self.rows, &self.hash_key)).get(&key)?;
                Some(self.rows.customer(*row).digest(&self.hash_key))
            }
        }
    }

    /// Returns the eligible customers, by email.
    pub fn customers(&self) -> impl Iterator<Item = Customer> {
        (0..self.rows.len()).map(|row| self.rows.customer(row))
    }

    /// Returns what all records of each customer have said about the consent.
    pub fn histories(&self) -> impl Iterator<Item = (KeyHash, ConsentHistory)> {
        self.records.keys().map(|key| (key, self.records.history(key)))
    }

    /// Returns the version of the shard.
    pub fn version(&self) -> u64 {
        self.versions.version
    }

    /// Counts what became of the records that a file has of these customers.
    pub fn row_counts(&self, file: FileId, customers: impl Iterator<Item = KeyHash>) -> RowCounts {
        let (mut counts, by_key) = (RowCounts::default(), OnceCell::new());
        if let Some((id, _)) = self.records.find(file) {
            customers.for_each(|key| self.records.count(id, key, self.counting(key, &by_key), &mut counts));
        }
        counts
    }

    /// Returns the shard's versions, by the hash of the customer.
    #[cfg(test)]
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Begins an update.
    pub fn update(self) -> Update {
        let Self { hash_key, rows, versions, since_ms, spellings, records } = self;
        let before = Before { hash_key, rows, since_ms, by_key: OnceCell::new() };
        let (touched, contents) = (BTreeMap::new(), HashMap::new());
        Update { before, versions, spellings, records, touched, contents, has_new_generations: false }
    }
}

/// An update of a shard.
///
/// The caller passes what each file says to [`ingest`](Self::ingest), reads the files that are [`wanted`](Self::wanted),
/// passes their grants to [`supply`](Self::supply), and calls [`settle`](Self::settle).
pub struct Update {
    before: Before,
    versions: Versions,
    spellings: Spellings,
    records: Records,
    /// The customers for whom something changed, each with the row before.
    touched: BTreeMap<KeyHash, Option<usize>>,
    /// The grants whose content is known, by digest.
    contents: HashMap<ContentDigest, Customer>,
    /// Whether a file has another generation now.
    has_new_generations: bool,
}

/// The rows before an update.
struct Before {
    hash_key: HashKey,
    rows: Rows,
    since_ms: KeyMap,
    by_key: OnceCell<HashMap<KeyHash, usize>>,
}

impl Before {
    /// Finds the row of a customer, first under this email. The spelling of the row may differ.
    fn row(&self, key: KeyHash, email: Option<&str>) -> Option<usize> {
        self.since_ms.get(key)?;
        let found = email.and_then(|email| self.rows.find(email));
        found.or_else(|| self.by_key.get_or_init(|| rows_by_key(&self.rows, &self.hash_key)).get(&key).copied())
    }
}

/// Finds the row of each customer.
fn rows_by_key(rows: &Rows, hash_key: &HashKey) -> HashMap<KeyHash, usize> {
    rows.keys(hash_key).zip(0..).collect()
}

impl Update {
    /// Returns the generation of a file that the shard knows.
    pub fn generation_of(&self, file: FileId) -> Option<u64> {
        self.records.find(file).map(|(_, known)| known.generation)
    }

    /// Replaces what a file says of this shard's customers. The caller has checked that the shard knows no later generation.
    pub fn ingest<'a>(&mut self, version: FileVersion, customers: impl Iterator<Item = &'a FileCustomer>) {
        let Self { before, records, touched, contents, .. } = self;
        let customers: BTreeMap<KeyHash, IncomingCustomer<'a>> =
            customers.map(|customer| (customer.key, IncomingCustomer::of(customer, &before.hash_key))).collect();
        let grant = |key: &KeyHash| customers.get(key).and_then(|incoming| incoming.customer.grant.as_ref());
        let mut touch = |_: &Records, key| {
            let Entry::Vacant(vacant) = touched.entry(key) else { return };
            let row = before.row(key, grant(&key).map(|grant| grant.email.as_str()));
            let was = vacant.insert(row).map(|row| before.rows.customer(row));
            contents.extend(was.map(|was| (was.digest(&before.hash_key), was)));
        };
        let replaced = records.replace(version, &customers, &mut touch);
        self.has_new_generations |= replaced.is_new;
        let mut changed = replaced.changed;
        // A grant may have come into force while its landing file was gone. Its content is known again now.
        let back = customers.iter().filter(|(key, IncomingCustomer { digest, .. })| {
            let counts = |digest| records.candidates(**key).contains_key(digest);
            !changed.contains(*key) && before.since_ms.get(**key).is_none() && digest.as_ref().is_some_and(counts)
        });
        let back: Vec<KeyHash> = back.map(|(key, _)| *key).collect();
        back.iter().for_each(|key| touch(records, *key));
        changed.extend(back);
        let known = customers.into_iter().filter(|(key, _)| changed.contains(key));
        contents.extend(known.filter_map(|(_, incoming)| Some((incoming.digest?, incoming.customer.grant.clone()?))));
    }

    /// Returns the landing files that must be read again, because one of their grants begins to count.
    pub fn wanted(&self) -> BTreeSet<FileId> {
        let candidates = self.touched.keys().flat_map(|key| self.records.candidates(*key));
        candidates.filter(|(digest, _)| !self.contents.contains_key(digest)).map(|(_, file)| file).collect()
    }

    /// Takes grants of landing files that were read again. One whose digest is not that of a stored record has no effect.
    pub fn supply<'a>(&mut self, grants: impl Iterator<Item = &'a Customer>) {
        let hash_key = &self.before.hash_key;
        self.contents.extend(grants.map(|grant| (grant.digest(hash_key), grant.clone())));
    }

    /// Returns the shard as it is now, and whether it is a new version.
    ///
    /// If a grant is still wanted, its landing file is gone. Then the shard leaves the customer out until the file arrives
    /// again: it never guesses a consent.
    pub fn settle(self) -> Result<(CustomerShard, bool), Corrupt> {
        let Self { before, versions, mut spellings, records, touched, contents, has_new_generations } = self;
        let Before { hash_key, rows, since_ms, .. } = before;
        if touched.is_empty() && !has_new_generations {
            return Ok((CustomerShard { hash_key, rows, versions, since_ms, spellings, records }, false));
        }
        let (mut removed, mut added) = (BTreeSet::new(), Vec::new());
        let (mut consents, mut changed) = (BTreeMap::new(), Vec::new());
        for (key, was) in touched {
            let candidates = records.candidates(key).into_keys();
            let candidates = candidates.filter_map(|digest| Some((digest, contents.get(&digest)?)));
            let counting = candidates.max_by(|(_, a), (_, b)| a.cmp_grants(b));
            let grant = counting.map(|(_, grant)| grant);
            let was_shown = was.map(|row| (rows.since_ms(row), rows.email(row)));
            if was_shown != grant.map(|grant| (grant.since_ms(), grant.email.as_str())) {
                changed.push(key);
            }
            consents.insert(key, grant.and_then(Customer::since_ms).map(i64::cast_unsigned));
            spellings.set(key, grant.map(|grant| grant.email.as_str()));
            removed.extend(was);
            added.extend(grant.cloned());
        }
        added.sort_by(|a, b| a.email.cmp(&b.email));
        let (rows, versions) = (rows.changed(&removed, &added)?, versions.next(changed));
        let since_ms = since_ms.with(&consents);
        Ok((CustomerShard { hash_key, rows, versions, since_ms, spellings, records }, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::{customer, file, says, settled, version};
    use model::customer::excluded;

    /// Ingests the next generation of a file.
    fn ingest(shard: CustomerShard, name: &str, customers: &[Customer]) -> Option<CustomerShard> {
        let generation = shard.records.find(file(name)).map_or(1, |(_, known)| known.generation + 1);
        ingest_generation(shard, name, generation, customers)
    }

    /// Ingests the known generation of a file again.
    fn redeliver(shard: CustomerShard, name: &str, customers: &[Customer]) -> Option<CustomerShard> {
        let generation = shard.records.find(file(name)).unwrap().1.generation;
        ingest_generation(shard, name, generation, customers)
    }

    fn ingest_generation(
        shard: CustomerShard,
        name: &str,
        generation: u64,
        customers: &[Customer],
    ) -> Option<CustomerShard> {
        let mut update = shard.update();
        update.ingest(FileVersion { generation, ..version(name) }, says(customers).iter());
        assert!(update.wanted().is_empty());
        settled(update)
    }

    fn emails(shard: &CustomerShard) -> Vec<String> {
        shard.customers().map(|customer| customer.email).collect()
    }

    #[test]
    fn the_order_of_arrival_never_decides() {
        let records = [customer("a", 1, Some(1)), customer("a", 2, None), customer("a", 3, Some(3))];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut shard = CustomerShard::empty(HashKey::public());
            for i in order {
                shard = ingest(shard, &i.to_string(), &records[i..=i]).unwrap();
            }
            assert_eq!(shard.customers().collect::<Vec<_>>(), records[2..], "{order:?}");
        }
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let records = [customer("a", 1, Some(1)), customer("b", 1, None)];
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &records).unwrap();
        assert!(redeliver(shard, "f", &records).is_none());
    }

    #[test]
    fn a_shard_survives_its_bytes_and_holds_no_data_of_customers_without_consent() {
        let shard = ingest(
            CustomerShard::empty(HashKey::public()),
            "f",
            &[customer("yes", 1, Some(1)), customer("refusing", 1, None)],
        )
        .unwrap();
        let bytes = shard.encode().unwrap();
        let again = CustomerShard::decode(bytes.clone(), HashKey::public()).unwrap();
        assert_eq!((&again.rows, &again.records), (&shard.rows, &shard.records));
        assert_eq!((again.encode().unwrap(), &again.versions), (bytes, &shard.versions));
        assert!(!serde_json::to_string(&shard.records).unwrap().contains("refusing"));
    }

    #[test]
    fn a_shard_with_records_of_unknown_files_is_refused() {
        let mut shard = ingest(CustomerShard::empty(HashKey::public()), "f", &[customer("a", 1, Some(1))]).unwrap();
        for runs in ["[[0,1]]", "[[1,1]]", "[[1,0]]", "[[0,4294967295]]"] {
            let records = serde_json::to_string(&shard.records)
                .unwrap()
                .replace("\"files\":[[0,0]]", &format!("\"files\":{runs}"));
            let before = std::mem::replace(&mut shard.records, serde_json::from_str(&records).unwrap());
            assert!(CustomerShard::decode(shard.encode().unwrap(), HashKey::public()).is_err(), "{records}");
            shard.records = before;
        }
        assert!(CustomerShard::decode(shard.encode().unwrap(), HashKey::public()).is_ok());
    }

    #[test]
    fn only_keys_whose_consent_changed_are_remembered_as_changed() {
        let shard = ingest(
            CustomerShard::empty(HashKey::public()),
            "f",
            &[customer("a", 1, Some(1)), customer("b", 1, Some(1))],
        )
        .unwrap();
        let shard = ingest(shard, "g", &[customer("a", 2, Some(1)), customer("b", 2, Some(2)), customer("c", 1, None)])
            .unwrap();
        let changed: Vec<_> = shard.versions.changed_since(1).collect();
        assert_eq!(changed, [HashKey::public().of("b")]);
    }

    #[test]
    fn a_replaced_withdrawal_stays() {
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &[customer("a", 1, Some(1))]).unwrap();
        let shard = ingest(shard, "g", &[customer("a", 2, None)]).unwrap();
        let shard = ingest(shard, "g", &[]).unwrap();
        assert!(emails(&shard).is_empty());
        let shard = ingest(shard, "f", &[customer("a", 2, Some(1))]).unwrap();
        assert!(emails(&shard).is_empty(), "a grant of the same date");
        let shard = ingest(shard, "f", &[customer("A ", 3, Some(1))]).unwrap();
        assert_eq!(emails(&shard), ["A "]);
    }

    #[test]
    fn a_suspension_holds_until_a_valid_record_is_stored_later() {
        let at = |shard: CustomerShard, name: &str, stored_ms: i64, says: &[FileCustomer]| {
            let mut update = shard.update();
            let generation = stored_ms.cast_unsigned();
            update.ingest(FileVersion { stored_ms, generation, ..version(name) }, says.iter());
            settled(update)
        };
        let grant = says(&[customer("a", 1, Some(1))]);
        let history = ConsentHistory { suspended_at_ms: Some(5), ..ConsentHistory::default() };
        let unreadable = [FileCustomer { key: grant[0].key, grant: None, withdrawal: None, history }];
        let shard = at(CustomerShard::empty(HashKey::public()), "f", 5, &grant).unwrap();
        let shard = at(shard, "g", 5, &unreadable).unwrap();
        assert!(emails(&shard).is_empty());
        let counts = shard.row_counts(file("f"), [grant[0].key].into_iter());
        assert_eq!((counts.kept, counts.excluded[excluded::SUSPENDED]), (0, 1));
        let replaced = at(shard.clone(), "g", 6, &[]).unwrap();
        assert!(emails(&replaced).is_empty(), "replacing the file of the suspension does not end it");
        let lifted = at(shard.clone(), "f", 7, &grant).unwrap();
        assert_eq!(emails(&lifted), ["a"], "the same records, stored later");
        assert!(at(lifted.clone(), "f", 7, &grant).is_none());
        let other = at(shard, "h", 7, &grant).unwrap();
        assert_eq!(emails(&other), ["a"]);
        let left = at(other, "h", 8, &[]).unwrap();
        assert_eq!(emails(&left), ["a"], "the valid record was seen");
    }

    #[test]
    fn without_the_latest_grant_the_earlier_one_is_read_again() {
        let earlier = [customer("a", 1, Some(1))];
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &earlier).unwrap();
        let shard = ingest(shard, "g", &[customer("a", 2, Some(2))]).unwrap();
        let mut update = shard.clone().update();
        update.ingest(FileVersion { generation: 2, ..version("g") }, [].iter());
        assert_eq!(update.wanted(), BTreeSet::from([file("f")]));
        update.supply(earlier.iter());
        assert!(update.wanted().is_empty());
        let shard_again = settled(update).unwrap();
        assert_eq!(shard_again.customers().collect::<Vec<_>>(), earlier);

        let mut gone = shard.update();
        gone.ingest(FileVersion { generation: 2, ..version("g") }, [].iter());
        let gone = settled(gone).unwrap();
        assert!(emails(&gone).is_empty(), "a grant that cannot be read again does not count");
        let back = redeliver(gone, "f", &earlier).unwrap();
        assert_eq!(emails(&back), ["a"], "until its file arrives again");
        assert!(redeliver(back, "f", &earlier).is_none());
    }

    #[test]
    fn row_counts_say_what_became_of_each_record() {
        let row_counts = |shard: &CustomerShard, name: &str| {
            let RowCounts { kept, excluded } = shard.row_counts(file(name), [HashKey::public().of("a")].into_iter());
            (kept, excluded.into_iter().collect::<Vec<_>>())
        };
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &[customer("a", 1, Some(1))]).unwrap();
        assert_eq!(row_counts(&shard, "f"), (1, vec![]));
        let shard = ingest(shard, "e", &[customer("a", 1, Some(1))]).unwrap();
        assert_eq!(
            (row_counts(&shard, "f"), row_counts(&shard, "e")),
            ((1, vec![]), (0, vec![(excluded::DUPLICATE, 1)]))
        );
        let shard = ingest(shard, "g", &[customer("a", 2, Some(2))]).unwrap();
        assert_eq!(row_counts(&shard, "f"), (0, vec![(excluded::SUPERSEDED, 1)]));
        assert_eq!(row_counts(&shard, "g"), (1, vec![]));
        let shard = ingest(shard, "h", &[customer("a", 3, None)]).unwrap();
        assert_eq!(row_counts(&shard, "g"), (0, vec![(excluded::CONSENT_WITHDRAWN, 1)]));
        assert_eq!(row_counts(&shard, "h"), (0, vec![(excluded::NO_CONSENT, 1)]));
    }

    /// A function that found the file deleted, and one that had read it, may both know its generation.
    #[test]
    fn the_content_of_a_generation_replaces_the_fence_of_a_deleted_file() {
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &[customer("a", 1, Some(1))]).unwrap();
        let mut deleted = shard.update();
        deleted.ingest(FileVersion { generation: 2, stored_ms: 0, ..version("f") }, [].iter());
        let fenced = settled(deleted).unwrap();
        assert!(emails(&fenced).is_empty());
        let withdrawn = ingest_generation(fenced, "f", 2, &[customer("a", 2, None)]).unwrap();
        let older = ingest(withdrawn, "g", &[customer("a", 2, Some(1))]).unwrap();
        assert!(emails(&older).is_empty(), "the withdrawal counts");
    }

    #[test]
    fn a_later_generation_without_customers_is_remembered() {
        let shard = ingest(CustomerShard::empty(HashKey::public()), "f", &[customer("a", 1, Some(1))]).unwrap();
        assert!(ingest(shard.clone(), "g", &[]).is_none());
        let mut update = shard.update();
        update.ingest(FileVersion { generation: 2, ..version("g") }, [].iter());
        assert_eq!(settled(update).unwrap().update().generation_of(file("g")), Some(2));
    }
}
