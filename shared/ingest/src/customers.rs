//! The customers that decide on readings, by consent shard.

use crate::{ReadingFiles, Rule};
use engine::Error;
use formats::cell::{Cell, ShardVersions};
use model::hash::{KeyHash, Shard, ShardCount};
use model::layout::{self, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shards of the customers that decide on some readings, each in the version that was read.
pub struct Customers<S> {
    count: ShardCount,
    /// None: the shard has no object yet.
    shards: BTreeMap<Shard, Option<Arc<S>>>,
}

impl<S> Customers<S> {
    /// Returns the shard of a customer.
    pub fn shard_of(&self, key: KeyHash) -> Option<&S> {
        self.shards.get(&key.shard(self.count))?.as_deref()
    }

    /// Returns all shards that have an object.
    pub fn shards(&self) -> impl Iterator<Item = (Shard, &S)> {
        self.shards.iter().filter_map(|(shard, customers)| Some((*shard, customers.as_deref()?)))
    }
}

impl<R: Rule> ReadingFiles<R> {
    /// Reads the shards that decide on readings of `keys`.
    pub(crate) async fn customers(&self, keys: Vec<KeyHash>) -> Result<Arc<Customers<R::Shard>>, Error> {
        let count = self.lake().config().customer_shards;
        let shards = R::shards_of(&mut keys.into_iter(), count);
        let shards = match shards.len() > 1 && shards.len() == usize::from(count.get()) {
            true => self.all_shards().await?,
            false => {
                let read = shards.into_iter().map(async |shard| {
                    let location = self.lake().at(layout::customers(R::CUSTOMERS, shard));
                    let customers = self.shards.read(&self.lake().store, &location, R::decode).await?;
                    Ok::<_, Error>((shard, customers.map(|(_, customers)| customers)))
                });
                store::try_join_bounded(read).await?.into_iter().collect()
            }
        };
        Ok(Arc::new(Customers { count, shards }))
    }

    /// Reads all shards. One list gives their versions, and a warm function reads only the changed ones.
    async fn all_shards(&self) -> Result<BTreeMap<Shard, Option<Arc<R::Shard>>>, Error> {
        let lake = self.lake();
        let listing = lake.store.list(lake.bucket(), R::CUSTOMERS.prefix(), true).await?;
        let read = listing.objects.into_iter().map(async |(key, etag)| {
            let (Some(Object::CustomerTrusted(shard) | Object::CustomerCurated(shard)), location) =
                (Object::parse(&key), lake.at(key))
            else {
                return Ok(None);
            };
            let customers = match self.shards.get(&location).filter(|(cached, _)| *cached == etag) {
                Some(cached) => Some(cached),
                None => self.shards.read(&lake.store, &location, R::decode).await?,
            };
            Ok::<_, Error>(Some((shard, customers.map(|(_, customers)| customers))))
        });
        let mut shards: BTreeMap<_, _> = lake.config().customer_shards.all().map(|shard| (shard, None)).collect();
        shards.extend(store::try_join_bounded(read).await?.into_iter().flatten());
        Ok(shards)
    }

    /// Returns the versions of the shards.
    pub(crate) fn versions(customers: &Customers<R::Shard>) -> ShardVersions {
        customers.shards().map(|(shard, customers)| (shard, R::version(customers))).collect()
    }

    /// Whether the rows of `cell` were filtered by a newer version of one of the shards. Then the shards must be read again:
    /// rows that they admit may be of a customer who has withdrawn.
    pub(crate) fn are_behind(customers: &Customers<R::Shard>, cell: &Cell) -> bool {
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::NoVersionRule) {
            return false;
        }
        let version = |customers: &Option<Arc<R::Shard>>| customers.as_deref().map_or(0, R::version);
        customers.shards.iter().any(|(shard, customers)| version(customers) < cell.consent(*shard))
    }
}
