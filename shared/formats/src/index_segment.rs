//! An index segment: the keys of landing files that have too many keys for one index entry each.
//!
//! The keys are sorted hashes of fixed length, so a lookup is a binary search on the stored bytes.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::{IndexPart, KeyHash};
use model::layout::FileSlice;
use std::collections::BTreeSet;

const KEY_BYTES: usize = 16;

/// The keys of some files, by the slices in which they have readings. It never changes: its name is a hash of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSegment {
    file_slices: Vec<(FileSlice, Keys)>,
}

/// The sorted hashes of the keys of one file in one slice, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys(Bytes);

impl IndexSegment {
    /// Writes the keys in `file_slices` as an object.
    pub fn encode<K: IntoIterator<Item = KeyHash>>(
        file_slices: impl IntoIterator<Item = (FileSlice, K)>,
    ) -> Result<Bytes, Corrupt> {
        let (mut head, mut keys) = (Vec::new(), Vec::new());
        for (file_slice, in_slice) in file_slices {
            let in_slice: BTreeSet<KeyHash> = in_slice.into_iter().collect();
            head.push((file_slice, in_slice.len()));
            keys.extend(in_slice.into_iter().map(KeyHash::bytes));
        }
        let head = postcard::to_allocvec(&head).map_err(corrupt)?;
        Ok([&head, keys.as_flattened()].concat().into())
    }

    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (head, rest) = postcard::take_from_bytes::<Vec<(FileSlice, usize)>>(&bytes).map_err(corrupt)?;
        let mut rest = bytes.slice_ref(rest);
        let mut file_slices = Vec::with_capacity(head.len());
        for (file_slice, keys) in head {
            let length = keys.checked_mul(KEY_BYTES).filter(|length| *length <= rest.len());
            let keys = Keys(rest.split_to(length.ok_or_else(|| corrupt("it ends before its keys"))?));
            if !keys.all().is_sorted_by(|a, b| a < b) {
                return Err(corrupt("its keys are not in order"));
            }
            file_slices.push((file_slice, keys));
        }
        match rest.is_empty() {
            true => Ok(Self { file_slices }),
            false => Err(corrupt("it has bytes after its keys")),
        }
    }

    /// Returns the file slices that have one of the keys `wanted`, with the key.
    pub fn file_slices_with(&self, wanted: &BTreeSet<KeyHash>) -> impl Iterator<Item = (KeyHash, FileSlice)> {
        self.file_slices.iter().flat_map(|(file_slice, keys)| keys.among(wanted).map(|key| (key, *file_slice)))
    }

    /// Returns the keys that belong to `part` of the index, by file slice, without those that have none.
    pub(crate) fn in_part(&self, part: IndexPart) -> impl Iterator<Item = (FileSlice, impl Iterator<Item = KeyHash>)> {
        self.file_slices.iter().filter_map(move |(file_slice, keys)| {
            let keys = keys.in_part(part);
            (!keys.is_empty()).then(|| (*file_slice, keys.iter().map(|key| KeyHash::from_bytes(*key))))
        })
    }

    /// Returns how many bytes its keys take.
    pub fn size(&self) -> usize {
        self.file_slices.iter().map(|(_, keys)| keys.0.len()).sum()
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
    use model::hash::HashKey;
    use model::layout::{FileId, ObjectLocation};
    use model::slice::SlicesPerHour;
    use model::time::TIME_MS_MIN;
    use std::ops::Range;

    fn key(n: u32) -> KeyHash {
        HashKey::public().of(&n.to_string())
    }

    fn file_slice(name: &str) -> FileSlice {
        let file = FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: name.into() });
        FileSlice { slice: SlicesPerHour::default().slice_of(TIME_MS_MIN), file }
    }

    fn segment(file_slices: &[(&str, Range<u32>)]) -> Bytes {
        IndexSegment::encode(file_slices.iter().map(|(name, keys)| (file_slice(name), keys.clone().map(key)))).unwrap()
    }

    #[test]
    fn each_file_slice_has_its_keys_and_no_others() {
        let segment = IndexSegment::decode(segment(&[("a", 0..100), ("b", 50..60), ("none", 0..0)])).unwrap();
        for (wanted, file_slices) in [
            (0..1, vec!["a"]),
            (55..56, vec!["a", "b"]),
            (59..1000, vec!["a", "b"]),
            (60..1000, vec!["a"]),
            (100..1000, vec![]),
            (0..0, vec![]),
        ] {
            let keys = wanted.clone().map(key).collect();
            let found = segment.file_slices_with(&keys);
            let found: BTreeSet<FileSlice> = found.map(|(_, file_slice)| file_slice).collect();
            assert_eq!(found, file_slices.into_iter().map(file_slice).collect(), "{wanted:?}");
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
        let huge = postcard::to_allocvec(&[(file_slice("a"), usize::MAX)].to_vec()).unwrap();
        assert!(IndexSegment::decode(huge.into()).is_err());
    }
}
