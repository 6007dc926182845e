//! A number for each of many keys, as compact bytes in which one is found without reading them all.

use crate::Corrupt;
use crate::hash::KeyHash;
use bytes::Bytes;
use std::collections::BTreeMap;

const KEY_BYTES: usize = 16;
const ENTRY_BYTES: usize = KEY_BYTES + 8;

type Entry = [u8; ENTRY_BYTES];

/// Keys in order, each with a number. As bytes: the entries one after the other, each of 16 bytes of the key's hash and 8
/// of the number, big-endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyNumbers(Bytes);

impl KeyNumbers {
    /// Reads them from their bytes, which `what` holds.
    pub(crate) fn decode(bytes: Bytes, what: &'static str) -> Result<Self, Corrupt> {
        let (entries, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(Corrupt::new(
                what,
                format!("it has {} bytes, expected {ENTRY_BYTES} for each key", bytes.len()),
            ));
        }
        if !entries.is_sorted_by(|a, b| key_of(a) < key_of(b)) {
            return Err(Corrupt::new(what, "its keys are not in order"));
        }
        Ok(Self(bytes))
    }

    /// Their bytes.
    pub(crate) fn encode(&self) -> Bytes {
        self.0.clone()
    }

    /// The number of a key.
    pub(crate) fn get(&self, key: KeyHash) -> Option<u64> {
        let at = self.entries().binary_search_by(|entry| key_of(entry).cmp(&key.bytes())).ok()?;
        Some(decoded(&self.entries()[at]).1)
    }

    /// All keys, in order, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyHash, u64)> {
        self.entries().iter().map(decoded)
    }

    /// These, but other numbers, or none, for some keys.
    pub(crate) fn with(&self, changes: &BTreeMap<KeyHash, Option<u64>>) -> Self {
        let kept = self.iter().filter(|(key, _)| !changes.contains_key(key));
        let new = changes.iter().filter_map(|(key, number)| Some((*key, (*number)?)));
        let mut entries: Vec<_> = kept.chain(new).collect();
        // Two sorted runs, which a stable sort merges.
        entries.sort_by_key(|(key, _)| *key);
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
        for (key, number) in entries {
            bytes.extend(key.bytes());
            bytes.extend(number.to_be_bytes());
        }
        Self(bytes.into())
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_chunks().0
    }
}

fn key_of(entry: &Entry) -> &[u8] {
    &entry[..KEY_BYTES]
}

fn decoded(entry: &Entry) -> (KeyHash, u64) {
    let (mut key, mut number) = ([0; KEY_BYTES], [0; ENTRY_BYTES - KEY_BYTES]);
    key.copy_from_slice(key_of(entry));
    number.copy_from_slice(&entry[KEY_BYTES..]);
    (KeyHash::from_bytes(key), u64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_bytes_and_are_changed_and_removed() {
        let key = |n: u8| KeyHash::of(&n.to_string());
        let numbers = KeyNumbers::default().with(&(0..100).map(|n| (key(n), Some(u64::from(n)))).collect());
        let numbers = numbers.with(&BTreeMap::from([(key(7), None), (key(8), Some(u64::MAX)), (key(200), Some(1))]));
        let again = KeyNumbers::decode(numbers.encode(), "test").unwrap();
        assert_eq!(again, numbers);
        assert_eq!(again.iter().count(), 100);
        for (n, number) in [(7, None), (8, Some(u64::MAX)), (9, Some(9)), (200, Some(1)), (201, None)] {
            assert_eq!(again.get(key(n)), number, "{n}");
        }
    }

    #[test]
    fn bytes_that_are_cut_or_out_of_order_are_refused() {
        let bytes = KeyNumbers::default().with(&["a", "b"].map(|key| (KeyHash::of(key), Some(1))).into()).encode();
        assert!(KeyNumbers::decode(bytes.slice(1..), "test").is_err());
        let swapped = [&bytes[ENTRY_BYTES..], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyNumbers::decode(swapped.into(), "test").is_err());
        let twice = [&bytes[..ENTRY_BYTES], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyNumbers::decode(twice.into(), "test").is_err());
    }
}
