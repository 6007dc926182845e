//! `accelerometer_trusted`: the accelerometer readings of trusted customers.
//!
//! ```sql
//! SELECT a.user, a.timestamp, a.x, a.y, a.z
//! FROM accelerometer_landing a
//! JOIN customer_trusted c ON a.user = c.email
//! WHERE consent_policy = 'ever' OR a.timestamp >= c.sharewithresearchasofdate
//! ```
//!
//! Partitioned by the reading's own time. When a file lands, it also notes in `lookup/readings/` who has readings, and
//! until when, for `customer_curated`.

mod latest_readings;

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::consents::Consents;
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Accelerometer, Key};
use ingest::index::{LIMITS, Limits};
use ingest::manifest::CurrentManifest;
use ingest::{Customers, ReadingFiles, Rule};
use model::hash::{KeyHash, Shard, ShardCount};
use model::layout::FileName;
use model::table::Table;
use runtime::function::{Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use store::lake::Lake;

/// `JOIN customer_trusted ON user = email`.
pub struct OfTrustedCustomers;

impl Rule for OfTrustedCustomers {
    type Reading = Accelerometer;
    type Shard = Consents;
    const CUSTOMERS: Table = Table::CustomerTrusted;
    const EXCLUDED: &'static str = "no_trusted_customer";
    const START: Option<Start> = Some(Start { bytes: Consents::START_BYTES, needed: Consents::needed });

    fn decode(bytes: Bytes) -> Result<Consents, Corrupt> {
        Consents::decode(bytes)
    }

    fn version(shard: &Consents) -> u64 {
        shard.version()
    }

    fn versions(shard: &Consents) -> Result<&Versions, Corrupt> {
        shard.versions()
    }

    /// An email is in one shard only.
    fn shards_of(emails: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard> {
        emails.map(|email| email.shard(count)).collect()
    }

    fn owner<'a>(customers: &'a Customers<Consents>, user: &'a Key) -> Result<Option<Owner<'a>>, (Shard, Corrupt)> {
        Ok(customers.shard_of(user.hash).and_then(|shard| shard.owner(user)))
    }
}

/// The function.
pub struct AccelerometerTrusted {
    files: ReadingFiles<OfTrustedCustomers>,
}

impl AccelerometerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self::with_limits(lake, LIMITS)
    }

    /// The function on `lake`, with other limits of the index.
    pub fn with_limits(lake: Lake, limits: Limits) -> Self {
        Self { files: ReadingFiles::new(lake, limits) }
    }
}

impl Function for AccelerometerTrusted {
    const TABLE: Table = Table::AccelerometerTrusted;

    fn lake(&self) -> &Lake {
        self.files.lake()
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            let mut landed: BTreeMap<FileName, CurrentManifest> = BTreeMap::new();
            let mut failures = self.files.handle(inputs, |file, announced| drop(landed.insert(file, announced))).await;
            if let Err(error) = latest_readings::note(&self.files, &landed).await {
                let error = std::sync::Arc::new(error);
                failures.extend(landed.into_values().map(|file| (file.manifest.landing, error.clone().into())));
            }
            failures
        })
    }
}
