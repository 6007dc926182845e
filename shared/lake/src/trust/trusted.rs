//! A shard of `customer_trusted`: the customers whose latest record has a consent to research.

use super::front::Front;
use super::records::{AccountChanges, Deviates, Landing, Records};
use super::{Versions, decode, encode};
use crate::Corrupt;
use crate::customer::Customer;
use crate::hash::{ContentDigest, KeyHash};
use crate::key_numbers::KeyNumbers;
use crate::layout::{FileName, Place};
use crate::table::Table;
use bytes::Bytes;
use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: Table = Table::CustomerTrusted;

/// The trusted customers of one shard.
#[derive(Clone, Debug, Default)]
pub struct TrustedShard {
    rows: BTreeMap<String, Customer>,
    versions: Versions,
}

impl TrustedShard {
    /// Reads a shard's object, without what it remembers of records.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (rows, versions, _) = decode(TABLE, bytes)?;
        Ok(Self::of(rows, versions))
    }

    /// They are sorted, so the map is built at once.
    fn of(rows: Vec<Customer>, versions: Versions) -> Self {
        Self { rows: rows.into_iter().map(|customer| (customer.email.clone(), customer)).collect(), versions }
    }

    /// The trusted customer with this email.
    pub fn customer(&self, email: &str) -> Option<&Customer> {
        self.rows.get(email)
    }

    /// The trusted customers, by email.
    pub fn customers(&self) -> impl Iterator<Item = &Customer> {
        self.rows.values()
    }

    /// The shard's versions, by the hash of the email.
    #[cfg(test)]
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }
}

/// A shard of `customer_trusted` with all it remembers: what the function `customer_trusted` works on.
#[derive(Clone, Debug, Default)]
pub struct CustomerShard {
    shard: TrustedShard,
    records: Records,
}

impl CustomerShard {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (rows, versions, front) = decode(TABLE, bytes)?;
        Ok(Self { shard: TrustedShard::of(rows, versions), records: Records::decode(&front)? })
    }

    /// The shard's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let since = self.shard.customers().filter_map(|customer| Some((customer.key(), customer.since_ms()?)));
        let consents: BTreeMap<_, _> = since.map(|(key, since_ms)| (key, Some(since_ms.cast_unsigned()))).collect();
        // Who consents, and since when.
        let lookups = KeyNumbers::default().with(&consents).encode();
        let Front { version, changed, .. } = self.shard.versions.front();
        let front = Front { version, lookups, changed, ..self.records.front()? };
        encode(TABLE, &self.shard.customers().collect::<Vec<_>>(), &front, &[])
    }

    /// Begins an update.
    pub fn update(self) -> Update {
        let emails = OnceCell::new();
        let changes = AccountChanges::default();
        let (touched, contents) = (BTreeMap::new(), HashMap::new());
        Update { before: Before { shard: self.shard, emails }, records: self.records, touched, changes, contents }
    }
}

/// An update of a shard: [`land`](Self::land) what each file says, [`supply`](Self::supply) the records that are
/// [`wanted`](Self::wanted), and [`settle`](Self::settle).
pub struct Update {
    before: Before,
    records: Records,
    /// The customers of whom something changed, each with the digest of the record that counted before.
    touched: BTreeMap<KeyHash, Option<ContentDigest>>,
    changes: AccountChanges,
    /// The contents at hand, by digest.
    contents: HashMap<ContentDigest, Customer>,
}

/// The shard before an update.
struct Before {
    shard: TrustedShard,
    emails: OnceCell<HashMap<KeyHash, String>>,
}

impl Before {
    fn email(&self, key: KeyHash) -> Option<&String> {
        let emails = || self.shard.customers().map(|customer| (customer.key(), customer.email.clone())).collect();
        self.emails.get_or_init(emails).get(&key)
    }
}

