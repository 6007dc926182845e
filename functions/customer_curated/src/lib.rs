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
//!
//! For `step_trainer_trusted`, the function also keeps the device lookup in `lookup/devices/`: who owns which device.

mod devices;

use bytes::Bytes;
use engine::{CACHE_BYTES_MAX, Cache, Checkpoint, Error, Materialize, materialize};
use formats::customer_shard::curated::{CuratedFrom, CuratedShard};
use formats::customer_shard::trusted::TrustedShard;
use formats::latest_readings::LatestReadings;
use model::hash::Shard;
use model::layout::{self, Object, ObjectLocation};
use model::table::Table;
use runtime::function::{Failures, Function, Handling, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;
use store::{Change, Failure, Snapshot, Version};

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

    async fn curate(&self, shard: Shard) -> Result<(), Error> {
        let merged = Checkpoint::read(&self.lake, layout::checkpoint(Table::CustomerCurated, shard)).await?;
        materialize(&self.lake, &Curation { function: self, shard, merged }).await
    }

    /// Updates the device lookup by these shards, all at once. If that fails, by each alone, so that one bad shard does not stop
    /// the others.
    async fn update_devices(&self, shards: BTreeSet<Shard>) -> Vec<(Shard, Error)> {
        let Err(error) = devices::update(&self.lake, &shards).await else { return Vec::new() };
        let (count, error) = (shards.len(), store::with_causes(&error));
        tracing::warn!(shards = count, error, "cannot update the owners of devices together; trying each shard alone");
        let mut failed = Vec::new();
        for shard in shards {
            if let Err(error) = devices::update(&self.lake, &BTreeSet::from([shard])).await {
                failed.push((shard, error));
            }
        }
        failed
    }
}

impl Function for CustomerCurated {
    const TABLE: Table = Table::CustomerCurated;

    fn lake(&self) -> &Lake {
        &self.lake
    }

    fn handle(&self, inputs: BTreeSet<Input>) -> Handling<'_> {
        Box::pin(async move {
            // Several events of one shard cause one update.
            let mut shards: BTreeMap<Shard, Vec<ObjectLocation>> = BTreeMap::new();
            for (location, object) in inputs {
                if let Object::CustomerTrusted(shard) | Object::LatestReadings(shard) = object {
                    shards.entry(shard).or_default().push(location);
                }
            }
            let curations = shards.keys().copied().collect::<Vec<_>>().into_iter().map(|shard| {
                let function = self.clone();
                async move { (shard, function.curate(shard).await) }
            });
            let (mut curated, mut failed) = (BTreeSet::new(), Vec::new());
            for (shard, materialized) in store::join_bounded(curations).await {
                match materialized {
                    Ok(()) => drop(curated.insert(shard)),
                    Err(error) => failed.push((shard, error)),
                }
            }
            failed.extend(self.update_devices(curated).await);
            let mut failures = Failures::new();
            for (shard, error) in failed {
                let error: Arc<dyn Failure> = Arc::new(error);
                let locations = shards.remove(&shard).unwrap_or_default();
                failures.extend(locations.into_iter().map(|location| (location, error.clone())));
            }
            failures
        })
    }
}

/// The output of one shard.
struct Curation<'a> {
    function: &'a CustomerCurated,
    shard: Shard,
    /// Up to which version the shard was merged into the device lookup.
    merged: Checkpoint,
}

impl Materialize for Curation<'_> {
    type Report = ();

    fn output(&self) -> String {
        layout::customers(Table::CustomerCurated, self.shard)
    }

    async fn compute(&self, stored: Option<Bytes>) -> Result<Change<()>, Error> {
        let CustomerCurated { lake, trusted } = self.function;
        let corrupt = || Error::corrupt(lake.at(self.output()));
        let trusted_at = lake.at(layout::customers(Table::CustomerTrusted, self.shard));
        let hash_key = lake.hash_key().clone();
        let decode = move |bytes| TrustedShard::decode(bytes, &hash_key);
        let trusted = trusted.read(&lake.store, &trusted_at, decode).await?;
        let readings_at = lake.at(layout::latest_readings(self.shard));
        let Snapshot { version, body } = Snapshot::read(&lake.store, &readings_at).await?;
        let was = stored.clone().map(CuratedShard::decode).transpose().map_err(corrupt())?;
        if was.is_none() && trusted.is_none() {
            return Ok(Change::Keep(()));
        }
        let was = was.unwrap_or_default();
        self.merged.check(was.versions().version, &lake.at(self.output()))?;
        let (etag, trusted) = trusted.unzip();
        let trusted = trusted.unwrap_or_default();
        if trusted.version < was.from().trusted_version {
            return Err(Error::PutBack { location: trusted_at });
        }
        let latest_readings = match version {
            Version::Etag(etag) => Some(etag),
            Version::Absent => None,
        };
        let from = CuratedFrom { trusted: etag, trusted_version: trusted.version, latest_readings };
        if stored.is_some() && *was.from() == from {
            return Ok(Change::Keep(()));
        }
        let latest_readings = body.as_ref().map(LatestReadings::decode).transpose();
        let latest_readings = latest_readings.map_err(Error::corrupt(readings_at))?.unwrap_or_default();
        #[cfg(feature = "broken")]
        let trusted = broken(&trusted, &latest_readings);
        let shard = was.curate(from, &trusted, &latest_readings, &lake.config()).map_err(corrupt())?;
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::SkipEqual)
            && shard.versions().changed_since(was.versions().version).next().is_none()
        {
            return Ok(Change::Keep(()));
        }
        Ok(Change::Put(shard.encode().map_err(corrupt())?, ()))
    }
}

/// Leaves out the claims of customers without consent or readings, if the engine is broken in this way.
#[cfg(feature = "broken")]
fn broken(trusted: &Arc<TrustedShard>, latest_readings: &LatestReadings) -> Arc<TrustedShard> {
    let mut trusted = trusted.clone();
    if engine::broken::is(engine::broken::Broken::OwnersAmongEligibleOnly) {
        Arc::make_mut(&mut trusted)
            .claims
            .retain(|claim| claim.is_eligible && latest_readings.latest_ms(claim.customer).is_some());
    }
    trusted
}
