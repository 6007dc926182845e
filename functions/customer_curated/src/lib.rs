//! `customer_curated`: the customers in `customer_trusted` with an ingested accelerometer reading that the policy admits.
//!
//! ```sql
//! SELECT c.*
//! FROM customer_trusted c
//! JOIN latest_readings r ON r.email = c.email  -- the latest reading of each customer, from `lookup/readings/`
//! WHERE consent_policy = 'ever' OR r.latest >= c.sharewithresearchasofdate
//! ```
//!
//! The latest reading decides: if the policy does not admit it, it admits none of the customer's readings. The latest-reading
//! index is only raised, so a correction that takes all readings of a customer away does not take the customer away. Each
//! shard is a function of its `customer_trusted` shard and its part of the latest-reading index. The rule is
//! [`CuratedShard::curate`] (`shared/formats/src/customer_shard/curated.rs`).

use engine::{CACHE_BYTES_MAX, Cache, Error, Inputs, Materialize, Materialized, Stored, commit};
use formats::customer_shard::curated::CuratedShard;
use formats::customer_shard::trusted::TrustedShard;
use formats::latest_readings::LatestReadings;
use model::hash::Shard;
use model::layout::{self, Object, ObjectLocation};
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Failure;
use store::lake::Lake;

/// The function. Clones share the cache.
#[derive(Clone)]
pub struct CustomerCurated {
    lake: Lake,
    trusted: Arc<Cache<TrustedShard>>,
}

impl CustomerCurated {
    /// The function on `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, trusted: Arc::new(Cache::new(CACHE_BYTES_MAX)) }
    }
}

impl Function for CustomerCurated {
    const TABLE: Table = Table::CustomerCurated;

    fn lake(&self) -> &Lake {
        &self.lake
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            // Several events of one shard cause one commit.
            let mut shards: BTreeMap<Shard, Vec<ObjectLocation>> = BTreeMap::new();
            for (location, object) in inputs {
                if let Object::CustomerTrusted(shard) | Object::LatestReadings(shard) = object {
                    shards.entry(shard).or_default().push(location);
                }
            }
            let commits = shards.into_iter().map(|(shard, locations)| {
                let function = self.clone();
                async move { (locations, commit(&function.lake, &Curation { function: &function, shard }).await) }
            });
            let mut failures = Failures::new();
            for (locations, committed) in store::join_bounded(commits).await {
                if let Err(error) = committed {
                    let error: Arc<dyn Failure> = Arc::new(error);
                    failures.extend(locations.into_iter().map(|location| (location, error.clone())));
                }
            }
            failures
        })
    }
}

/// The output of one shard.
struct Curation<'a> {
    function: &'a CustomerCurated,
    shard: Shard,
}

impl Materialize for Curation<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        vec![layout::customers(Table::CustomerCurated, self.shard)]
    }

    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let CustomerCurated { lake, trusted } = self.function;
        let trusted_at = lake.at(layout::customers(Table::CustomerTrusted, self.shard));
        let readings_at = lake.at(layout::latest_readings(self.shard));
        let before = stored.iter().cloned().map(|stored| async move {
            let shard = stored.body.map(CuratedShard::decode).transpose();
            shard.map(Option::unwrap_or_default).map_err(Error::corrupt(stored.location))
        });
        // Two tasks decode both shards.
        let (trusted, before) =
            tokio::join!(inputs.read_cached(trusted, &trusted_at, TrustedShard::decode), store::join_bounded(before));
        let trusted = trusted?.unwrap_or_default();
        let latest_readings = inputs.read(&readings_at).await?.as_ref().map(LatestReadings::decode).transpose();
        let latest_readings = latest_readings.map_err(Error::corrupt(readings_at))?.unwrap_or_default();
        let mut bodies = Vec::new();
        for (before, stored) in before.into_iter().zip(stored) {
            let after = before?.curate(&trusted, &latest_readings, lake.config().consent_policy);
            let body = after.and_then(|after| after.map(|after| after.encode()).transpose());
            bodies.push(body.map_err(Error::corrupt(stored.location.clone()))?);
        }
        Ok(Materialized { bodies, report: () })
    }
}
