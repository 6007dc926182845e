//! A lake as a function sees it: its store, its catalog, and what it was made with.

use crate::catalog::Catalog;
use crate::data_catalog::DataCatalog;
use crate::metrics::Counters;
use crate::settings::Settings;
use crate::store::{Read, Store, StoreError, Version};
use bytes::Bytes;
use futures::future::BoxFuture;
use lake::layout::{CHARTER, Place};
use lake::policy::Charter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A lake.
#[derive(Clone, Debug)]
pub struct Lake {
    /// Where its objects are.
    pub store: Store,
    /// Where its tables are registered.
    pub catalog: Catalog,
    /// Whatever else is registered where its tables are.
    pub data_catalog: DataCatalog,
    /// What is done through it, for the metrics. Clones count together.
    pub counters: Arc<Counters>,
    bucket: String,
    charter: Charter,
    checked: Arc<OnceCell<()>>,
}

/// The format of what functions keep in a lake for each other. Another cannot be read.
const FORMAT: u32 = 4;

/// The record of a lake's settings.
#[derive(Serialize, Deserialize)]
struct Made {
    #[serde(default = "first_format")]
    format: u32,
    #[serde(flatten)]
    charter: Charter,
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
    OtherCharter {
        /// The lake's bucket.
        bucket: String,
        /// What the lake was made with.
        made: Charter,
        /// What the settings say.
        given: Charter,
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
    #[error("{place} is no record of a lake's settings: {cause}")]
    Unreadable {
        /// The record.
        place: Place,
        /// Why.
        cause: String,
    },
}

impl Lake {
    /// A lake with these settings, whose store and catalog count in `counters`.
    pub fn new(
        store: Store,
        catalog: Catalog,
        data_catalog: DataCatalog,
        counters: Arc<Counters>,
        settings: &Settings,
    ) -> Self {
        let (bucket, charter) = (settings.lake_bucket.clone(), settings.charter);
        Self { store, catalog, data_catalog, counters, bucket, charter, checked: Arc::default() }
    }

    /// What the lake was made with.
    pub fn charter(&self) -> Charter {
        self.charter
    }

    /// The lake's bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The place of a key of this lake.
    pub fn at(&self, key: impl Into<String>) -> Place {
        Place { bucket: self.bucket.clone(), key: key.into() }
    }

    /// Checks once that the lake was made with these settings; records them in a lake that is new.
    pub fn check(&self) -> BoxFuture<'_, Result<(), LakeError>> {
        Box::pin(async move { self.checked.get_or_try_init(|| self.check_now()).await.copied() })
    }

    async fn check_now(&self) -> Result<(), LakeError> {
        let place = self.at(CHARTER);
        let unreadable = |cause: String| LakeError::Unreadable { place: place.clone(), cause };
        loop {
            if let Read::Found { body, .. } = self.store.read(&place, None).await? {
                let Made { format, charter: made } =
                    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
                let (bucket, given) = (self.bucket.clone(), self.charter);
                if format != FORMAT {
                    return Err(LakeError::OtherFormat { bucket, made: format });
                }
                return if made == given { Ok(()) } else { Err(LakeError::OtherCharter { bucket, made, given }) };
            }
            // Whoever wins the put, the record is there afterwards.
            let made = Made { format: FORMAT, charter: self.charter };
            let body = serde_json::to_vec(&made).map_err(|error| unreadable(error.to_string()))?;
            self.store.put(&place, Bytes::from(body), &Version::Absent).await?;
        }
    }
}
