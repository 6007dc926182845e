//! A lake as a function sees it: its store, its catalog and its config.

use crate::catalog::Catalog;
use crate::compare_and_swap::{Change, Contended, compare_and_swap};
use crate::counters::Counters;
use crate::error_kind::{ErrorKind, Failure};
use crate::objects::{Store, StoreError};
use bytes::Bytes;
use futures::future::BoxFuture;
use model::hash::HashKey;
use model::lake_config::LakeConfig;
use model::layout::{FileId, LAKE_CONFIG, ObjectLocation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The default Glue database of the tables.
pub const DATABASE: &str = "stedi";

/// Which lake, and the config it is expected to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeSettings {
    /// The bucket of the lake. Landing files may be in other buckets; their events name them.
    pub lake_bucket: String,
    /// Must equal the stored lake config.
    pub config: LakeConfig,
    /// The secret with which the lake hashes emails, serial numbers and file names.
    pub hash_key: HashKey,
    /// The Glue database of its tables.
    pub database: String,
    /// The memory that a function has, in MiB. A landing file that would take too much of it is rejected.
    pub memory_mb: u32,
}

impl LakeSettings {
    /// The settings of a lake outside of AWS, with the default database.
    pub fn local(lake_bucket: impl Into<String>, config: LakeConfig, hash_key: HashKey) -> Self {
        let (lake_bucket, database) = (lake_bucket.into(), DATABASE.to_owned());
        Self { lake_bucket, config, hash_key, database, memory_mb: LOCAL_MEMORY_MB }
    }
}

/// The memory that the functions share outside of Lambda, in MiB.
pub const LOCAL_MEMORY_MB: u32 = 8_192;

/// A lake.
#[derive(Clone, Debug)]
pub struct Lake {
    /// Its objects.
    pub store: Store,
    /// Its tables.
    pub catalog: Catalog,
    /// Counts for the metrics. Clones share them.
    pub counters: Arc<Counters>,
    bucket: String,
    config: LakeConfig,
    hash_key: HashKey,
    memory_mb: u32,
    checked: Arc<OnceCell<()>>,
}

/// The format of stored objects. Functions refuse a lake with another format.
pub const FORMAT: u32 = 5;

/// The stored lake config.
#[derive(Serialize)]
struct StoredConfig {
    format: u32,
    #[serde(flatten)]
    made: Made,
}

/// What a lake was made with.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Made {
    #[serde(flatten)]
    config: LakeConfig,
    /// The fingerprint of the hash key.
    hash_key: String,
}

/// The format in a stored config. It is read first, because another format may have other settings.
#[derive(Deserialize)]
struct StoredFormat {
    #[serde(default = "first_format")]
    format: u32,
}

/// The format of a stored config that names none.
const fn first_format() -> u32 {
    1
}

/// Why a lake refuses to work with these settings.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other functions kept changing the lake config.
    #[error(transparent)]
    Contended(#[from] Contended),
    /// The lake was made with other settings.
    #[error(
        "lake {bucket} was made with {made}, but the settings are {given}; set what the lake has, or make a new lake"
    )]
    ConfigMismatch {
        /// The lake's bucket.
        bucket: String,
        /// What the lake was made with.
        made: LakeConfig,
        /// What the settings say.
        given: LakeConfig,
    },
    /// The lake was made with another hash key.
    #[error(
        "lake {bucket} was made with another HASH_KEY: its fingerprint is {made}, that of the settings is {given}; set the \
         key that the lake was made with"
    )]
    HashKeyMismatch {
        /// The lake's bucket.
        bucket: String,
        /// The fingerprint of the lake's key.
        made: String,
        /// The fingerprint of the key of the settings.
        given: String,
    },
    /// The lake was made by another version of this software.
    #[error(
        "lake {bucket} has stored format {made}, but this version of the software needs format {FORMAT}; use the version \
         that made the lake, or upload the landing files to a new lake"
    )]
    OtherFormat {
        /// The lake's bucket.
        bucket: String,
        /// The lake's format.
        made: u32,
    },
    /// The lake config is damaged.
    #[error("cannot read {location} as a lake config")]
    Unreadable {
        /// The lake config.
        location: ObjectLocation,
        /// Why.
        source: serde_json::Error,
    },
}

impl Failure for LakeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Contended(error) => error.kind(),
            Self::ConfigMismatch { .. }
            | Self::HashKeyMismatch { .. }
            | Self::OtherFormat { .. }
            | Self::Unreadable { .. } => ErrorKind::Misconfigured,
        }
    }
}

impl Lake {
    /// A lake with these settings. Its store and catalog count in `counters`.
    pub fn new(store: Store, catalog: Catalog, counters: Arc<Counters>, settings: &LakeSettings) -> Self {
        let LakeSettings { lake_bucket: bucket, config, hash_key, database: _, memory_mb } = settings.clone();
        Self { store, catalog, counters, bucket, config, hash_key, memory_mb, checked: Arc::default() }
    }

    /// The lake config.
    pub fn config(&self) -> LakeConfig {
        self.config
    }

    /// The lake's bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The secret with which the lake hashes emails, serial numbers and file names.
    pub fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    /// The id of a landing file.
    pub fn file_id(&self, landing: &ObjectLocation) -> FileId {
        FileId::of(&self.hash_key, landing)
    }

    /// The memory that a function has.
    pub fn memory_bytes(&self) -> usize {
        (self.memory_mb as usize) << 20
    }

    /// The location of a key of this lake.
    pub fn at(&self, key: impl Into<String>) -> ObjectLocation {
        ObjectLocation { bucket: self.bucket.clone(), key: key.into() }
    }

    /// Checks once that the stored lake config equals the settings. Stores it in a new lake.
    pub fn check(&self) -> BoxFuture<'_, Result<(), LakeError>> {
        Box::pin(async move { self.checked.get_or_try_init(|| self.check_now()).await.copied() })
    }

    async fn check_now(&self) -> Result<(), LakeError> {
        let location = self.at(LAKE_CONFIG);
        let unreadable = |source| LakeError::Unreadable { location: location.clone(), source };
        let bucket = self.bucket.clone();
        let given = Made { config: self.config, hash_key: self.hash_key.fingerprint() };
        let (_, made) = compare_and_swap(&self.store, &location, None, |stored| match stored.body {
            Some(body) => match serde_json::from_slice(&body).map_err(unreadable)? {
                StoredFormat { format: FORMAT } => {
                    serde_json::from_slice::<Made>(&body).map(Change::Keep).map_err(unreadable)
                }
                StoredFormat { format: made } => Err(LakeError::OtherFormat { bucket: bucket.clone(), made }),
            },
            None => {
                let stored = StoredConfig { format: FORMAT, made: given.clone() };
                let body = serde_json::to_vec(&stored).map_err(unreadable)?;
                Ok(Change::Put(Bytes::from(body), given.clone()))
            }
        })
        .await?;
        match (made.config == given.config, made.hash_key == given.hash_key) {
            (true, true) => Ok(()),
            (true, false) => Err(LakeError::HashKeyMismatch { bucket, made: made.hash_key, given: given.hash_key }),
            (false, _) => Err(LakeError::ConfigMismatch { bucket, made: made.config, given: given.config }),
        }
    }
}
