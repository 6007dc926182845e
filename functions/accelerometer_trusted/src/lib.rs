//! `accelerometer_trusted`: the accelerometer readings of trusted customers.
//!
//! ```sql
//! SELECT a.user, a.timestamp, a.x, a.y, a.z
//! FROM accelerometer_landing a
//! JOIN customer_trusted c ON a.user = c.email
//! WHERE consent_policy = 'ever' OR a.timestamp >= c.sharewithresearchasofdate
//! ```
//!
//! Partitioned by the reading's own time. When a file lands, it also notes in `lookup/readers/` who has readings, and
//! until when, for `customer_curated`.

mod readers;

use aws::function::{Function, Handling, Input};
use aws::lake::Lake;
use bytes::Bytes;
use derivation::Start;
use lake::Corrupt;
use lake::hash::{KeyHash, Shard, ShardCount};
use lake::layout::FileName;
use lake::reading::{Accelerometer, Key};
use lake::table::Table;
use lake::trust::consents::Consents;
use lake::trust::{Owner, Versions};
use reading_files::announce::Announced;
use reading_files::index::{LIMITS, Limits};
use reading_files::{Customers, ReadingFiles, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// `JOIN customer_trusted ON user = email`.
pub struct OfTrustedCustomers;

impl Rule for OfTrustedCustomers {
    type Reading = Accelerometer;
    type Shard = Consents;
    const TRUST: Table = Table::CustomerTrusted;
    const NOT_TRUSTED: &'static str = "no_trusted_customer";
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
            let mut landed: BTreeMap<FileName, Announced> = BTreeMap::new();
            let mut failures = self.files.handle(inputs, |file, announced| drop(landed.insert(file, announced))).await;
            if let Err(error) = readers::note(&self.files, &landed).await {
                let error = std::sync::Arc::new(error);
                failures.extend(landed.into_values().map(|file| (file.announcement.landing, error.clone().into())));
            }
            failures
        })
    }
}
