//! Keeps the device lookup in `lookup/devices/`: merges the claims that changed in `customer_curated` shards.

use engine::{ATTEMPTS_MAX, Checkpoint, Error, Progress};
use formats::customer_shard::curated::CuratedShard;
use formats::customer_shard::devices::DeviceShard;
use model::hash::{KeyHash, Shard};
use model::layout;
use model::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::Lake;
use store::{Change, Snapshot, compare_and_swap};

/// A shard of `customer_curated` that is newer than its checkpoint.
struct Changed {
    curated: CuratedShard,
    checkpoint: Checkpoint,
}

impl Changed {
    /// How far the changes of the shard are processed when its claims are merged.
    fn progress(&self) -> Progress {
        Progress { version: self.curated.versions().version, up_to: None }
    }
}

/// Merges the claims that changed in `shards` since their checkpoints into the device shards that have, or may have, a claim
/// of their customers. Then advances the checkpoints.
///
/// The checkpoints are read before the shards. On a conflict, another function has advanced one; then this reads all of them
/// again.
pub(crate) async fn update(lake: &Lake, shards: &BTreeSet<Shard>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let changed = shards.iter().map(|shard| changed(lake.clone(), *shard));
        let changed = store::join_bounded(changed).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let changed: Vec<Changed> = changed.into_iter().flatten().collect();
        let checkpoints = changed.iter().map(|of| (of.checkpoint.clone(), of.progress())).collect();
        merge_all(lake, Arc::new(changed)).await?;
        if Checkpoint::advance_all(lake, checkpoints).await? {
            return Ok(());
        }
    }
    Err(Error::Contended { location: lake.at(layout::checkpoints(Table::CustomerCurated)) })
}

async fn changed(lake: Lake, shard: Shard) -> Result<Option<Changed>, Error> {
    let checkpoint = Checkpoint::read(&lake, layout::checkpoint(Table::CustomerCurated, shard)).await?;
    let location = lake.at(layout::customers(Table::CustomerCurated, shard));
    let curated = Snapshot::read(&lake.store, &location).await?.body.map(CuratedShard::decode).transpose();
    let curated = curated.map_err(Error::corrupt(location.clone()))?.unwrap_or_default();
    let version = curated.versions().version;
    checkpoint.check(version, &location)?;
    Ok((version > checkpoint.processed().version).then_some(Changed { curated, checkpoint }))
}

/// Merges the claims of all these shards into each device shard at once.
async fn merge_all(lake: &Lake, changed: Arc<Vec<Changed>>) -> Result<(), Error> {
    let count = lake.config().customer_shards;
    let mut of_shards: BTreeMap<Shard, Vec<(usize, KeyHash)>> = BTreeMap::new();
    for (position, Changed { curated, checkpoint }) in changed.iter().enumerate() {
        for customer in curated.versions().changed_since(checkpoint.processed().version) {
            for shard in curated.device_shards(customer, count) {
                of_shards.entry(shard).or_default().push((position, customer));
            }
        }
    }
    let merges = of_shards.into_iter().map(|(shard, customers)| {
        let (lake, changed) = (lake.clone(), changed.clone());
        async move {
            let at = lake.at(layout::devices(shard));
            let planned = Checkpoint::read(&lake, layout::checkpoint(Table::StepTrainerTrusted, shard)).await?;
            let merged = compare_and_swap(&lake.store, &at, None, |stored: Snapshot| {
                let was = stored.body.map(DeviceShard::decode).transpose().map_err(Error::corrupt(at.clone()))?;
                let was = was.unwrap_or_default();
                planned.check(was.versions().version, &at)?;
                let customers = customers.iter().map(|(position, customer)| (&changed[*position].curated, *customer));
                match was.merged(shard, customers, count) {
                    None => Ok::<_, Error>(Change::Keep(())),
                    Some(merged) => Ok(Change::Put(merged.encode().map_err(Error::corrupt(at.clone()))?, ())),
                }
            });
            merged.await.map(drop)
        }
    });
    store::join_bounded(merges).await.into_iter().collect()
}
