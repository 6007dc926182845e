//! Manifests: the generation of a landing file, and everything that it may touch.
//!
//! A function writes the manifest of a file before it writes a row of the file. The manifest names what all versions of the
//! file touched. So a function that was killed and starts again knows every cell, or every shard, that may have rows of the
//! file.

use crate::Corrupt;
use bytes::Bytes;
use model::layout::ObjectLocation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The manifest of a landing file. A file of readings touches slices, a customer file touches shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct FileManifest<T> {
    /// The location of the landing file.
    pub landing: ObjectLocation,
    /// The version of the file that it describes.
    pub etag: String,
    /// When S3 stored this version. Only customer files have it: what their records say may depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_ms: Option<i64>,
    /// Why this version cannot be decoded, if so. A function with more memory may be able to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecodable: Option<String>,
    /// Counts the versions of the file from 1. The same content may get several generations.
    pub generation: u64,
    /// What any version of the file touches. Nothing is ever removed.
    pub touched: BTreeSet<T>,
}

impl<T: Ord + Serialize + DeserializeOwned> FileManifest<T> {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        serde_json::from_slice(bytes).map_err(|error| Corrupt::new("manifest", error))
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| Corrupt::new("manifest", error))
    }
}
