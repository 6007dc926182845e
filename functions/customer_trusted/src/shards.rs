//! Merges customer files into the customer shards.

use crate::file::{File, read_customers};
use engine::{ATTEMPTS_MAX, Checkpoint, Error, manifest};
use formats::customer_shard::records::{FileVersion, RowCounts};
use formats::customer_shard::trusted::{CustomerShard, Update};
use model::customer::Customer;
use model::hash::Shard;
use model::layout::{self, FileId, Source};
use model::table::Table;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::lake::Lake;
use store::{Change, compare_and_swap};

/// A shard after files were merged into it.
pub(crate) struct Merged {
    pub(crate) shard: Shard,
    /// The shard's version that has the files.
    pub(crate) version: u64,
    pub(crate) is_written: bool,
    /// What became of each file, by its position.
    pub(crate) files: Vec<(usize, Outcome)>,
}

/// What became of a file in a shard.
pub(crate) enum Outcome {
    Merged(RowCounts),
    /// The shard has records of this later generation.
    Superseded(u64),
}

/// What to do after an attempt to change a shard.
enum Step {
    Done(Merged),
    /// A grant begins to count whose content only these files have.
    Wants(BTreeSet<FileId>),
}

/// Merges `files` into one shard. Each replaces its own records.
pub(crate) async fn merge(lake: Lake, shard: Shard, files: Arc<Vec<File>>) -> Result<Merged, Error> {
    let at = lake.at(layout::customers(Table::CustomerTrusted, shard));
    let planned = Checkpoint::read(&lake, layout::checkpoint(Table::AccelerometerTrusted, shard)).await?;
    let (mut grants, mut asked): (Vec<Customer>, BTreeSet<FileId>) = Default::default();
    for _ in 0..ATTEMPTS_MAX {
        let (_, step) = compare_and_swap(&lake.store, &at, None, |stored| {
            let corrupt = || Error::corrupt(at.clone());
            let stored = match stored.body {
                Some(body) => CustomerShard::decode(body, lake.hash_key().clone()).map_err(corrupt())?,
                None => CustomerShard::empty(lake.hash_key().clone()),
            };
            planned.check(stored.version(), &at)?;
            let mut update = stored.update();
            let touching = files.iter().enumerate().filter(|(_, file)| file.shards.contains(&shard));
            let ingested: Vec<_> =
                touching.map(|(position, file)| (position, file, ingest(&mut update, shard, file))).collect();
            update.supply(grants.iter());
            let wanted: BTreeSet<FileId> = update.wanted().difference(&asked).copied().collect();
            if !wanted.is_empty() {
                return Ok::<_, Error>(Change::Keep(Step::Wants(wanted)));
            }
            let (settled, is_written) = update.settle().map_err(corrupt())?;
            let outcome = |file: &File| {
                let customers = file.customers_of(shard).map(|customer| customer.key);
                Outcome::Merged(settled.row_counts(file.id, customers))
            };
            let files = ingested.into_iter().map(|(position, file, superseded)| {
                (position, superseded.map_or_else(|| outcome(file), Outcome::Superseded))
            });
            let merged = Merged { shard, version: settled.version(), is_written, files: files.collect() };
            match is_written {
                true => Ok(Change::Put(settled.encode().map_err(corrupt())?, Step::Done(merged))),
                false => Ok(Change::Keep(Step::Done(merged))),
            }
        })
        .await?;
        match step {
            Step::Done(merged) => return Ok(merged),
            Step::Wants(wanted) => {
                for file in wanted {
                    grants.extend(grants_of(&lake, shard, file).await?);
                    asked.insert(file);
                }
            }
        }
    }
    Err(Error::Contended { location: at })
}

/// Applies a file to a shard. Returns the generation that the shard has of it if that is a later one.
fn ingest(update: &mut Update, shard: Shard, file: &File) -> Option<u64> {
    let known = update.generation_of(file.id);
    let later = known.filter(|known| *known > file.generation);
    #[cfg(feature = "broken")]
    let later = later.filter(|_| !engine::broken::is(engine::broken::Broken::NoGeneration));
    if later.is_some() {
        return later.filter(|_| file.content.is_some());
    }
    let version = |stored_ms| FileVersion { file: file.id, generation: file.generation, stored_ms };
    match &file.content {
        // The records of a deleted file stay; only those of a version that was replaced before it was deleted go.
        None if known == Some(file.generation) => {}
        None => update.ingest(version(0), [].iter()),
        #[cfg(feature = "broken")]
        Some(content) if engine::broken::is(engine::broken::Broken::WithdrawalNeedsValidRecord) => {
            let customers: Vec<_> = file.customers_of(shard).map(without_malformed_withdrawal).collect();
            update.ingest(version(content.records.stored_ms()), customers.iter());
        }
        Some(content) => update.ingest(version(content.records.stored_ms()), file.customers_of(shard)),
    }
    None
}

#[cfg(feature = "broken")]
fn without_malformed_withdrawal(
    customer: &formats::customer_file::FileCustomer,
) -> formats::customer_file::FileCustomer {
    let mut customer = customer.clone();
    if customer.withdrawal.take_if(|withdrawal| !withdrawal.is_valid).is_some() {
        customer.history.withdrawn_at_ms = None;
    }
    customer
}

/// Reads the grants that a landing file has of a shard's customers again; none if it is deleted.
async fn grants_of(lake: &Lake, shard: Shard, file: FileId) -> Result<Vec<Customer>, Error> {
    let at = lake.at(layout::manifest(Source::Customer, file));
    let Some(manifest) = manifest::read::<Shard>(lake, &at).await? else { return Ok(Vec::new()) };
    let content = read_customers(lake, &manifest.landing).await?;
    let Some(content) = content else {
        tracing::warn!(object = %manifest.landing, "landing file of the grant that counts is deleted: customer not eligible");
        return Ok(Vec::new());
    };
    let count = lake.config().customer_shards;
    let customers = content.records.customers().filter(|customer| customer.key.shard(count) == shard);
    Ok(customers.filter_map(|customer| customer.grant.clone()).collect())
}
