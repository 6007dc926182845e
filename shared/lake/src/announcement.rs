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
use std::collections::{BTreeMap, BTreeSet};

/// Files with more keys than this get one bulk entry in the index instead of an entry for each key.
pub const INDEX_ENTRIES_MAX: usize = 16;

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
    /// Every key that any version of the file had.
    pub keys: BTreeMap<KeyHash, AnnouncedKey>,
}

/// What a file says of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedKey {
    /// The time of its latest reading in the announced version of the file; none if it no longer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ms: Option<i64>,
    /// The partitions it ever had readings in, by their place in the list of partitions.
    partitions: BTreeSet<u32>,
    /// Whether a replaced file ever had an earlier latest reading, or none, than the one before. Then the readers
    /// register cannot be kept by raising it: it has to be counted from all files of the key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lowered: bool,
}

impl Announcement {
    /// Reads an announcement's object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("announcement", error))
    }

    /// The announcement's object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("announcement", error))
    }

    /// What a file says that is not announced yet: nothing.
    pub fn nothing(landing: Place) -> Self {
        Self { landing, etag: String::new(), version: 0, partitions: Vec::new(), keys: BTreeMap::new() }
    }

    /// Announces the version `etag` of the file, after what was announced `before`.
    pub fn of<R: Reading>(before: Option<&Self>, landing: &Place, etag: &str, readings: &Readings<R>) -> Self {
        let mut partitions = before.map(|b| b.partitions.clone()).unwrap_or_default();
        let mut keys = before.map(|b| b.keys.clone()).unwrap_or_default();
        keys.values_mut().for_each(|key| key.latest_ms = None);
        for (partition, range) in readings.partitions() {
            let place = partitions.iter().position(|known| *known == partition).unwrap_or_else(|| {
                partitions.push(partition);
                partitions.len() - 1
            });
            // By place first: a file has far fewer keys than rows.
            let mut latest = vec![None; readings.keys().len()];
            for row in &readings.rows()[range] {
                latest[row.key as usize] = Some(row.time_ms);
            }
            for (key, time_ms) in readings.keys().iter().zip(latest).filter(|(_, time_ms)| time_ms.is_some()) {
                let key = keys.entry(key.hash).or_default();
                key.latest_ms = key.latest_ms.max(time_ms);
                key.partitions.insert(place as u32);
            }
        }
        for (hash, was) in before.iter().flat_map(|before| &before.keys) {
            if let Some(key) = keys.get_mut(hash) {
                key.lowered |= key.latest_ms < was.latest_ms;
            }
        }
        let version = before.map_or(0, |before| before.version) + 1;
        Self { landing: landing.clone(), etag: etag.to_owned(), version, partitions, keys }
    }

    /// The keys that ever had readings in the partition at place `partition`.
    pub fn keys_in(&self, partition: usize) -> impl Iterator<Item = KeyHash> {
        self.keys.iter().filter(move |(_, key)| key.partitions.contains(&(partition as u32))).map(|(hash, _)| *hash)
    }

    /// Whether the file gets one bulk entry in the index.
    pub fn is_bulk(&self) -> bool {
        self.keys.len() > INDEX_ENTRIES_MAX
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
