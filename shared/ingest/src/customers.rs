//! The consent shards that decide on readings.

use crate::{ReadingFiles, Rule};
use engine::Error;
use formats::cell::{Cell, ShardVersions};
use formats::customer_shard::Owner;
use formats::reading::Key;
use model::hash::{KeyHash, Shard, ShardCount};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The consent shards that decide on some readings, each in the version that was read.
pub(crate) struct Customers<R: Rule> {
    count: ShardCount,
    /// None: the shard has no object yet.
    shards: BTreeMap<Shard, Option<Arc<R::Shard>>>,
}

impl<R: Rule> Customers<R> {
    /// Returns the customer who owns the readings of `key`, if an eligible customer does.
    pub(crate) fn owner<'a>(&'a self, key: &'a Key) -> Option<Owner<'a>> {
        R::owner(self.shards.get(&key.hash.shard(self.count))?.as_deref()?, key)
    }

    /// Returns the versions of the shards.
    pub(crate) fn versions(&self) -> ShardVersions {
        self.shards.iter().filter_map(|(shard, decoded)| Some((*shard, R::version(decoded.as_deref()?)))).collect()
    }

    /// Whether the rows of `cell` were filtered by a newer version of one of the shards. Then the shards must be read again:
    /// rows that they admit may be of a customer who has withdrawn.
    pub(crate) fn are_behind(&self, cell: &Cell) -> bool {
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::NoVersionRule) {
            return false;
        }
        let version = |decoded: &Option<Arc<R::Shard>>| decoded.as_deref().map_or(0, R::version);
        self.shards.iter().any(|(shard, decoded)| version(decoded) < cell.consent(*shard))
    }
}

impl<R: Rule> ReadingFiles<R> {
    /// Reads the shards that decide on readings of `keys`.
    pub(crate) async fn customers(&self, keys: Vec<KeyHash>) -> Result<Arc<Customers<R>>, Error> {
        let count = self.lake().config().customer_shards;
        let shards: BTreeSet<Shard> = keys.into_iter().map(|key| key.shard(count)).collect();
        let read = shards.into_iter().map(async |shard| {
            let location = self.lake().at(R::shard_at(shard));
            let decoded = self.shards.read(&self.lake().store, &location, R::decode).await?;
            Ok::<_, Error>((shard, decoded.map(|(_, decoded)| decoded)))
        });
        Ok(Arc::new(Customers { count, shards: store::try_join_bounded(read).await?.into_iter().collect() }))
    }
}
