//! Manifests: the generation of a landing file, and everything that it may touch.
//!
//! A function writes the manifest of a file before it writes a row of the file. The manifest names what all versions of the
//! file touched. So a function that was killed and starts again knows every cell, or every shard, that may have rows of the
//! file.

use crate::Corrupt;
use bytes::Bytes;
use model::hash::Shard;
use model::layout::ObjectLocation;
use model::slice::Slice;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The manifest of a file of readings. Its slices are never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileManifest {
    /// The location of the landing file.
    pub landing: ObjectLocation,
    /// The version of the file that it describes.
    pub etag: String,
    /// Counts the versions of the file from 1. The same content may get several generations.
    pub generation: u64,
    /// The slices in which any version of the file has readings.
    pub slices: BTreeSet<Slice>,
}

/// The manifest of a customer file. Its shards are never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFileManifest {
    /// The location of the landing file.
    pub landing: ObjectLocation,
    /// The shards in which any version of the file has customers.
    pub shards: BTreeSet<Shard>,
}

impl FileManifest {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        decode(bytes)
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        encode(self)
    }
}

impl CustomerFileManifest {
    /// Reads an object.
    pub fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        decode(bytes)
    }

    /// Writes the object.
    pub fn encode(&self) -> Result<Bytes, Corrupt> {
        encode(self)
    }
}

fn decode<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Corrupt> {
    serde_json::from_slice(bytes).map_err(|error| Corrupt::new("manifest", error))
}

fn encode<T: Serialize>(manifest: &T) -> Result<Bytes, Corrupt> {
    serde_json::to_vec(manifest).map(Bytes::from).map_err(|error| Corrupt::new("manifest", error))
}
