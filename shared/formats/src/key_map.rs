//! A map from key hashes to numbers. Lookups work on its compact, sorted bytes; nothing is decoded.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::KeyHash;
use std::collections::BTreeMap;

const KEY_BYTES: usize = 16;
const ENTRY_BYTES: usize = KEY_BYTES + 8;

type Entry = [u8; ENTRY_BYTES];

/// The average number of entries with one prefix, up to [`PREFIX_BITS_MAX`].
const ENTRIES_PER_PREFIX: usize = 8;
/// The most bits of a prefix. It bounds the memory of `starts`.
const PREFIX_BITS_MAX: u32 = 16;

/// A map from key hashes to numbers.
///
/// Its bytes are the entries, sorted by key. An entry is the 16 bytes of the hash and the number as 8 bytes, big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyMap {
    entries: Bytes,
    /// The number of leading bits that all hashes share.
    common: u32,
    /// For each prefix of the bits after the common ones: the position of the first entry with it. The last element is the
    /// number of entries. Hashes are distributed evenly, so each prefix has few entries.
    starts: Vec<u32>,
}

impl Default for KeyMap {
    fn default() -> Self {
        Self::of(Bytes::new())
    }
}

impl KeyMap {
    /// Reads a map from its bytes. `what` names the object in errors.
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
        Ok(Self::of(bytes))
    }

    /// Indexes bytes that are known to be valid.
    fn of(bytes: Bytes) -> Self {
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let bits = (entries.len() / ENTRIES_PER_PREFIX).checked_ilog2().map_or(0, |bits| bits + 1).min(PREFIX_BITS_MAX);
        let ends = entries.first().zip(entries.last());
        let common = ends.map_or(0, |(first, last)| (number_of(first) ^ number_of(last)).leading_zeros());
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (position, entry) in (0..).zip(entries) {
            starts.resize(starts.len().max(prefix(number_of(entry), common, bits) + 1), position);
        }
        starts.resize((1 << bits) + 1, entries.len() as u32);
        Self { common, starts, entries: bytes }
    }

    /// Returns the map's bytes.
    pub(crate) fn encode(&self) -> Bytes {
        self.entries.clone()
    }

    /// Returns the number of a key.
    pub(crate) fn get(&self, key: KeyHash) -> Option<u64> {
        let wanted = u128::from_be_bytes(key.bytes());
        // `starts` has one element more than there are prefixes.
        let prefix = prefix(wanted, self.common, (self.starts.len() - 1).ilog2());
        let (start, end) = (self.starts[prefix] as usize, self.starts[prefix + 1] as usize);
        let entries = &self.entries()[start..end];
        let at = entries.binary_search_by_key(&wanted, number_of).ok()?;
        Some(decoded(&entries[at]).1)
    }

    /// Returns all keys with their numbers, sorted by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyHash, u64)> {
        self.entries().iter().map(decoded)
    }

    /// Returns a map in which the keys of `changes` have other numbers, or are removed (`None`).
    pub(crate) fn with(&self, changes: &BTreeMap<KeyHash, Option<u64>>) -> Self {
        let kept = self.iter().filter(|(key, _)| !changes.contains_key(key));
        let new = changes.iter().filter_map(|(key, number)| Some((*key, (*number)?)));
        let mut entries: Vec<_> = kept.chain(new).collect();
        // The stable sort merges two sorted runs in linear time.
        entries.sort_by_key(|(key, _)| *key);
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
        for (key, number) in entries {
            bytes.extend(key.bytes());
            bytes.extend(number.to_be_bytes());
        }
        Self::of(bytes.into())
    }

    fn entries(&self) -> &[Entry] {
        self.entries.as_chunks().0
    }
}

/// Returns `bits` bits of a hash after its `common` ones.
fn prefix(hash: u128, common: u32, bits: u32) -> usize {
    let rest = hash.checked_shl(common).unwrap_or(0);
    rest.checked_shr(u128::BITS - bits).unwrap_or(0) as usize
}

/// Returns an entry's hash as a number.
fn number_of(entry: &Entry) -> u128 {
    entry.first_chunk().map_or(0, |key| u128::from_be_bytes(*key))
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
    use model::hash::HashKey;

    #[test]
    fn numbers_survive_their_bytes_and_can_be_changed_and_removed() {
        let key = |n: u8| HashKey::public().of(&n.to_string());
        let numbers = KeyMap::default().with(&(0..100).map(|n| (key(n), Some(u64::from(n)))).collect());
        let numbers = numbers.with(&BTreeMap::from([(key(7), None), (key(8), Some(u64::MAX)), (key(200), Some(1))]));
        let again = KeyMap::decode(numbers.encode(), "test").unwrap();
        assert_eq!(again, numbers);
        assert_eq!(again.iter().count(), 100);
        for (n, number) in [(7, None), (8, Some(u64::MAX)), (9, Some(9)), (200, Some(1)), (201, None)] {
            assert_eq!(again.get(key(n)), number, "{n}");
        }
    }

    #[test]
    fn keys_are_found_in_any_distribution() {
        // Many keys with one prefix, and few with others.
        let key = |n: u128| KeyHash::from_bytes(((n % 500) << (n % 3 * 57)).to_be_bytes());
        for many in [0, 1, 2, 3, 10, 1_000] {
            let changes: BTreeMap<_, _> = (0..many).map(|n| (key(n * 7), Some(n as u64))).collect();
            let numbers = KeyMap::default().with(&changes);
            for n in 0..2_000 {
                let expected = changes.get(&key(n)).copied().flatten();
                assert_eq!(numbers.get(key(n)), expected, "{many} {n}");
            }
            for extreme in [[0; KEY_BYTES], [0xff; KEY_BYTES]].map(KeyHash::from_bytes) {
                assert_eq!(numbers.get(extreme), changes.get(&extreme).copied().flatten());
            }
        }
    }

    #[test]
    fn bytes_that_are_cut_or_out_of_order_are_refused() {
        let bytes = KeyMap::default().with(&["a", "b"].map(|key| (HashKey::public().of(key), Some(1))).into()).encode();
        assert!(KeyMap::decode(bytes.slice(1..), "test").is_err());
        let swapped = [&bytes[ENTRY_BYTES..], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyMap::decode(swapped.into(), "test").is_err());
        let twice = [&bytes[..ENTRY_BYTES], &bytes[..ENTRY_BYTES]].concat();
        assert!(KeyMap::decode(twice.into(), "test").is_err());
    }
}
