//! A lake as a function sees it: its store, its catalog, and what it was made with.

use crate::catalog::Catalog;
use crate::counters::Counters;
use crate::objects::{Read, Store, StoreError, Version};
use bytes::Bytes;
use futures::future::BoxFuture;
use model::lake_config::LakeConfig;
use model::layout::{LAKE_CONFIG, ObjectLocation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The database of the tables, unless a setting says otherwise.
pub const DATABASE: &str = "stedi";

/// Which lake, and what it was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeSettings {
    /// The bucket of the lake. Landing files may be in other buckets: their events say where.
    pub lake_bucket: String,
    /// Must be what the lake was made with.
    pub config: LakeConfig,
    /// The Glue database of its tables.
    pub database: String,
}

/// A lake.
#[derive(Clone, Debug)]
pub struct Lake {
    /// Where its objects are.
    pub store: Store,
    /// Where its tables are registered.
    pub catalog: Catalog,
    /// What is done through it, for the metrics. Clones count together.
    pub counters: Arc<Counters>,
    bucket: String,
    config: LakeConfig,
    checked: Arc<OnceCell<()>>,
}

/// The format of what functions keep in a lake for each other. Another cannot be read.
const FORMAT: u32 = 5;

/// The record of a lake's settings.
#[derive(Serialize, Deserialize)]
struct Made {
    #[serde(default = "first_format")]
    format: u32,
    #[serde(flatten)]
    config: LakeConfig,
}

/// The format of lakes whose records name none.
const fn first_format() -> u32 {
    1
}

/// Why a lake cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lake was made with other settings.
    #[error(
        "lake {bucket} was made with CUSTOMER_SHARDS={} and CONSENT_POLICY={}, but the settings are \
         CUSTOMER_SHARDS={} and CONSENT_POLICY={}; set what the lake has, or make a new lake",
        .made.customer_shards.get(), .made.consent_policy, .given.customer_shards.get(), .given.consent_policy
    )]
    ConfigMismatch {
        /// The lake's bucket.
        bucket: String,
        /// What the lake was made with.
        made: LakeConfig,
        /// What the settings say.
        given: LakeConfig,
    },
    /// The lake was made by another version of this software.
    #[error(
        "lake {bucket} was made by another version of this software: what it keeps has format {made}, this version's has \
         {FORMAT}; go on with that version, or land the files in a new lake"
    )]
    OtherFormat {
        /// The lake's bucket.
        bucket: String,
        /// The format of what it keeps.
        made: u32,
    },
    /// The lake's record of its settings cannot be read.
    #[error("{location} is no record of a lake's settings: {cause}")]
    Unreadable {
        /// The record.
        location: ObjectLocation,
        /// Why.
        cause: String,
    },
}

impl Lake {
    /// A lake with these settings, whose store and catalog count in `counters`.
    pub fn new(store: Store, catalog: Catalog, counters: Arc<Counters>, settings: &LakeSettings) -> Self {
        let (bucket, config) = (settings.lake_bucket.clone(), settings.config);
        Self { store, catalog, counters, bucket, config, checked: Arc::default() }
    }

    /// What the lake was made with.
    pub fn config(&self) -> LakeConfig {
        self.config
    }

    /// The lake's bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The location of a key of this lake.
    pub fn at(&self, key: impl Into<String>) -> ObjectLocation {
        ObjectLocation { bucket: self.bucket.clone(), key: key.into() }
    }

    /// Checks once that the lake was made with these settings; records them in a lake that is new.
    pub fn check(&self) -> BoxFuture<'_, Result<(), LakeError>> {
        Box::pin(async move { self.checked.get_or_try_init(|| self.check_now()).await.copied() })
    }

    async fn check_now(&self) -> Result<(), LakeError> {
        let location = self.at(LAKE_CONFIG);
        let unreadable = |cause: String| LakeError::Unreadable { location: location.clone(), cause };
        loop {
            if let Read::Found { body, .. } = self.store.read(&location, None).await? {
                let Made { format, config: made } =
                    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
                let (bucket, given) = (self.bucket.clone(), self.config);
                if format != FORMAT {
                    return Err(LakeError::OtherFormat { bucket, made: format });
                }
                return if made == given { Ok(()) } else { Err(LakeError::ConfigMismatch { bucket, made, given }) };
            }
            // Whoever wins the put, the record is there afterwards.
            let made = Made { format: FORMAT, config: self.config };
            let body = serde_json::to_vec(&made).map_err(|error| unreadable(error.to_string()))?;
            self.store.put(&location, Bytes::from(body), &Version::Absent).await?;
        }
    }
}
