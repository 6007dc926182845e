//! The part of a `customer_trusted` shard that decides which accelerometer readings are eligible.

use super::header::Header;
use super::{Owner, Versions};
use crate::Corrupt;
use crate::key_map::KeyMap;
use crate::packed::{packed, unpacked};
use crate::reading::Key;
use bytes::Bytes;
use model::hash::KeyHash;
use model::identity;
use model::table::Table;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const TABLE: Table = Table::CustomerTrusted;

/// The customers of one shard who consent to research, with the date of each consent.
///
/// A function reads this of every shard that may have a customer of its landing file. So it lies at the start of the object,
/// and lookups work on the stored bytes.
#[derive(Debug, Default)]
pub struct Consents {
    since_ms: KeyMap,
    spellings: Spellings,
    header: Header,
    versions: OnceLock<Versions>,
}

impl Consents {
    /// The number of bytes to read of a shard's object at first. They hold what is needed of some 3,300 customers.
    pub const START_BYTES: usize = 160 << 10;

    /// Returns how many bytes of a shard's object [`decode`](Self::decode) needs, given the object's start.
    pub fn needed(start: &[u8]) -> usize {
        Header::up_to_changed(start).unwrap_or_default()
    }

    /// Reads a shard's object, or its first [`needed`](Self::needed) bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let header = Header::of(TABLE, &bytes)?;
        let since_ms = KeyMap::decode(header.consents.clone(), TABLE.name())?;
        Ok(Self { since_ms, spellings: Spellings::decode(&header)?, header, versions: OnceLock::new() })
    }

    /// Returns the customer with this identity, if a grant of the customer is in force.
    pub fn owner<'a>(&'a self, customer: &'a Key) -> Option<Owner<'a>> {
        let since_ms = self.since_ms.get(customer.hash)?.cast_signed();
        Some(Owner { email: self.spellings.of(customer), since_ms })
    }

    /// Returns the version of the shard.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// Returns the shard's versions, by the hash of the email.
    ///
    /// # Errors
    /// If they are damaged. The first call decodes them.
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

/// The emails of eligible customers that are not spelled like the customer's identity. There are few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spellings(BTreeMap<KeyHash, String>);

impl Spellings {
    pub(super) fn decode(header: &Header) -> Result<Self, Corrupt> {
        match header.spellings.is_empty() {
            true => Ok(Self::default()),
            false => unpacked(TABLE.name(), &header.spellings).map(Self),
        }
    }

    pub(super) fn encode(&self) -> Result<Bytes, Corrupt> {
        if self.0.is_empty() { Ok(Bytes::new()) } else { packed(TABLE.name(), &self.0) }
    }

    /// Sets the email of a customer; none if the customer is not eligible.
    pub(super) fn set(&mut self, customer: KeyHash, email: Option<&str>) {
        match email.filter(|email| identity::of_email(email) != *email) {
            Some(email) => drop(self.0.insert(customer, email.to_owned())),
            None => drop(self.0.remove(&customer)),
        }
    }

    fn of<'a>(&'a self, customer: &'a Key) -> &'a str {
        self.0.get(&customer.hash).unwrap_or(&customer.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_shard::test_customer::{customer, says, settled, version};
    use crate::customer_shard::trusted::CustomerShard;
    use model::hash::HashKey;

    #[test]
    fn consents_agree_with_the_rows_of_the_shard() {
        let email = |n: i64| if n % 7 == 1 { format!(" C{n}") } else { format!("c{n}") };
        let people: Vec<_> = (0..500).map(|n| customer(&email(n), n, (n % 3 > 0).then_some(n))).collect();
        let mut update = CustomerShard::empty(HashKey::public()).update();
        update.ingest(version("f"), says(&people).iter());
        let bytes = settled(update).unwrap().encode().unwrap();
        let start = bytes.slice(..Consents::needed(&bytes));
        assert!(Consents::decode(bytes.slice(..start.len() - 1)).is_err());
        let (shard, consents) =
            (CustomerShard::decode(bytes, HashKey::public()).unwrap(), Consents::decode(start).unwrap());
        let owner = |email: &str| {
            let key = Key { text: identity::of_email(email).into_owned(), hash: HashKey::public().of_email(email) };
            consents.owner(&key).map(|owner| (owner.email.to_owned(), Some(owner.since_ms)))
        };
        assert_eq!(consents.versions().unwrap(), shard.versions());
        assert_eq!(consents.version(), shard.versions().version);
        let trusted: BTreeMap<_, _> = shard.customers().map(|c| (c.email.clone(), c.since_ms())).collect();
        for person in &people {
            let expected = trusted.get(&person.email).map(|since_ms| (person.email.clone(), *since_ms));
            assert_eq!(owner(&person.email), expected);
            assert_eq!(owner(&person.email.trim().to_uppercase()), expected);
        }
        assert_eq!(owner("unknown"), None);
        assert_eq!(owner(""), None);
    }
}
