//! Raises the latest-reading index in `lookup/readings/`: which customers have readings, and until when.

use engine::Error;
use foldhash::fast::FixedState;
use formats::latest_readings::LatestReadings;
use model::hash::{KeyHash, Shard};
use model::lake_config::LakeConfig;
use model::layout;
use std::collections::{BTreeMap, HashMap};
use store::lake::Lake;
use store::{Change, compare_and_swap};

/// The time of the latest reading of each customer in a batch of files.
pub(crate) type LatestMs = HashMap<KeyHash, i64, FixedState>;

/// Raises the index to the readings of ingested files.
pub(crate) async fn raise(lake: &Lake, latest_ms: LatestMs) -> Result<(), Error> {
    let LakeConfig { customer_shards: count, consent_policy: policy, .. } = lake.config();
    let mut of_shards: BTreeMap<Shard, Vec<(KeyHash, i64)>> = BTreeMap::new();
    for (key, ms) in latest_ms {
        of_shards.entry(key.shard(count)).or_default().push((key, ms));
    }
    let raises = of_shards.into_iter().map(async |(shard, latest_ms)| {
        let at = lake.at(layout::latest_readings(shard));
        let raised = compare_and_swap(&lake.store, &at, None, |stored| {
            let was = stored.body.as_ref().map(LatestReadings::decode).transpose();
            let was = was.map_err(Error::corrupt(at.clone()))?.unwrap_or_default();
            let raised = was.raised(latest_ms.iter().copied(), policy);
            Ok::<_, Error>(raised.map_or(Change::Keep(()), |raised| Change::Put(raised.encode(), ())))
        });
        raised.await.map(drop)
    });
    store::try_join_bounded(raises).await?;
    Ok(())
}
