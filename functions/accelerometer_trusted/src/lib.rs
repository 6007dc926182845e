//! `accelerometer_trusted`: the accelerometer readings of the customers in `customer_trusted`.
//!
//! ```sql
//! SELECT a.user, a.timestamp, a.x, a.y, a.z
//! FROM accelerometer_landing a
//! JOIN customer_trusted c ON a.user = c.email
//! WHERE consent_policy = 'ever' OR a.timestamp >= c.sharewithresearchasofdate
//! ```
//!
//! Partitions are by the time of the reading. [`OfTrustedCustomers`] is the rule. For `customer_curated`, the function also
//! keeps the latest-reading index in `lookup/readings/`: which customers have readings, and until when.

mod latest_readings;
mod rule;

use ingest::ReadingFiles;
use ingest::index::{LIMITS, Limits};
use ingest::manifest::CurrentManifest;
use model::layout::FileName;
use model::table::Table;
pub use rule::OfTrustedCustomers;
use runtime::function::{Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Failure;
use store::lake::Lake;

/// The function.
pub struct AccelerometerTrusted {
    files: ReadingFiles<OfTrustedCustomers>,
}

impl AccelerometerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self::with_limits(lake, LIMITS)
    }

    /// The function on `lake`, with other limits of the key index.
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
            let mut manifests: BTreeMap<FileName, CurrentManifest> = BTreeMap::new();
            let mut failures = self.files.handle(inputs, |file, current| drop(manifests.insert(file, current))).await;
            if let Err(error) = latest_readings::update(&self.files, &manifests).await {
                let error: Arc<dyn Failure> = Arc::new(error);
                failures.extend(manifests.into_values().map(|current| (current.manifest.landing, error.clone())));
            }
            failures
        })
    }
}
