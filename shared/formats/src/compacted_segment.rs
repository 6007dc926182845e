//! A compacted segment: the content of many index segments for one part of the keys. A lookup reads it instead of all
//! segments that were ever written.
//!
//! An index segment never changes. So the compacted segment lists the segments that it contains, and a lookup reads only the
//! segments that are not on this list.

use crate::Corrupt;
use crate::index_segment::IndexSegment;
use crate::key_map::KeyMap;
use crate::packed::{packed, unpacked};
use crate::runs::Runs;
use bytes::Bytes;
use model::hash::{IndexPart, KeyHash};
use model::layout::FileSlice;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const WHAT: &str = "compacted segment";
const LENGTH_BYTES: usize = 8;

/// One part of the key index. The same segments give the same bytes, in whatever order they were compacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactedSegment {
    lists: Lists,
    /// For each key the position of its set of file slices in [`Lists::sets`].
    keys: KeyMap,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lists {
    /// The names of the index segments that it contains.
    segments: BTreeSet<String>,
    /// The file slices that have a key of this part, sorted.
    file_slices: Vec<FileSlice>,
    /// Distinct sets of file slices, as positions in `file_slices`. Many keys share one set.
    sets: Vec<Runs>,
    /// The number of keys.
    keys: usize,
}

impl CompactedSegment {
    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why| Corrupt::new(WHAT, why);
        let length = bytes.first_chunk().and_then(|length| usize::try_from(u64::from_le_bytes(*length)).ok());
        let end = length.and_then(|length| length.checked_add(LENGTH_BYTES)).filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| corrupt("it ends within its header"))?;
        let lists: Lists = unpacked(WHAT, &bytes[LENGTH_BYTES..end])?;
        let keys = KeyMap::decode(bytes.slice(end..), WHAT)?;
        if keys.iter().count() != lists.keys {
            return Err(corrupt("its number of keys is not the one in its header"));
        }
        let sets = lists.sets.len() as u64;
        if !lists.sets.iter().all(|set| set.are_below(lists.file_slices.len()))
            || keys.iter().any(|(_, set)| set >= sets)
        {
            return Err(corrupt("its keys refer to file slices that it does not list"));
        }
        Ok(Self { lists, keys })
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        let lists = packed(WHAT, &self.lists)?;
        Ok([&(lists.len() as u64).to_le_bytes()[..], &lists, &self.keys.encode()].concat().into())
    }

    /// Whether it contains the index segment of this name.
    pub fn has(&self, segment: &str) -> bool {
        self.lists.segments.contains(segment)
    }

    /// Returns the file slices that have one of the keys `wanted`, with the key. It knows only the keys of its part.
    pub fn file_slices_with(&self, wanted: &BTreeSet<KeyHash>) -> impl Iterator<Item = (KeyHash, FileSlice)> {
        let sets = wanted.iter().filter_map(|key| Some((*key, self.keys.get(*key)?)));
        sets.flat_map(|(key, set)| self.set(set).map(move |file_slice| (key, file_slice)))
    }

    fn set(&self, position: u64) -> impl Iterator<Item = FileSlice> {
        let set = usize::try_from(position).ok().and_then(|position| self.lists.sets.get(position));
        set.into_iter()
            .flat_map(Runs::iter)
            .filter_map(|file_slice| self.lists.file_slices.get(file_slice as usize))
            .copied()
    }

    /// Adds index segments, each with its name, to this segment of `part`. Returns `None` if it contains them all.
    pub fn with(&self, part: IndexPart, segments: &[(&str, &IndexSegment)]) -> Option<Self> {
        let new: Vec<(&str, &IndexSegment)> = segments.iter().filter(|(name, _)| !self.has(name)).copied().collect();
        if new.is_empty() {
            return None;
        }
        let new_file_slices =
            new.iter().flat_map(|(_, segment)| segment.in_part(part)).map(|(file_slice, _)| file_slice);
        let file_slices: BTreeSet<FileSlice> = self.lists.file_slices.iter().copied().chain(new_file_slices).collect();
        // 32 bits are enough: an object cannot hold more file slices.
        let positions: HashMap<FileSlice, u32> = file_slices.iter().copied().zip(0..).collect();

        // For each key: the set of file slices that it had, and those that the new segments add. Many keys share such a pair, and
        // each distinct pair is held once.
        let position = |file_slice: FileSlice| positions.get(&file_slice).copied();
        let mut added: BTreeMap<KeyHash, Runs> = BTreeMap::new();
        for (file_slice, keys) in new.iter().flat_map(|(_, segment)| segment.in_part(part)) {
            let Some(position) = position(file_slice) else { continue };
            keys.for_each(|key| added.entry(key).or_default().insert(position));
        }
        let mut pairs: BTreeMap<(Option<u64>, Runs), usize> = BTreeMap::new();
        let mut pair_of: BTreeMap<KeyHash, usize> = BTreeMap::new();
        let had = self.keys.iter().map(|(key, set)| (key, Some(set), added.get(&key).cloned().unwrap_or_default()));
        let new_keys = added.iter().filter(|(key, _)| self.keys.get(**key).is_none());
        for (key, had, has) in had.chain(new_keys.map(|(key, has)| (*key, None, has.clone()))) {
            let next = pairs.len();
            pair_of.insert(key, *pairs.entry((had, has)).or_insert(next));
        }

        let mut sets: Vec<Runs> = vec![Runs::default(); pairs.len()];
        for ((had, mut has), number) in pairs {
            had.into_iter()
                .flat_map(|set| self.set(set))
                .filter_map(position)
                .for_each(|position| has.insert(position));
            sets[number] = has;
        }
        let numbers: BTreeMap<&Runs, u64> = sets.iter().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let set_of = |pair: usize| sets.get(pair).and_then(|set| numbers.get(set)).copied();
        let keys = KeyMap::default().with(&pair_of.iter().map(|(key, pair)| (*key, set_of(*pair))).collect());
        let sets: Vec<Runs> = numbers.into_keys().cloned().collect();
        let segments =
            self.lists.segments.iter().cloned().chain(new.iter().map(|(name, _)| (*name).to_owned())).collect();
        let file_slices = file_slices.into_iter().collect();
        Some(Self { lists: Lists { segments, file_slices, sets, keys: pair_of.len() }, keys })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test")]

    use super::*;
    use model::hash::HashKey;
    use model::layout::{FileId, ObjectLocation};
    use model::slice::SlicesPerHour;
    use model::time::TIME_MS_MIN;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    const FILE_SLICES: u8 = 9;
    const KEYS: u8 = 40;

    fn key(n: u8) -> KeyHash {
        HashKey::public().of(&n.to_string())
    }

    fn file_slice(n: u8) -> FileSlice {
        let file = FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: n.to_string() });
        FileSlice { slice: SlicesPerHour::default().slice_of(TIME_MS_MIN + i64::from(n % 2) * 3_600_000), file }
    }

    fn compacted(part: IndexPart, segments: &[(String, IndexSegment)], chunk: usize) -> CompactedSegment {
        let segments: Vec<_> = segments.iter().map(|(name, segment)| (name.as_str(), segment)).collect();
        segments.chunks(chunk).fold(CompactedSegment::default(), |compacted, segments| {
            let with = compacted.with(part, segments).unwrap();
            assert!(segments.iter().all(|(name, _)| with.has(name)));
            assert_eq!(with.with(part, segments), None);
            with
        })
    }

    proptest! {
        /// The order and the batches in which segments are compacted make no difference.
        #[test]
        fn all_compacted_parts_hold_what_the_segments_hold(
            segments in vec(vec((0..FILE_SLICES, btree_set(0..KEYS, 0..12)), 1..4), 1..9),
            wanted in btree_set(0..KEYS + 3, 0..5),
            chunk in 1..4_usize,
        ) {
            let segment = |(number, file_slices): (usize, &Vec<(u8, BTreeSet<u8>)>)| {
                let file_slices = file_slices.iter().map(|(of, keys)| (file_slice(*of), keys.iter().copied().map(key)));
                (number.to_string(), IndexSegment::decode(IndexSegment::encode(file_slices).unwrap()).unwrap())
            };
            let segments: Vec<(String, IndexSegment)> = segments.iter().enumerate().map(segment).collect();
            let wanted: BTreeSet<KeyHash> = wanted.into_iter().map(key).collect();
            let mut found = BTreeSet::new();
            for part in IndexPart::all() {
                let compacted = compacted(part, &segments, chunk);
                let mut others = segments.clone();
                others.reverse();
                prop_assert_eq!(&self::compacted(part, &others, 2), &compacted);
                let again = CompactedSegment::decode(compacted.encode().unwrap()).unwrap();
                prop_assert_eq!(&again, &compacted);
                found.extend(again.file_slices_with(&wanted).map(|(key, at)| (at, key)));
            }
            let expected = segments.iter().flat_map(|(_, segment)| segment.file_slices_with(&wanted));
            let expected: BTreeSet<(FileSlice, KeyHash)> = expected.map(|(key, at)| (at, key)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_daily_export_of_the_same_people_takes_one_set() {
        let people: Vec<KeyHash> = (0..KEYS).map(key).collect();
        let segments: Vec<(String, IndexSegment)> = (0..200)
            .map(|day| {
                let bytes = IndexSegment::encode([(file_slice(day), people.iter().copied())]).unwrap();
                (model::hash::content_name(&bytes), IndexSegment::decode(bytes).unwrap())
            })
            .collect();
        for part in people.iter().map(|key| key.index_part()) {
            let compacted = compacted(part, &segments, 17);
            assert_eq!(compacted.lists.sets, [(0..200).collect()]);
            let people = people.iter().copied().collect();
            let found = compacted.file_slices_with(&people);
            assert_eq!(found.map(|(_, at)| at).collect::<BTreeSet<_>>().len(), 200);
        }
    }

    #[test]
    fn damaged_compacted_segments_are_refused() {
        let segment = IndexSegment::encode([(file_slice(0), [key(1)])]).unwrap();
        let segments = [("0".to_owned(), IndexSegment::decode(segment).unwrap())];
        let whole = compacted(key(1).index_part(), &segments, 1);
        let bytes = whole.encode().unwrap();
        assert!((0..bytes.len()).all(|length| CompactedSegment::decode(bytes.slice(..length)).is_err()));
        let no_file_slice =
            CompactedSegment { lists: Lists { file_slices: Vec::new(), ..whole.lists.clone() }, ..whole.clone() };
        let no_set = CompactedSegment { lists: Lists { sets: Vec::new(), ..whole.lists.clone() }, ..whole };
        for unsound in [no_file_slice, no_set] {
            assert!(CompactedSegment::decode(unsound.encode().unwrap()).is_err());
        }
    }
}
