//! What a landing file may touch, said in the lake before anything is touched.
//!
//! A function that was killed comes back with its event, not with its memory. So before it reads whom to trust, it
//! announces which keys and partitions its file has, and had in earlier versions. Either a later change of trust finds
//! the announcement, or the function sees the change; and whoever derives the file again knows every output it has.

use crate::Corrupt;
use crate::hash::{KeyHash, Shard};
use crate::layout::Place;
use crate::reading::{Reading, Readings};
use crate::time::Partition;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// What a file of readings may touch. Only ever grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Where the file landed.
    pub landing: Place,
    /// The version of the file that was announced last.
    pub etag: String,
    /// Counts the versions of the file that were announced, from 1; of one and the same content perhaps several.
    pub version: u64,
    /// Every partition that any version of the file had readings in.
    pub partitions: Vec<Partition>,
    keys: Vec<AnnouncedKey>,
    /// Of each partition, the places of the keys that ever had readings in it.
    keys_in: Vec<Vec<u32>>,
}

/// What a file says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedKey {
    /// The key.
    pub hash: KeyHash,
    /// The time of its latest reading in the announced version of the file; none if it no longer has one.
    pub latest_ms: Option<i64>,
    /// Whether a replaced file ever had an earlier latest reading, or none, than the one before. Then the readers
    /// register cannot be kept by raising it: it has to be counted from all files of the key.
    pub lowered: bool,
}

impl Announcement {
    /// Reads an announcement's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why: &dyn std::fmt::Display| Corrupt::new("announcement", why);
        let (announcement, rest): (Self, _) = postcard::take_from_bytes(bytes).map_err(|error| corrupt(&error))?;
        let Self { partitions, keys, keys_in, .. } = &announcement;
        let is_key = |place: &u32| (*place as usize) < keys.len();
        if !rest.is_empty() || partitions.len() != keys_in.len() || !keys_in.iter().flatten().all(is_key) {
            return Err(corrupt(&"its keys and partitions do not go together"));
        }
        Ok(announcement)
    }

    /// The announcement's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        postcard::to_allocvec(self).map(Bytes::from).map_err(|error| Corrupt::new("announcement", error))
    }

    /// What a file says that is not announced yet: nothing.
    pub fn nothing(landing: Place) -> Self {
        let (partitions, keys, keys_in) = Default::default();
        Self { landing, etag: String::new(), version: 0, partitions, keys, keys_in }
    }

    /// Announces the version `etag` of the file, after what was announced `before`.
    pub fn of<R: Reading>(before: Option<&Self>, landing: &Place, etag: &str, readings: &Readings<R>) -> Self {
        let mut announced = before.cloned().unwrap_or_else(|| Self::nothing(landing.clone()));
        announced.landing.clone_from(landing);
        etag.clone_into(&mut announced.etag);
        announced.version += 1;
        announced.keys.iter_mut().for_each(|key| key.latest_ms = None);
        // The places of the file's keys. Those of a file's first version are as in the file.
        let known: HashMap<KeyHash, u32> = announced.keys.iter().map(|key| key.hash).zip(0..).collect();
        let mut places = Vec::with_capacity(readings.keys().len());
        for key in readings.keys() {
            places.push(known.get(&key.hash).copied().unwrap_or_else(|| {
                announced.keys.push(AnnouncedKey { hash: key.hash, latest_ms: None, lowered: false });
                // A file has fewer keys than bytes.
                announced.keys.len() as u32 - 1
            }));
        }
        for (partition, range) in readings.partitions() {
            let of_partition = announced.partitions.iter().position(|known| *known == partition).unwrap_or_else(|| {
                announced.partitions.push(partition);
                announced.keys_in.push(Vec::new());
                announced.partitions.len() - 1
            });
            let mut keys_in = vec![false; announced.keys.len()];
            announced.keys_in[of_partition].iter().for_each(|place| keys_in[*place as usize] = true);
            for row in &readings.rows()[range] {
                let place = places[row.key as usize] as usize;
                keys_in[place] = true;
                // Rows are in the order of time.
                announced.keys[place].latest_ms = Some(row.time_ms);
            }
            let keys_in = (0..).zip(keys_in).filter_map(|(place, is_in)| is_in.then_some(place));
            announced.keys_in[of_partition] = keys_in.collect();
        }
        for (was, is) in before.iter().flat_map(|before| &before.keys).zip(&mut announced.keys) {
            is.lowered |= is.latest_ms < was.latest_ms;
        }
        announced
    }

    /// Every key that any version of the file had.
    pub fn keys(&self) -> &[AnnouncedKey] {
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
pub struct CustomerAnnouncement {
    /// Where the file landed.
    pub landing: Place,
    /// Every shard that any version of the file had customers in.
    pub shards: BTreeSet<Shard>,
}

impl CustomerAnnouncement {
    /// Reads an announcement's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("customer announcement", error))
    }

    /// The announcement's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("customer announcement", error))
    }
}
