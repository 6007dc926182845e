//! A number for each of many keys, as compact bytes: what is read for a few keys need not be parsed for all.

use crate::Corrupt;
use crate::hash::KeyHash;
use std::collections::BTreeMap;

const KEY_BYTES: usize = 16;
const ENTRY_BYTES: usize = KEY_BYTES + 8;

/// Keys in order, each with a number. As bytes: the entries one after the other, each of 16 bytes of the key's hash and 8
/// of the number, big-endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyNumbers(Vec<(KeyHash, u64)>);

impl KeyNumbers {
    /// Reads them from their bytes, which `what` holds.
    pub(crate) fn decode(bytes: &[u8], what: &'static str) -> Result<Self, Corrupt> {
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(Corrupt::new(
                what,
                format!("it has {} bytes, expected {ENTRY_BYTES} for each key", bytes.len()),
            ));
        }
        let entries: Vec<_> = entries.iter().map(decoded).collect();
        match entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            true => Ok(Self(entries)),
            false => Err(Corrupt::new(what, "its keys are not in order")),
        }
    }

    /// Their bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_BYTES);
        for (key, number) in &self.0 {
            bytes.extend(key.bytes());
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    /// The number of a key.
    pub(crate) fn get(&self, key: KeyHash) -> Option<u64> {
        let at = self.0.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.0[at].1)
    }

    /// All keys, in order, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyHash, u64)> {
        self.0.iter().copied()
    }

    /// Gives these keys other numbers, or none.
    pub(crate) fn update(&mut self, changes: &BTreeMap<KeyHash, Option<u64>>) {
        let kept = self.0.iter().filter(|(key, _)| !changes.contains_key(key)).copied();
        let new = changes.iter().filter_map(|(key, number)| Some((*key, (*number)?)));
        let mut entries: Vec<_> = kept.chain(new).collect();
        // Two sorted runs, which a stable sort merges.
        entries.sort_by_key(|(key, _)| *key);
        self.0 = entries;
    }
}

fn decoded(entry: &[u8; ENTRY_BYTES]) -> (KeyHash, u64) {
    let (mut key, mut number) = ([0; KEY_BYTES], [0; ENTRY_BYTES - KEY_BYTES]);
    key.copy_from_slice(&entry[..KEY_BYTES]);
    number.copy_from_slice(&entry[KEY_BYTES..]);
    (KeyHash::from_bytes(key), u64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_bytes_and_are_changed_and_removed() {
        let key = |n: u8| KeyHash::of(&n.to_string());
        let mut numbers = KeyNumbers::default();
        numbers.update(&(0..100).map(|n| (key(n), Some(u64::from(n)))).collect());
        numbers.update(&BTreeMap::from([(key(7), None), (key(8), Some(u64::MAX)), (key(200), Some(1))]));
        let again = KeyNumbers::decode(&numbers.encode(), "test").unwrap();
        assert_eq!(again, numbers);
        assert_eq!(again.iter().count(), 100);
        for (n, number) in [(7, None), (8, Some(u64::MAX)), (9, Some(9)), (200, Some(1)), (201, None)] {
            assert_eq!(again.get(key(n)), number, "{n}");
        }
    }

    #[test]
    fn bytes_that_are_cut_or_out_of_order_are_refused() {
        let mut numbers = KeyNumbers::default();
        numbers.update(&["a", "b"].map(|key| (KeyHash::of(key), Some(1))).into());
        let bytes = numbers.encode();
        assert!(KeyNumbers::decode(&bytes[1..], "test").is_err());
        let swapped = [&bytes[ENTRY_BYTES..], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyNumbers::decode(&swapped, "test").is_err());
        let twice = [&bytes[..ENTRY_BYTES], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyNumbers::decode(&twice, "test").is_err());
    }
}
