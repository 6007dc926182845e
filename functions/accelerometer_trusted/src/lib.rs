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

use formats::reading::{Accelerometer, Readings};
use ingest::{LIMITS, Limits, ReadingFiles};
use latest_readings::LatestMs;
use model::layout::ObjectLocation;
use model::table::Table;
pub use rule::OfTrustedCustomers;
use runtime::function::{Function, Handling, Input};
use std::collections::BTreeSet;
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

    /// The function on `lake`, with other limits.
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
            let (mut latest_ms, mut files): (LatestMs, Vec<ObjectLocation>) = Default::default();
            let record = |location: &ObjectLocation, readings: &Readings<Accelerometer>| {
                for (key, ms) in readings.latest_ms() {
                    latest_ms.entry(key).and_modify(|latest| *latest = ms.max(*latest)).or_insert(ms);
                }
                files.push(location.clone());
            };
            let mut failures = self.files.handle(inputs, record).await;
            if let Err(error) = latest_readings::raise(self.files.lake(), latest_ms).await {
                let error: Arc<dyn Failure> = Arc::new(error);
                failures.extend(files.into_iter().map(|location| (location, error.clone())));
            }
            failures
        })
    }
}
