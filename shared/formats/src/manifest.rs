//! Manifests: the keys and partitions that a landing file may touch.
//!
//! A function writes the manifest before it reads any customer shard. The manifest lists the keys and partitions of all
//! versions of the file. So a change of consent cannot be missed: either the function reads the change, or the change finds
//! the manifest and reprocesses the file. And a function that was killed and starts again knows every output of the file.

use crate::Corrupt;
use crate::reading::{Reading, Readings};
use bytes::Bytes;
use model::hash::{KeyHash, Shard};
use model::layout::ObjectLocation;
use model::time::Partition;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The manifest of a file of readings. Its keys and partitions are never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileManifest {
    /// The location of the landing file.
    pub landing: ObjectLocation,
    /// The file's version for which the manifest was last written.
    pub etag: String,
    /// How often the manifest was written; 1 is the first time. The same content may get several generations.
    pub generation: u64,
    /// The partitions in which any version of the file has readings.
    pub partitions: Vec<Partition>,
    keys: Vec<ManifestKey>,
    /// For each partition, the positions in `keys` of the keys that ever had readings in it.
    keys_in: Vec<Vec<u32>>,
}

/// What a manifest says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestKey {
    /// The key.
    pub hash: KeyHash,
    /// The time of its latest reading in the current version of the file; `None` if that version has none.
    pub latest_ms: Option<i64>,
    /// Whether a new version of the file ever moved the latest reading to an earlier time, or removed it. Then raising the
    /// latest-reading index is not enough: its time must be counted from all files of the key.
    pub lowered: bool,
}

impl FileManifest {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why: &dyn std::fmt::Display| Corrupt::new("manifest", why);
        let (manifest, rest): (Self, _) = postcard::take_from_bytes(bytes).map_err(|error| corrupt(&error))?;
        let Self { partitions, keys, keys_in, .. } = &manifest;
        let is_key = |position: &u32| (*position as usize) < keys.len();
        if !rest.is_empty() || partitions.len() != keys_in.len() || !keys_in.iter().flatten().all(is_key) {
            return Err(corrupt(&"its keys and partitions do not match"));
        }
        Ok(manifest)
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        postcard::to_allocvec(self).map(Bytes::from).map_err(|error| Corrupt::new("manifest", error))
    }

    /// Returns the empty manifest of a file that has none yet.
    pub fn nothing(landing: ObjectLocation) -> Self {
        let (partitions, keys, keys_in) = Default::default();
        Self { landing, etag: String::new(), generation: 0, partitions, keys, keys_in }
    }

    /// Returns the manifest for version `etag` of the file, given the manifest `before` it.
    pub fn of<R: Reading>(before: Option<&Self>, landing: &ObjectLocation, etag: &str, readings: &Readings<R>) -> Self {
        let mut manifest = before.cloned().unwrap_or_else(|| Self::nothing(landing.clone()));
        manifest.landing.clone_from(landing);
        etag.clone_into(&mut manifest.etag);
        manifest.generation += 1;
        manifest.keys.iter_mut().for_each(|key| key.latest_ms = None);
        // The position in the manifest of each of the file's keys. For a file's first version they are the same.
        let known: HashMap<KeyHash, u32> = manifest.keys.iter().map(|key| key.hash).zip(0..).collect();
        let mut positions = Vec::with_capacity(readings.keys().len());
        for key in readings.keys() {
            positions.push(known.get(&key.hash).copied().unwrap_or_else(|| {
                manifest.keys.push(ManifestKey { hash: key.hash, latest_ms: None, lowered: false });
                // A file has fewer keys than bytes.
                manifest.keys.len() as u32 - 1
            }));
        }
        for (partition, range) in readings.partitions() {
            let of_partition = manifest.partitions.iter().position(|known| *known == partition).unwrap_or_else(|| {
                manifest.partitions.push(partition);
                manifest.keys_in.push(Vec::new());
                manifest.partitions.len() - 1
            });
            let mut keys_in = vec![false; manifest.keys.len()];
            manifest.keys_in[of_partition].iter().for_each(|position| keys_in[*position as usize] = true);
            for row in &readings.rows()[range] {
                let position = positions[row.key as usize] as usize;
                keys_in[position] = true;
                // Rows are sorted by time, so the last one is the latest.
                manifest.keys[position].latest_ms = Some(row.time_ms);
            }
            let keys_in = (0..).zip(keys_in).filter_map(|(position, is_in)| is_in.then_some(position));
            manifest.keys_in[of_partition] = keys_in.collect();
        }
        for (was, is) in before.iter().flat_map(|before| &before.keys).zip(&mut manifest.keys) {
            is.lowered |= is.latest_ms < was.latest_ms;
        }
        manifest
    }

    /// Returns the keys that any version of the file has.
    pub fn keys(&self) -> &[ManifestKey] {
        &self.keys
    }

    /// Returns the hashes of the keys.
    pub fn hashes(&self) -> impl Iterator<Item = KeyHash> {
        self.keys.iter().map(|key| key.hash)
    }

    /// Returns the keys that ever had readings in the partition at position `partition`.
    pub fn keys_in(&self, partition: usize) -> impl Iterator<Item = KeyHash> {
        self.keys_in[partition].iter().map(|position| self.keys[*position as usize].hash)
    }
}

/// The manifest of a customer file. Its shards are never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFileManifest {
    /// The location of the landing file.
    pub landing: ObjectLocation,
    /// The shards in which any version of the file has customers.
    pub shards: BTreeSet<Shard>,
}

impl CustomerFileManifest {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("customer manifest", error))
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("customer manifest", error))
    }
}
