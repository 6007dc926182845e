//! An index segment: the keys of landing files that have too many keys for one index entry each.
//!
//! The keys are sorted hashes of fixed length, so a lookup is a binary search on the stored bytes.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::{IndexPart, KeyHash};
use model::layout::FileHour;
use std::collections::BTreeSet;

const KEY_BYTES: usize = 16;

/// The keys of some files, by the hours in which they have readings. It never changes: its name is a hash of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSegment {
    file_hours: Vec<(FileHour, Keys)>,
}

/// The sorted hashes of the keys of one file in one hour, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys(Bytes);

impl IndexSegment {
    /// Writes the keys in `file_hours` as an object.
    pub fn encode<K: IntoIterator<Item = KeyHash>>(
        file_hours: impl IntoIterator<Item = (FileHour, K)>,
    ) -> Result<Bytes, Corrupt> {
        let (mut head, mut keys) = (Vec::new(), Vec::new());
        for (file_hour, in_hour) in file_hours {
            let in_hour: BTreeSet<KeyHash> = in_hour.into_iter().collect();
            head.push((file_hour, in_hour.len()));
            keys.extend(in_hour.into_iter().map(KeyHash::bytes));
        }
        let head = postcard::to_allocvec(&head).map_err(corrupt)?;
        Ok([&head, keys.as_flattened()].concat().into())
    }

    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (head, rest) = postcard::take_from_bytes::<Vec<(FileHour, usize)>>(&bytes).map_err(corrupt)?;
        let mut rest = bytes.slice_ref(rest);
        let mut file_hours = Vec::with_capacity(head.len());
        for (file_hour, keys) in head {
            let length = keys.checked_mul(KEY_BYTES).filter(|length| *length <= rest.len());
            let keys = Keys(rest.split_to(length.ok_or_else(|| corrupt("it ends before its keys"))?));
            if !keys.all().is_sorted_by(|a, b| a < b) {
                return Err(corrupt("its keys are not in order"));
            }
            file_hours.push((file_hour, keys));
        }
        match rest.is_empty() {
            true => Ok(Self { file_hours }),
            false => Err(corrupt("it has bytes after its keys")),
        }
    }

    /// Returns the file hours that have one of the keys `wanted`, with the key.
    pub fn file_hours_with(&self, wanted: &BTreeSet<KeyHash>) -> impl Iterator<Item = (KeyHash, FileHour)> {
        self.file_hours.iter().flat_map(|(file_hour, keys)| keys.among(wanted).map(|key| (key, *file_hour)))
    }

    /// Returns the keys that belong to `part` of the index, by file hour, without those that have none.
    pub(crate) fn in_part(&self, part: IndexPart) -> impl Iterator<Item = (FileHour, impl Iterator<Item = KeyHash>)> {
        self.file_hours.iter().filter_map(move |(file_hour, keys)| {
            let keys = keys.in_part(part);
            (!keys.is_empty()).then(|| (*file_hour, keys.iter().map(|key| KeyHash::from_bytes(*key))))
        })
    }

    /// Returns how many bytes its keys take.
    pub fn size(&self) -> usize {
        self.file_hours.iter().map(|(_, keys)| keys.0.len()).sum()
    }
}

fn corrupt(why: impl std::fmt::Display) -> Corrupt {
    Corrupt::new("index segment", why)
}

impl Keys {
    /// Returns those of the keys `wanted` that are here.
    fn among(&self, wanted: &BTreeSet<KeyHash>) -> impl Iterator<Item = KeyHash> {
        let (few, many) = match wanted.len() < self.all().len() {
            true => (Some(wanted.iter().copied()), None),
            false => (None, Some(self.all().iter().map(|key| KeyHash::from_bytes(*key)))),
        };
        let few = few.into_iter().flatten().filter(|key| self.all().binary_search(&key.bytes()).is_ok());
        few.chain(many.into_iter().flatten().filter(|key| wanted.contains(key)))
    }

    fn in_part(&self, part: IndexPart) -> &[[u8; KEY_BYTES]] {
        let all = self.all();
        let part_of = |key: &[u8; KEY_BYTES]| KeyHash::from_bytes(*key).index_part();
        let start = all.partition_point(|key| part_of(key) < part);
        let end = all.partition_point(|key| part_of(key) <= part);
        &all[start..end]
    }

    fn all(&self) -> &[[u8; KEY_BYTES]] {
        self.0.as_chunks().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::layout::{FileId, ObjectLocation};
    use model::time::{Partition, TIME_MS_MIN};
    use std::ops::Range;

    fn key(n: u32) -> KeyHash {
        KeyHash::of(&n.to_string())
    }

    fn file_hour(name: &str) -> FileHour {
        let file = FileId::of(&ObjectLocation { bucket: "b".into(), key: name.into() });
        FileHour { partition: Partition::of(TIME_MS_MIN), file }
    }

    fn segment(file_hours: &[(&str, Range<u32>)]) -> Bytes {
        IndexSegment::encode(file_hours.iter().map(|(name, keys)| (file_hour(name), keys.clone().map(key)))).unwrap()
    }

    #[test]
    fn each_file_hour_has_its_keys_and_no_others() {
        let segment = IndexSegment::decode(segment(&[("a", 0..100), ("b", 50..60), ("none", 0..0)])).unwrap();
        for (wanted, file_hours) in [
            (0..1, vec!["a"]),
            (55..56, vec!["a", "b"]),
            (59..1000, vec!["a", "b"]),
            (60..1000, vec!["a"]),
            (100..1000, vec![]),
            (0..0, vec![]),
        ] {
            let keys = wanted.clone().map(key).collect();
            let found = segment.file_hours_with(&keys);
            let found: Vec<FileHour> =
                found.map(|(_, file_hour)| file_hour).collect::<BTreeSet<_>>().into_iter().collect();
            assert_eq!(found, file_hours.iter().map(|name| file_hour(name)).collect::<Vec<_>>(), "{wanted:?}");
        }
    }

    #[test]
    fn damaged_segments_are_refused() {
        let bytes = segment(&[("a", 0..2), ("b", 0..3)]);
        assert!((0..bytes.len()).all(|length| IndexSegment::decode(bytes.slice(..length)).is_err()));
        assert!(IndexSegment::decode([&bytes[..], &[0]].concat().into()).is_err());
        let mut swapped = bytes.to_vec();
        let last_key = bytes.len() - KEY_BYTES;
        swapped[last_key - KEY_BYTES..].rotate_left(KEY_BYTES);
        assert!(IndexSegment::decode(swapped.into()).is_err());
        let huge = postcard::to_allocvec(&[(file_hour("a"), usize::MAX)].to_vec()).unwrap();
        assert!(IndexSegment::decode(huge.into()).is_err());
    }
}
