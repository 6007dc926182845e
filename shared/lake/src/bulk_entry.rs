//! The keys of a file as compact bytes, in which one is found without reading them all.

use crate::Corrupt;
use crate::hash::KeyHash;
use bytes::Bytes;
use std::collections::BTreeSet;

const KEY_BYTES: usize = 16;
const WHAT: &str = "bulk entry";

/// A set of keys: their hashes in order, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Bytes);

impl KeySet {
    /// Reads a set from its bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
        if !rest.is_empty() {
            return Err(Corrupt::new(WHAT, format!("it has {} bytes, expected {KEY_BYTES} for each key", bytes.len())));
        }
        if !keys.is_sorted_by(|a, b| a < b) {
            return Err(Corrupt::new(WHAT, "its keys are not in order"));
        }
        Ok(Self(bytes))
    }

    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        self.0.clone()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of `wanted` is among the keys.
    pub fn has_any(&self, wanted: &BTreeSet<KeyHash>) -> bool {
        match wanted.len() < self.len() {
            true => wanted.iter().any(|key| self.keys().binary_search(&key.bytes()).is_ok()),
            false => self.keys().iter().any(|key| wanted.contains(&KeyHash::from_bytes(*key))),
        }
    }

    /// The set with `more` keys.
    pub fn with(&self, more: impl Iterator<Item = KeyHash>) -> Self {
        let known = self.keys().iter().copied().map(KeyHash::from_bytes);
        known.chain(more).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn keys(&self) -> &[[u8; KEY_BYTES]] {
        self.0.as_chunks().0
    }
}

impl FromIterator<KeyHash> for KeySet {
    fn from_iter<T: IntoIterator<Item = KeyHash>>(keys: T) -> Self {
        let keys: BTreeSet<KeyHash> = keys.into_iter().collect();
        Self(keys.into_iter().flat_map(KeyHash::bytes).collect::<Vec<u8>>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_keys_and_no_others() {
        let key = |n: u32| KeyHash::of(&n.to_string());
        let set: KeySet = (0..100).map(key).collect();
        let set = KeySet::decode(set.with([key(200), key(5)].into_iter()).encode()).unwrap();
        assert_eq!(set.len(), 101);
        for (wanted, has) in [(99..100, true), (100..200, false), (200..201, true), (0..1000, true), (300..1000, false)]
        {
            assert_eq!(set.has_any(&wanted.clone().map(key).collect()), has, "{wanted:?}");
        }
        assert!(!KeySet::default().has_any(&(0..9).map(key).collect()));
    }

    #[test]
    fn bytes_that_are_cut_or_out_of_order_are_refused() {
        let bytes = ["a", "b"].map(KeyHash::of).into_iter().collect::<KeySet>().encode();
        assert!(KeySet::decode(bytes.slice(1..)).is_err());
        let swapped = [&bytes[KEY_BYTES..], &bytes[..KEY_BYTES]].concat();
        assert!(KeySet::decode(swapped.into()).is_err());
    }
}
