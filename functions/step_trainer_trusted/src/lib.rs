//! `step_trainer_trusted`: the step trainer readings of curated customers.
//!
//! ```sql
//! SELECT s.sensorreadingtime, s.serialnumber, s.distancefromobject, c.email AS user
//! FROM step_trainer_landing s
//! JOIN (SELECT * FROM customer_curated            -- of several who name one device,
//!       QUALIFY latest record per serialnumber) c -- the one with the latest record
//!   ON s.serialnumber = c.serialnumber
//! WHERE consent_policy = 'ever' OR s.sensorreadingtime >= c.sharewithresearchasofdate
//! ```
//!
//! Partitioned by the reading's own time. Under the policy `at-reading` it is the owner's consent that counts.

use bytes::Bytes;
use engine::Start;
use formats::Corrupt;
use formats::customer_shard::owners::{Candidate, Owners};
use formats::customer_shard::{Owner, Versions};
use formats::reading::{Key, StepTrainer};
use ingest::index::{LIMITS, Limits};
use ingest::{Customers, ReadingFiles, Rule};
use model::hash::{KeyHash, Shard, ShardCount};
use model::table::Table;
use runtime::function::{Function, Handling, Input};
use std::collections::BTreeSet;
use store::lake::Lake;

/// `JOIN customer_curated ON serialnumber`.
pub struct OfCuratedCustomers;

impl Rule for OfCuratedCustomers {
    type Reading = StepTrainer;
    type Shard = Owners;
    const CUSTOMERS: Table = Table::CustomerCurated;
    const EXCLUDED: &'static str = "no_curated_customer";
    const START: Option<Start> = None;

    fn decode(bytes: Bytes) -> Result<Owners, Corrupt> {
        Owners::decode(bytes)
    }

    fn version(shard: &Owners) -> u64 {
        shard.versions().version
    }

    fn versions(shard: &Owners) -> Result<&Versions, Corrupt> {
        Ok(shard.versions())
    }

    /// Customers are sharded by email, so the owner of a device may be in any shard.
    fn shards_of(_: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard> {
        count.all().collect()
    }

    fn owner<'a>(
        customers: &'a Customers<Owners>,
        serial_number: &'a Key,
    ) -> Result<Option<Owner<'a>>, (Shard, Corrupt)> {
        let mut latest: Option<Candidate<'a>> = None;
        for (shard, owners) in customers.shards() {
            let damaged = |corrupt| (shard, corrupt);
            let Some(candidate) = owners.of(serial_number.hash).map_err(damaged)? else { continue };
            match latest {
                Some(latest) if candidate.cmp_latest(latest).map_err(damaged)?.is_lt() => {}
                _ => latest = Some(candidate),
            }
        }
        Ok(latest.and_then(Candidate::owner))
    }
}

/// The function.
pub struct StepTrainerTrusted {
    files: ReadingFiles<OfCuratedCustomers>,
}

impl StepTrainerTrusted {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self::with_limits(lake, LIMITS)
    }

    /// The function on `lake`, with other limits of the index.
    pub fn with_limits(lake: Lake, limits: Limits) -> Self {
        Self { files: ReadingFiles::new(lake, limits) }
    }
}

impl Function for StepTrainerTrusted {
    const TABLE: Table = Table::StepTrainerTrusted;

    fn lake(&self) -> &Lake {
        self.files.lake()
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move { self.files.handle(inputs, |_, _| {}).await })
    }
}
