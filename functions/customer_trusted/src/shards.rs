//! Announces which shards a file may touch, and derives them.

use engine::landing_file::{self, LandingFile};
use engine::{ATTEMPTS_MAX, Error, Inputs, Materialize, Materialized, Stored};
use formats::customer_file::Customers;
use formats::customer_shard::trusted::{CustomerShard, Update};
use formats::manifest::CustomerFileManifest;
use model::customer::Customer;
use model::hash::Shard;
use model::layout::{self, FileName, ObjectLocation, Source};
use model::table::Table;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::lake::Lake;
use store::{Read, Version};

/// A customer file that was read and announced.
pub(crate) struct File {
    pub(crate) location: ObjectLocation,
    pub(crate) name: FileName,
    pub(crate) landed: LandingFile<Customers>,
    /// The shards that any version of it has customers in.
    pub(crate) touches: BTreeSet<Shard>,
    /// The shard of each customer, in their order.
    shards: Vec<Shard>,
}

impl File {
    fn customers_of(&self, shard: Shard) -> impl Iterator<Item = &Customer> + Clone {
        let of_shard = self.landed.records.latest().zip(&self.shards).filter(move |(_, of)| **of == shard);
        of_shard.map(|(customer, _)| customer)
    }

    /// Reads the file at `location` and announces the shards it may touch, so that whoever comes after a killed function
    /// knows them, even if the file is replaced meanwhile. None if there is no such file.
    pub(crate) async fn announced(lake: &Lake, location: &ObjectLocation) -> Result<Option<Self>, Error> {
        let Some(landed) = landing_file::read::<Customers>(&lake.store, location).await? else {
            tracing::info!(object = %location, "landing file is gone: nothing to do");
            return Ok(None);
        };
        let name = FileName::of(location);
        let count = lake.config().customer_shards;
        let shard_of_each: Vec<Shard> = landed.records.latest().map(|customer| customer.key().shard(count)).collect();
        let at = lake.at(layout::manifest(Source::Customer, &name));
        for _ in 0..ATTEMPTS_MAX {
            let (version, before) = match lake.store.read(&at, None).await? {
                Read::Found { etag, body } => {
                    let before = CustomerFileManifest::decode(&body).map_err(Error::corrupt(at.clone()))?;
                    (Version::Etag(etag), before.shards)
                }
                Read::Absent | Read::Unchanged => (Version::Absent, BTreeSet::new()),
            };
            let mut shards = before.clone();
            shards.extend(&shard_of_each);
            if shards != before {
                let manifest = CustomerFileManifest { landing: location.clone(), shards: shards.clone() };
                let body = manifest.encode().map_err(Error::corrupt(at.clone()))?;
                if !lake.store.put(&at, body, &version).await?.is_done() {
                    continue;
                }
            }
            return Ok(Some(Self { location: location.clone(), name, landed, touches: shards, shards: shard_of_each }));
        }
        Err(Error::Contended { location: at })
    }
}

/// All shards that a batch of files touches.
pub(crate) struct Shards<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) files: &'a Arc<Vec<File>>,
    pub(crate) touched: &'a BTreeSet<Shard>,
}

impl Materialize for Shards<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        self.touched.iter().map(|shard| layout::customers(Table::CustomerTrusted, *shard)).collect()
    }

    /// A shard is a function of the customer files' records, which it remembers: each file of the batch replaces what
    /// the shard remembers of it.
    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let versions = store::try_join_bounded(self.files.iter().map(|file| inputs.version(&file.location))).await?;
        let current = |(file, version): (&File, Version)| version == Version::Etag(file.landed.etag.clone());
        if !self.files.iter().zip(versions).all(current) {
            return Err(Error::Outdated);
        }
        let updates = self.touched.iter().zip(stored.iter().cloned()).map(|(shard, stored)| {
            let (shard, files) = (*shard, self.files.clone());
            async move { update(shard, &files, stored) }
        });
        let mut updates: Vec<Update> = store::join_bounded(updates).await.into_iter().collect::<Result<_, _>>()?;
        let wanted: BTreeSet<ObjectLocation> = updates.iter().flat_map(Update::wanted).collect();
        for location in wanted {
            let Some(landed) = landing_file::read::<Customers>(&self.lake.store, &location).await? else {
                tracing::warn!(object = %location, "landing file of a record that counts again is gone: not trusted");
                continue;
            };
            inputs.note(&location, Version::Etag(landed.etag));
            updates.iter_mut().for_each(|update| update.supply(landed.records.latest()));
        }
        let bodies = updates.into_iter().map(|update| async move {
            let shard = update.settle()?;
            shard.map(|shard| shard.encode()).transpose()
        });
        let bodies = store::join_bounded(bodies).await.into_iter().zip(stored);
        let bodies = bodies.map(|(body, stored)| body.map_err(Error::corrupt(stored.location.clone())));
        Ok(Materialized { bodies: bodies.collect::<Result<_, _>>()?, report: () })
    }
}

/// What the files make of one shard.
fn update(shard: Shard, files: &[File], stored: Stored) -> Result<Update, Error> {
    let before = stored.body.map(CustomerShard::decode).transpose();
    let mut update = before.map_err(Error::corrupt(stored.location))?.unwrap_or_default().update();
    for file in files.iter().filter(|file| file.touches.contains(&shard)) {
        update.land(&file.name, &file.location, file.customers_of(shard));
    }
    Ok(update)
}
