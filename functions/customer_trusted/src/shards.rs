//! The manifests of customer files, and the customer shards.

use engine::landing_file::{self, LandingFile};
use engine::{Error, Inputs, Materialize, Materialized, Stored};
use formats::customer_file::{Customers, FileCustomer};
use formats::customer_shard::trusted::{CustomerShard, Update};
use formats::manifest::CustomerFileManifest;
use model::hash::Shard;
use model::layout::{self, FileId, ObjectLocation, Source};
use model::table::Table;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::lake::Lake;
use store::{Change, Version, compare_and_swap};

/// A customer file that has a manifest.
pub(crate) struct File {
    pub(crate) location: ObjectLocation,
    pub(crate) id: FileId,
    pub(crate) content: LandingFile<Customers>,
    /// The shards in which any version of the file has customers.
    pub(crate) shards: BTreeSet<Shard>,
    /// The shard of each customer, in the order of the customers.
    shard_of_each: Vec<Shard>,
}

impl File {
    fn customers_of(&self, shard: Shard) -> impl Iterator<Item = &FileCustomer> + Clone {
        let of_shard = self.content.records.customers().zip(&self.shard_of_each).filter(move |(_, of)| **of == shard);
        of_shard.map(|(customer, _)| customer)
    }

    /// Reads the file at `location`, and writes the shards that it may touch into its manifest. If this function is killed,
    /// the next one finds them there, even if the file was replaced. None if the file is deleted.
    pub(crate) async fn read(lake: &Lake, location: &ObjectLocation) -> Result<Option<Self>, Error> {
        let Some(content) = landing_file::read(&lake.store, location, Customers::stored_at).await? else {
            tracing::info!(object = %location, "landing file is deleted: nothing to do");
            return Ok(None);
        };
        let id = FileId::of(location);
        let count = lake.config().customer_shards;
        let shard_of_each: Vec<Shard> = content.records.customers().map(|customer| customer.key.shard(count)).collect();
        let at = lake.at(layout::manifest(Source::Customer, id));
        let (_, shards) = compare_and_swap(&lake.store, &at, None, |stored| {
            let corrupt = || Error::corrupt(at.clone());
            let stored = stored.body.as_ref().map(CustomerFileManifest::decode).transpose().map_err(corrupt())?;
            let stored = stored.map(|manifest| manifest.shards).unwrap_or_default();
            let mut shards = stored.clone();
            shards.extend(&shard_of_each);
            if shards == stored {
                return Ok::<_, Error>(Change::Keep(shards));
            }
            let manifest = CustomerFileManifest { landing: location.clone(), shards: shards.clone() };
            Ok(Change::Put(manifest.encode().map_err(corrupt())?, shards))
        })
        .await?;
        Ok(Some(Self { location: location.clone(), id, content, shards, shard_of_each }))
    }
}

/// The shards of a batch of files.
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

    /// A shard is a function of the records of all customer files, which it stores. Each file of the batch replaces its own
    /// records in the shard.
    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let versions = store::try_join_bounded(self.files.iter().map(|file| inputs.version(&file.location))).await?;
        let current = |(file, version): (&File, Version)| version == Version::Etag(file.content.etag.clone());
        if !self.files.iter().zip(versions).all(current) {
            return Err(Error::Outdated);
        }
        let updates = self.touched.iter().zip(stored.iter().cloned()).map(|(shard, stored)| {
            let (shard, files) = (*shard, self.files.clone());
            async move { update(shard, &files, stored) }
        });
        let mut updates: Vec<Update> = store::join_bounded(updates).await.into_iter().collect::<Result<_, _>>()?;
        let missing: BTreeSet<ObjectLocation> = updates.iter().flat_map(Update::wanted).collect();
        for location in missing {
            let Some(content) = landing_file::read(&self.lake.store, &location, Customers::stored_at).await? else {
                tracing::warn!(object = %location, "landing file of the grant that counts is deleted: customer not eligible");
                continue;
            };
            inputs.record(&location, Version::Etag(content.etag));
            updates.iter_mut().for_each(|update| update.supply(content.records.customers()));
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

/// Applies the files to one shard.
fn update(shard: Shard, files: &[File], stored: Stored) -> Result<Update, Error> {
    let before = stored.body.map(CustomerShard::decode).transpose();
    let mut update = before.map_err(Error::corrupt(stored.location))?.unwrap_or_default().update();
    for file in files.iter().filter(|file| file.shards.contains(&shard)) {
        let stored_ms = file.content.records.stored_ms();
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::WithdrawalNeedsValidRecord) {
            let mut customers: Vec<FileCustomer> = file.customers_of(shard).cloned().collect();
            for customer in &mut customers {
                if customer.withdrawal.take_if(|withdrawal| !withdrawal.is_valid).is_some() {
                    customer.history.withdrawn_at_ms = None;
                }
            }
            update.ingest((file.id, &file.location, stored_ms), customers.iter());
            continue;
        }
        update.ingest((file.id, &file.location, stored_ms), file.customers_of(shard));
    }
    Ok(update)
}
