//! An index segment: the keys of landing files that have too many keys for one index entry each.
//!
//! The keys are sorted hashes of fixed length, so a lookup is a binary search on the stored bytes.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::{IndexPart, KeyHash};
use model::layout::FileName;
use std::collections::BTreeSet;

const KEY_BYTES: usize = 16;

/// The keys of some files. It never changes: its name is a hash of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSegment {
    files: Vec<(FileName, Keys)>,
}

/// The sorted hashes of a file's keys, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys(Bytes);

impl IndexSegment {
    /// Writes the keys of `files` as an object.
    pub fn encode<K: Iterator<Item = KeyHash>>(
        files: impl IntoIterator<Item = (FileName, K)>,
    ) -> Result<Bytes, Corrupt> {
        let (mut head, mut keys) = (Vec::new(), Vec::new());
        for (file, of_file) in files {
            let of_file: BTreeSet<KeyHash> = of_file.collect();
            head.push((file, of_file.len()));
            keys.extend(of_file.into_iter().map(KeyHash::bytes));
        }
        let head = postcard::to_allocvec(&head).map_err(corrupt)?;
        Ok([&head, keys.as_flattened()].concat().into())
    }

    /// Reads an object.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let (head, rest) = postcard::take_from_bytes::<Vec<(FileName, usize)>>(&bytes).map_err(corrupt)?;
        let mut rest = bytes.slice_ref(rest);
        let mut files = Vec::with_capacity(head.len());
        for (file, keys) in head {
            let length = keys.checked_mul(KEY_BYTES).filter(|length| *length <= rest.len());
            let keys = Keys(rest.split_to(length.ok_or_else(|| corrupt("it ends before its keys"))?));
            if !keys.all().is_sorted_by(|a, b| a < b) {
                return Err(corrupt("its keys are not in order"));
            }
            files.push((file, keys));
        }
        match rest.is_empty() {
            true => Ok(Self { files }),
            false => Err(corrupt("it has bytes after its keys")),
        }
    }

    /// Returns the files that have one of the keys `wanted`.
    pub fn files_with(&self, wanted: &BTreeSet<KeyHash>) -> impl Iterator<Item = &FileName> {
        self.files.iter().filter(|(_, keys)| keys.has_any(wanted)).map(|(file, _)| file)
    }

    /// Returns the keys that belong to `part` of the index, by file, without the files that have none.
    pub(crate) fn in_part(&self, part: IndexPart) -> impl Iterator<Item = (&FileName, impl Iterator<Item = KeyHash>)> {
        self.files.iter().filter_map(move |(file, keys)| {
            let keys = keys.in_part(part);
            (!keys.is_empty()).then(|| (file, keys.iter().map(|key| KeyHash::from_bytes(*key))))
        })
    }

    /// Returns how many bytes its keys take.
    pub fn size(&self) -> usize {
        self.files.iter().map(|(_, keys)| keys.0.len()).sum()
    }
}

fn corrupt(why: impl std::fmt::Display) -> Corrupt {
    Corrupt::new("index segment", why)
}

impl Keys {
    fn has_any(&self, wanted: &BTreeSet<KeyHash>) -> bool {
        match wanted.len() < self.all().len() {
            true => wanted.iter().any(|key| self.all().binary_search(&key.bytes()).is_ok()),
            false => self.all().iter().any(|key| wanted.contains(&KeyHash::from_bytes(*key))),
        }
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
    use model::layout::ObjectLocation;
    use std::ops::Range;

    fn key(n: u32) -> KeyHash {
        KeyHash::of(&n.to_string())
    }

    fn file(name: &str) -> FileName {
        FileName::of(&ObjectLocation { bucket: "b".into(), key: name.into() })
    }

    fn segment(files: &[(&str, Range<u32>)]) -> Bytes {
        IndexSegment::encode(files.iter().map(|(name, keys)| (file(name), keys.clone().map(key)))).unwrap()
    }

    #[test]
    fn each_file_has_its_keys_and_no_others() {
        let segment = IndexSegment::decode(segment(&[("a", 0..100), ("b", 50..60), ("none", 0..0)])).unwrap();
        for (wanted, files) in [
            (0..1, vec!["a"]),
            (55..56, vec!["a", "b"]),
            (59..1000, vec!["a", "b"]),
            (60..1000, vec!["a"]),
            (100..1000, vec![]),
            (0..0, vec![]),
        ] {
            let found: Vec<&FileName> = segment.files_with(&wanted.clone().map(key).collect()).collect();
            assert_eq!(
                found,
                files.iter().map(|name| file(name)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
                "{wanted:?}"
            );
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
        let huge = postcard::to_allocvec(&[(file("a"), usize::MAX)].to_vec()).unwrap();
        assert!(IndexSegment::decode(huge.into()).is_err());
    }
}
