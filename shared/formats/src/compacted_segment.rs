//! What many bulk entries together say of one part of the keys, so that the files of a key are found without reading all
//! entries that there ever were.
//!
//! Entries are never changed. So what is merged says for good which entries it has everything of; an entry that it does not
//! name has to be read.

use crate::Corrupt;
use crate::index_segment::IndexSegment;
use crate::key_map::KeyMap;
use crate::packed::{packed, unpacked};
use crate::runs::Runs;
use bytes::Bytes;
use model::hash::{IndexPart, KeyHash};
use model::layout::FileName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const WHAT: &str = "merged entries";
const LENGTH_BYTES: usize = 8;

/// One part of the index. It is told by the entries it was merged of, whatever the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactedSegment {
    lists: Lists,
    /// For each key the place of its set of files.
    keys: KeyMap,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lists {
    /// The names of the entries that it has everything of.
    entries: BTreeSet<String>,
    /// The files that have a key of this part, by name.
    files: Vec<FileName>,
    /// Sets of files, by their places: those of many keys are the same.
    sets: Vec<Runs>,
    /// How many keys there are.
    keys: usize,
}

impl CompactedSegment {
    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why| Corrupt::new(WHAT, why);
        let length = bytes.first_chunk().and_then(|length| usize::try_from(u64::from_le_bytes(*length)).ok());
        let end = length.and_then(|length| length.checked_add(LENGTH_BYTES)).filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| corrupt("it ends before its files"))?;
        let lists: Lists = unpacked(WHAT, &bytes[LENGTH_BYTES..end])?;
        let keys = KeyMap::decode(bytes.slice(end..), WHAT)?;
        if keys.iter().count() != lists.keys {
            return Err(corrupt("it does not end behind its keys"));
        }
        let sets = lists.sets.len() as u64;
        if !lists.sets.iter().all(|set| set.are_below(lists.files.len())) || keys.iter().any(|(_, set)| set >= sets) {
            return Err(corrupt("it has keys of files that it does not list"));
        }
        Ok(Self { lists, keys })
    }

    /// The object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let lists = packed(WHAT, &self.lists)?;
        Ok([&(lists.len() as u64).to_le_bytes()[..], &lists, &self.keys.encode()].concat().into())
    }

    /// Whether it has everything that the entry of this name says of its part.
    pub fn has(&self, entry: &str) -> bool {
        self.lists.entries.contains(entry)
    }

    /// The files that have one of the keys `wanted`, as far as the keys are of its part.
    pub fn files_with(&self, wanted: &BTreeSet<KeyHash>) -> BTreeSet<&FileName> {
        let sets: BTreeSet<u64> = wanted.iter().filter_map(|key| self.keys.get(*key)).collect();
        sets.into_iter().flat_map(|set| self.set(set)).collect()
    }

    fn set(&self, place: u64) -> impl Iterator<Item = &FileName> {
        let set = usize::try_from(place).ok().and_then(|place| self.lists.sets.get(place));
        set.into_iter().flat_map(Runs::iter).filter_map(|file| self.lists.files.get(file as usize))
    }

    /// This, `part` of the index, with more entries, by name; none if it has them all.
    pub fn with(&self, part: IndexPart, entries: &[(&str, &IndexSegment)]) -> Option<Self> {
        let new: Vec<(&str, &IndexSegment)> = entries.iter().filter(|(name, _)| !self.has(name)).copied().collect();
        if new.is_empty() {
            return None;
        }
        let new_files = new.iter().flat_map(|(_, entry)| entry.in_part(part)).map(|(file, _)| file);
        let files: BTreeSet<&FileName> = self.lists.files.iter().chain(new_files).collect();
        // 32 bits are enough: the names of so many files would be no object.
        let places: HashMap<&FileName, u32> = files.iter().copied().zip(0..).collect();

        // Of each key which set of files it had, and which it has now as well. Few differ: what many keys share is never
        // held for each of them.
        let place = |file: &FileName| places.get(file).copied();
        let mut now: BTreeMap<KeyHash, Runs> = BTreeMap::new();
        for (file, keys) in new.iter().flat_map(|(_, entry)| entry.in_part(part)) {
            let Some(place) = place(file) else { continue };
            keys.for_each(|key| now.entry(key).or_default().insert(place));
        }
        let mut both: BTreeMap<(Option<u64>, Runs), usize> = BTreeMap::new();
        let mut both_of: BTreeMap<KeyHash, usize> = BTreeMap::new();
        let had = self.keys.iter().map(|(key, set)| (key, Some(set), now.get(&key).cloned().unwrap_or_default()));
        let has_only = now.iter().filter(|(key, _)| self.keys.get(**key).is_none());
        for (key, had, has) in had.chain(has_only.map(|(key, has)| (*key, None, has.clone()))) {
            let next = both.len();
            both_of.insert(key, *both.entry((had, has)).or_insert(next));
        }

        let mut sets: Vec<Runs> = vec![Runs::default(); both.len()];
        for ((had, mut has), number) in both {
            had.into_iter().flat_map(|set| self.set(set)).filter_map(place).for_each(|place| has.insert(place));
            sets[number] = has;
        }
        let numbers: BTreeMap<&Runs, u64> = sets.iter().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let set_of = |both: usize| sets.get(both).and_then(|set| numbers.get(set)).copied();
        let keys = KeyMap::default().with(&both_of.iter().map(|(key, both)| (*key, set_of(*both))).collect());
        let sets: Vec<Runs> = numbers.into_keys().cloned().collect();
        let entries =
            self.lists.entries.iter().cloned().chain(new.iter().map(|(name, _)| (*name).to_owned())).collect();
        let files = files.into_iter().cloned().collect();
        Some(Self { lists: Lists { entries, files, sets, keys: both_of.len() }, keys })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;
    use model::layout::ObjectLocation;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    const FILES: u8 = 9;
    const KEYS: u8 = 40;

    fn key(n: u8) -> KeyHash {
        KeyHash::of(&n.to_string())
    }

    fn file(n: u8) -> FileName {
        FileName::of(&ObjectLocation { bucket: "b".into(), key: n.to_string() })
    }

    fn merged(part: IndexPart, entries: &[(String, IndexSegment)], chunk: usize) -> CompactedSegment {
        let entries: Vec<_> = entries.iter().map(|(name, entry)| (name.as_str(), entry)).collect();
        entries.chunks(chunk).fold(CompactedSegment::default(), |merged, entries| {
            let with = merged.with(part, entries).unwrap();
            assert!(entries.iter().all(|(name, _)| with.has(name)));
            assert_eq!(with.with(part, entries), None);
            with
        })
    }

    proptest! {
        /// However entries are merged, all parts together say what the entries say.
        #[test]
        fn merged_entries_say_what_the_entries_say(
            entries in vec(vec((0..FILES, btree_set(0..KEYS, 0..12)), 1..4), 1..9),
            wanted in btree_set(0..KEYS + 3, 0..5),
            chunk in 1..4_usize,
        ) {
            let entry = |(number, files): (usize, &Vec<(u8, BTreeSet<u8>)>)| {
                let files = files.iter().map(|(of, keys)| (file(*of), keys.iter().copied().map(key)));
                (number.to_string(), IndexSegment::decode(IndexSegment::encode(files).unwrap()).unwrap())
            };
            let entries: Vec<(String, IndexSegment)> = entries.iter().enumerate().map(entry).collect();
            let wanted: BTreeSet<KeyHash> = wanted.into_iter().map(key).collect();
            let mut found = BTreeSet::new();
            for part in IndexPart::all() {
                let merged = merged(part, &entries, chunk);
                let mut others = entries.clone();
                others.reverse();
                prop_assert_eq!(&self::merged(part, &others, 2), &merged);
                let again = CompactedSegment::decode(merged.encode().unwrap()).unwrap();
                prop_assert_eq!(&again, &merged);
                found.extend(again.files_with(&wanted).into_iter().cloned());
            }
            let expected: BTreeSet<FileName> =
                entries.iter().flat_map(|(_, entry)| entry.files_with(&wanted)).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_daily_export_of_the_same_people_takes_one_set() {
        let people: Vec<KeyHash> = (0..KEYS).map(key).collect();
        let entries: Vec<(String, IndexSegment)> = (0..200)
            .map(|day| {
                let bytes = IndexSegment::encode([(file(day), people.iter().copied())]).unwrap();
                (model::hash::content_name(&bytes), IndexSegment::decode(bytes).unwrap())
            })
            .collect();
        for part in people.iter().map(|key| key.index_part()) {
            let merged = merged(part, &entries, 17);
            assert_eq!(merged.lists.sets, [(0..200).collect()]);
            assert_eq!(merged.files_with(&people.iter().copied().collect()).len(), 200);
        }
    }

    #[test]
    fn what_is_not_merged_entries_is_refused() {
        let entry = IndexSegment::encode([(file(0), [key(1)].into_iter())]).unwrap();
        let entries = [("0".to_owned(), IndexSegment::decode(entry).unwrap())];
        let whole = merged(key(1).index_part(), &entries, 1);
        let bytes = whole.encode().unwrap();
        assert!((0..bytes.len()).all(|length| CompactedSegment::decode(bytes.slice(..length)).is_err()));
        let no_file = CompactedSegment { lists: Lists { files: Vec::new(), ..whole.lists.clone() }, ..whole.clone() };
        let no_set = CompactedSegment { lists: Lists { sets: Vec::new(), ..whole.lists.clone() }, ..whole };
        for unsound in [no_file, no_set] {
            assert!(CompactedSegment::decode(unsound.encode().unwrap()).is_err());
        }
    }
}