impl Update {
    /// Replaces what `file` says of this shard's customers by `customers`.
    pub fn land<'a>(&mut self, file: &FileName, landing: &Place, customers: impl Iterator<Item = &'a Customer>) {
        let Self { before, records, touched, changes, contents } = self;
        let mut touch = |records: &Records, key| {
            let Entry::Vacant(vacant) = touched.entry(key) else { return };
            let was = before.email(key).and_then(|email| before.shard.customer(email));
            let was = was.map(|was| (was.digest(), was.clone()));
            let counted = *vacant.insert(was.as_ref().map(|(digest, _)| *digest));
            contents.extend(was);
            changes.less(records, key, counted);
        };
        let customers: Vec<Landing<'a>> = customers.map(Landing::of).collect();
        let mut changed = records.replace(file, landing, &customers, &mut touch);
        // A record that counts, but could not be had when it came to count, is at hand again.
        let back = customers.iter().filter(|Landing { customer, key, digest }| {
            let counts = |digest| records.candidates(*key).contains_key(digest);
            !changed.contains(key)
                && before.shard.customer(&customer.email).is_none()
                && digest.as_ref().is_some_and(counts)
        });
        let back: Vec<KeyHash> = back.map(|landing| landing.key).collect();
        back.iter().for_each(|key| touch(records, *key));
        changed.extend(back);
        let at_hand = customers.into_iter().filter(|landing| changed.contains(&landing.key));
        contents.extend(at_hand.filter_map(|landing| Some((landing.digest?, landing.customer.clone()))));
    }

    /// Landing files that must be read again, since a record of theirs has come to count.
    pub fn wanted(&self) -> BTreeSet<Place> {
        let candidates = self.touched.keys().flat_map(|key| self.records.candidates(*key));
        candidates.filter(|(digest, _)| !self.contents.contains_key(digest)).map(|(_, place)| place.clone()).collect()
    }

    /// Takes records that are at hand.
    pub fn supply<'a>(&mut self, customers: impl Iterator<Item = &'a Customer>) {
        let consenting = customers.filter(|customer| customer.since_ms().is_some());
        self.contents.extend(consenting.map(|customer| (customer.digest(), customer.clone())));
    }

    /// The new version of the shard; none if nothing changed.
    ///
    /// A record that is still wanted cannot be had: its landing file is gone. It is left out, so that the customer is
    /// rather not trusted than trusted by guess, until the file lands again.
    pub fn settle(self) -> Result<Option<CustomerShard>, Corrupt> {
        if self.touched.is_empty() {
            return Ok(None);
        }
        let Self { before, mut records, touched, mut changes, contents } = self;
        let Before { shard: mut after, emails } = before;
        let emails = emails.into_inner().unwrap_or_default();
        let mut trust_changed = Vec::new();
        for key in touched.into_keys() {
            let candidates = records.candidates(key).into_keys();
            let candidates = candidates.filter_map(|digest| Some((digest, contents.get(&digest)?)));
            let latest = candidates.max_by(|(_, a), (_, b)| a.cmp_latest(b));
            changes.add(&records, key, latest.map(|(digest, _)| digest));
            let was = emails.get(&key).and_then(|email| after.rows.remove(email));
            if was.as_ref().and_then(Customer::since_ms) != latest.and_then(|(_, latest)| latest.since_ms()) {
                trust_changed.push(key);
            }
            after.rows.extend(latest.map(|(_, latest)| (latest.email.clone(), latest.clone())));
        }
        after.versions = after.versions.next(trust_changed);
        let version = after.versions.version;
        if let Err(Deviates) = records.account(&changes, version) {
            let counting = after.customers().map(|customer| (customer.key(), customer.digest())).collect();
            let unsound = |Deviates| Corrupt::new(TABLE.name(), "its records cannot be counted");
            records.recount(&counting, version).map_err(unsound)?;
        }
        Ok(Some(CustomerShard { shard: after, records }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::excluded;
    use crate::customer::tests::customer;
    use crate::trust::accounts::Accounts;

    fn place(name: &str) -> Place {
        Place { bucket: "b".into(), key: format!("customer/landing/{name}.json") }
    }

    fn land(shard: CustomerShard, name: &str, customers: &[Customer]) -> Option<CustomerShard> {
        let mut update = shard.update();
        update.land(&FileName::of(&place(name)), &place(name), customers.iter());
        assert!(update.wanted().is_empty());
        update.settle().unwrap()
    }

    fn emails(shard: &CustomerShard) -> Vec<&str> {
        shard.shard.rows.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_order_of_arrival_never_decides() {
        let records = [customer("a", 1, Some(1)), customer("a", 2, None), customer("a", 3, Some(3))];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut shard = CustomerShard::default();
            for i in order {
                shard = land(shard, &i.to_string(), &records[i..=i]).unwrap();
            }
            assert_eq!(shard.shard.customer("a"), Some(&records[2]), "{order:?}");
        }
    }

    #[test]
    fn landing_the_same_again_changes_nothing() {
        let records = [customer("a", 1, Some(1)), customer("b", 1, None)];
        let shard = land(CustomerShard::default(), "f", &records).unwrap();
        assert!(land(shard, "f", &records).is_none());
    }

    #[test]
    fn a_shard_survives_its_bytes_and_holds_nothing_of_those_without_consent() {
        let shard =
            land(CustomerShard::default(), "f", &[customer("yes", 1, Some(1)), customer("refusing", 1, None)]).unwrap();
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
        let mut shard = land(CustomerShard::default(), "f", &[customer("a", 1, Some(1))]).unwrap();
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
            land(CustomerShard::default(), "f", &[customer("a", 1, Some(1)), customer("b", 1, Some(1))]).unwrap();
        let shard =
            land(shard, "g", &[customer("a", 2, Some(1)), customer("b", 2, Some(2)), customer("c", 1, None)]).unwrap();
        let changed: Vec<_> = shard.shard.versions.changed_since(1).collect();
        assert_eq!(changed, [KeyHash::of("b")]);
    }

    #[test]
    fn a_replaced_withdrawal_reads_the_earlier_record_again() {
        let consent = [customer("a", 1, Some(1))];
        let shard = land(CustomerShard::default(), "f", &consent).unwrap();
        let shard = land(shard, "g", &[customer("a", 2, None)]).unwrap();
        assert!(emails(&shard).is_empty());
        let mut update = shard.clone().update();
        update.land(&FileName::of(&place("g")), &place("g"), [].iter());
        assert_eq!(update.wanted(), BTreeSet::from([place("f")]));
        update.supply(consent.iter());
        assert!(update.wanted().is_empty());
        assert_eq!(emails(&update.settle().unwrap().unwrap()), ["a"]);

        let mut gone = shard.update();
        gone.land(&FileName::of(&place("g")), &place("g"), [].iter());
        let gone = gone.settle().unwrap().unwrap();
        assert!(emails(&gone).is_empty(), "a record that cannot be read again is not trusted");
        let back = land(gone, "f", &consent).unwrap();
        assert_eq!(emails(&back), ["a"], "until it lands again");
        assert!(land(back, "f", &consent).is_none());
    }

    #[test]
    fn accounts_follow_the_record_that_counts() {
        let accounts = |shard: &CustomerShard| {
            let object = shard.encode().unwrap();
            let needed = Accounts::needed(&object);
            assert!(Accounts::decode(object.slice(..needed - 1)).is_err());
            Accounts::decode(object.slice(..needed)).unwrap()
        };
        let account = |shard: &CustomerShard, name: &str| {
            let accounts = accounts(shard);
            let (account, changed) = accounts.of(&FileName::of(&place(name))).unwrap();
            (account.kept, account.excluded.clone(), changed)
        };
        let one = |reason: &str| BTreeMap::from([(reason.to_owned(), 1)]);
        let shard = land(CustomerShard::default(), "f", &[customer("a", 1, Some(1))]).unwrap();
        assert_eq!(account(&shard, "f"), (1, BTreeMap::new(), 1));
        let shard = land(shard, "g", &[customer("a", 2, Some(2))]).unwrap();
        assert_eq!(account(&shard, "f"), (0, one(excluded::SUPERSEDED), 2));
        assert_eq!(account(&shard, "g"), (1, BTreeMap::new(), 2));
        let shard = land(shard, "h", &[customer("a", 3, None)]).unwrap();
        assert_eq!(account(&shard, "g"), (0, one(excluded::CONSENT_WITHDRAWN), 3));
        assert_eq!(account(&shard, "h"), (0, one(excluded::NO_CONSENT), 3));
        assert_eq!(accounts(&shard).version(), 3);
        assert_eq!(accounts(&shard).changed_since(2).count(), 3);
    }

    #[test]
    fn an_account_that_is_not_that_of_the_records_is_counted_anew() {
        let mut shard =
            land(CustomerShard::default(), "f", &[customer("a", 1, Some(1)), customer("b", 1, None)]).unwrap();
        let records = serde_json::to_string(&shard.records).unwrap().replace("\"kept\":1", "\"kept\":0");
        let right = std::mem::replace(&mut shard.records, serde_json::from_str(&records).unwrap());
        assert_ne!(shard.records, right);
        let shard = land(shard, "g", &[customer("a", 2, None)]).unwrap();
        assert!(emails(&shard).is_empty());
        let accounts = Accounts::decode(shard.encode().unwrap()).unwrap();
        let (account, changed) = accounts.of(&FileName::of(&place("f"))).unwrap();
        let excluded = [excluded::CONSENT_WITHDRAWN, excluded::NO_CONSENT].map(|reason| (reason.to_owned(), 1));
        assert_eq!((account.kept, &account.excluded, changed), (0, &BTreeMap::from(excluded), 2));
    }
}
