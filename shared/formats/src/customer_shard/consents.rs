//! A shard of `customer_trusted` as far as it says whose readings are let through.

use super::header::Header;
use super::{Owner, Versions};
use crate::Corrupt;
use crate::key_map::KeyMap;
use crate::reading::Key;
use bytes::Bytes;
use model::table::Table;
use std::sync::OnceLock;

const TABLE: Table = Table::CustomerTrusted;

/// Who of one shard consents to research, and since when.
///
/// A function that starts reads this of every shard that has somebody of its file. So it is the start of the object, and
/// people are looked up in it as it is.
#[derive(Debug, Default)]
pub struct Consents {
    since_ms: KeyMap,
    header: Header,
    versions: OnceLock<Versions>,
}

impl Consents {
    /// How many bytes of a shard's object are worth reading at first: they hold all that is needed of some 3,300 customers.
    pub const START_BYTES: usize = 160 << 10;

    /// How many bytes of a shard's object hold what is needed, given its start.
    pub fn needed(start: &[u8]) -> usize {
        Header::up_to_changed(start).unwrap_or_default()
    }

    /// Reads a shard's object, or as much of it as is [needed](Self::needed).
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        let since_ms = KeyMap::decode(header.lookups.clone(), TABLE.name())?;
        Ok(Self { since_ms, header, versions: OnceLock::new() })
    }

    /// The customer with this email, if trusted.
    pub fn owner<'a>(&self, email: &'a Key) -> Option<Owner<'a>> {
        let since_ms = self.since_ms.get(email.hash)?.cast_signed();
        Some(Owner { email: &email.text, since_ms })
    }

    /// The version of the shard.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// The shard's versions, by the hash of the email.
    ///
    /// # Errors
    /// If they are damaged, which is not seen before it is asked for.
    pub fn versions(&self) -> Result<&Versions, Corrupt> {
        match self.versions.get() {
            Some(versions) => Ok(versions),
            None => {
                let versions = Versions::of(TABLE, &self.header)?;
                Ok(self.versions.get_or_init(|| versions))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::customer;
    use crate::customer_shard::trusted::{CustomerShard, TrustedShard};
    use model::hash::KeyHash;
    use model::layout::{FileName, ObjectLocation};
    use std::collections::BTreeMap;

    #[test]
    fn consents_say_what_the_shard_says() {
        let people: Vec<_> = (0..500).map(|n| customer(&format!("c{n}"), n, (n % 3 > 0).then_some(n))).collect();
        let place = ObjectLocation { bucket: "b".into(), key: "customer/landing/f".into() };
        let mut update = CustomerShard::default().update();
        update.land(&FileName::of(&place), &place, people.iter());
        let bytes = update.settle().unwrap().unwrap().encode().unwrap();
        let start = bytes.slice(..Consents::needed(&bytes));
        assert!(Consents::decode(bytes.slice(..start.len() - 1)).is_err());
        let (shard, consents) = (TrustedShard::decode(bytes).unwrap(), Consents::decode(start).unwrap());
        let owner = |email: &str| {
            let key = Key { text: email.to_owned(), hash: KeyHash::of(email) };
            consents.owner(&key).map(|owner| (owner.email.to_owned(), Some(owner.since_ms)))
        };
        assert_eq!(consents.versions().unwrap(), shard.versions());
        assert_eq!(consents.version(), shard.versions().version);
        let trusted: BTreeMap<_, _> = shard.customers().map(|c| (c.email.clone(), c.since_ms())).collect();
        for person in &people {
            let expected = trusted.get(&person.email).map(|since_ms| (person.email.clone(), *since_ms));
            assert_eq!(owner(&person.email), expected);
        }
        assert_eq!(owner("nobody"), None);
        assert_eq!(owner(""), None);
    }
}
