//! A shard of `customer_trusted` as far as it says whose readings are let through: two of its columns.

use super::{Owner, Versions, changed_in, version_in};
use crate::Corrupt;
use crate::columnar::{Decoder, bigint_at, text_at};
use crate::table::Table;
use arrow_array::RecordBatch;
use bytes::Bytes;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::OnceLock;

const TABLE: Table = Table::CustomerTrusted;
/// The columns that are read, and their places among them.
const COLUMNS: [&str; 2] = ["email", "sharewithresearchasofdate"];
const EMAIL: usize = 0;
const SINCE_MS: usize = 1;

/// Who of one shard consents to research, and since when.
///
/// A function that starts decodes every shard that has somebody of its file. So of a customer no more is looked at than
/// that, and nothing is copied.
#[derive(Debug, Default)]
pub struct Consents {
    batches: Vec<RecordBatch>,
    /// The rows' batches and places in them, by the hash of the email.
    places: HashTable<(u32, u32)>,
    hasher: foldhash::fast::RandomState,
    version: u64,
    /// Which keys changed when, as the footer has it: only a propagation needs that.
    changed: String,
    versions: OnceLock<Versions>,
}

impl Consents {
    /// Reads a shard's object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let decoder = Decoder::new(bytes, TABLE.name())?;
        let (version, changed) = (version_in(TABLE, &decoder)?, changed_in(TABLE, &decoder)?.to_owned());
        let batches: Vec<_> = decoder.columns(TABLE, |name| COLUMNS.contains(&name))?.collect::<Result<_, _>>()?;
        let mut consents = Self { batches, version, changed, ..Self::default() };
        let Self { batches, places, hasher, .. } = &mut consents;
        let hash = |email: Option<&str>| hasher.hash_one(email.unwrap_or_default());
        places.reserve(batches.iter().map(RecordBatch::num_rows).sum(), |_| 0);
        for (i, batch) in batches.iter().enumerate() {
            for row in 0..batch.num_rows() {
                let place = (i as u32, row as u32);
                // There is room for all, so none is ever hashed again.
                places.insert_unique(hash(text_at(batch, EMAIL, row)), place, |_| 0);
            }
        }
        Ok(consents)
    }

    /// The customer with this email, if trusted.
    pub fn owner(&self, email: &str) -> Option<Owner<'_>> {
        let email_at = |(batch, row): (u32, u32)| text_at(&self.batches[batch as usize], EMAIL, row as usize);
        let place = self.places.find(self.hasher.hash_one(email), |place| email_at(*place) == Some(email))?;
        let (batch, row) = *place;
        let since_ms = bigint_at(&self.batches[batch as usize], SINCE_MS, row as usize).filter(|ms| *ms != 0)?;
        Some(Owner { email: email_at(*place)?, since_ms })
    }

    /// The version of the shard.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The shard's versions, by the hash of the email.
    ///
    /// # Errors
    /// If the footer is damaged, which is not seen before it is asked for.
    pub fn versions(&self) -> Result<&Versions, Corrupt> {
        match self.versions.get() {
            Some(versions) => Ok(versions),
            None => {
                let versions = Versions::of(TABLE, self.version, &self.changed)?;
                Ok(self.versions.get_or_init(|| versions))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::tests::customer;
    use crate::layout::{FileName, Place};
    use crate::trust::trusted::{CustomerShard, TrustedShard};

    #[test]
    fn consents_say_what_the_shard_says() {
        let people: Vec<_> = (0..500).map(|n| customer(&format!("c{n}"), n, (n % 3 > 0).then_some(n))).collect();
        let place = Place { bucket: "b".into(), key: "customer/landing/f".into() };
        let mut update = CustomerShard::default().update();
        update.land(&FileName::of(&place), &place, people.iter());
        let bytes = update.settle().unwrap().encode().unwrap();
        let (shard, consents) = (TrustedShard::decode(bytes.clone()).unwrap(), Consents::decode(bytes).unwrap());
        assert_eq!(consents.versions().unwrap(), shard.versions());
        assert_eq!(consents.version(), shard.versions().version);
        for person in &people {
            let expected = shard.customer(&person.email).map(|c| (c.email.as_str(), c.since_ms()));
            let found = consents.owner(&person.email);
            assert_eq!(found.map(|owner| (owner.email, Some(owner.since_ms))), expected);
        }
        assert_eq!(consents.owner("nobody"), None);
        assert_eq!(consents.owner(""), None);
    }
}
