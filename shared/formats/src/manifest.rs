//! What a landing file may touch, said in the lake before anything is touched.
//!
//! A function that was killed comes back with its event, not with its memory. So before it reads whom to trust, it
//! announces which keys and partitions its file has, and had in earlier versions. Either a later change of trust finds
//! the manifest, or the function sees the change; and whoever derives the file again knows every output it has.

use crate::Corrupt;
use crate::reading::{Reading, Readings};
use bytes::Bytes;
use model::hash::{KeyHash, Shard};
use model::layout::ObjectLocation;
use model::time::Partition;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// What a file of readings may touch. Only ever grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileManifest {
    /// Where the file landed.
    pub landing: ObjectLocation,
    /// The version of the file that was manifest last.
    pub etag: String,
    /// Counts the versions of the file that were manifest, from 1; of one and the same content perhaps several.
    pub generation: u64,
    /// Every partition that any version of the file had readings in.
    pub partitions: Vec<Partition>,
    keys: Vec<ManifestKey>,
    /// Of each partition, the places of the keys that ever had readings in it.
    keys_in: Vec<Vec<u32>>,
}

/// What a file says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestKey {
    /// The key.
    pub hash: KeyHash,
    /// The time of its latest reading in the manifest version of the file; none if it no longer has one.
    pub latest_ms: Option<i64>,
    /// Whether a replaced file ever had an earlier latest reading, or none, than the one before. Then the latest_readings
    /// register cannot be kept by raising it: it has to be counted from all files of the key.
    pub lowered: bool,
}

impl FileManifest {
    /// Reads an manifest's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why: &dyn std::fmt::Display| Corrupt::new("manifest", why);
        let (manifest, rest): (Self, _) = postcard::take_from_bytes(bytes).map_err(|error| corrupt(&error))?;
        let Self { partitions, keys, keys_in, .. } = &manifest;
        let is_key = |place: &u32| (*place as usize) < keys.len();
        if !rest.is_empty() || partitions.len() != keys_in.len() || !keys_in.iter().flatten().all(is_key) {
            return Err(corrupt(&"its keys and partitions do not go together"));
        }
        Ok(manifest)
    }

    /// The manifest's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        postcard::to_allocvec(self).map(Bytes::from).map_err(|error| Corrupt::new("manifest", error))
    }

    /// What a file says that is not manifest yet: nothing.
    pub fn nothing(landing: ObjectLocation) -> Self {
        let (partitions, keys, keys_in) = Default::default();
        Self { landing, etag: String::new(), generation: 0, partitions, keys, keys_in }
    }

    /// Announces the version `etag` of the file, after what was manifest `before`.
    pub fn of<R: Reading>(before: Option<&Self>, landing: &ObjectLocation, etag: &str, readings: &Readings<R>) -> Self {
        let mut manifest = before.cloned().unwrap_or_else(|| Self::nothing(landing.clone()));
        manifest.landing.clone_from(landing);
        etag.clone_into(&mut manifest.etag);
        manifest.generation += 1;
        manifest.keys.iter_mut().for_each(|key| key.latest_ms = None);
        // The places of the file's keys. Those of a file's first version are as in the file.
        let known: HashMap<KeyHash, u32> = manifest.keys.iter().map(|key| key.hash).zip(0..).collect();
        let mut places = Vec::with_capacity(readings.keys().len());
        for key in readings.keys() {
            places.push(known.get(&key.hash).copied().unwrap_or_else(|| {
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
            manifest.keys_in[of_partition].iter().for_each(|place| keys_in[*place as usize] = true);
            for row in &readings.rows()[range] {
                let place = places[row.key as usize] as usize;
                keys_in[place] = true;
                // Rows are in the order of time.
                manifest.keys[place].latest_ms = Some(row.time_ms);
            }
            let keys_in = (0..).zip(keys_in).filter_map(|(place, is_in)| is_in.then_some(place));
            manifest.keys_in[of_partition] = keys_in.collect();
        }
        for (was, is) in before.iter().flat_map(|before| &before.keys).zip(&mut manifest.keys) {
            is.lowered |= is.latest_ms < was.latest_ms;
        }
        manifest
    }

    /// Every key that any version of the file had.
    pub fn keys(&self) -> &[ManifestKey] {
        &self.keys
    }

    /// The hashes of the keys.
    pub fn hashes(&self) -> impl Iterator<Item = KeyHash> {
        self.keys.iter().map(|key| key.hash)
    }

    /// The keys that ever had readings in the partition at place `partition`.
    pub fn keys_in(&self, partition: usize) -> impl Iterator<Item = KeyHash> {
        self.keys_in[partition].iter().map(|place| self.keys[*place as usize].hash)
    }
}

/// What a customer file may touch. Only ever grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFileManifest {
    /// Where the file landed.
    pub landing: ObjectLocation,
    /// Every shard that any version of the file had customers in.
    pub shards: BTreeSet<Shard>,
}

impl CustomerFileManifest {
    /// Reads an manifest's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("customer manifest", error))
    }

    /// The manifest's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("customer manifest", error))
    }
}
