//! The receipts of customer files.
//!
//! A later file changes the row_counts of an earlier one: its records are superseded. The shards remember in which version
//! the row_counts of each file last changed, so the receipts follow them as derived files follow changes of trust: by a
//! checkpoint, advanced after the work.

use crate::CustomerTrusted;
use crate::shards::File;
use bytes::Bytes;
use engine::landing_file::LandingFile;
use engine::log::{self, Timer};
use engine::{ATTEMPTS_MAX, Checkpoint, Error, Inputs, Materialize, Materialized, Stored, commit};
use formats::customer_file::Customers;
use formats::customer_shard::row_counts::FileRowCounts;
use formats::manifest::CustomerFileManifest;
use formats::reading_rows::ShardVersions;
use formats::receipt::{LandingVersion, Receipt};
use model::hash::Shard;
use model::layout::{self, FileName, ObjectLocation, Source};
use model::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Version;

/// How many receipts are derived together.
const FILES_MAX: usize = 64;

/// Writes the receipts of `files`, and of every file whose row_counts changed in one of the `touched` shards.
pub(crate) async fn bring_up_to_date(
    function: &CustomerTrusted,
    files: &[File],
    touched: &BTreeSet<Shard>,
) -> Result<(), Error> {
    let CustomerTrusted { lake, row_counts } = function;
    let mut due: BTreeMap<FileName, ObjectLocation> =
        files.iter().map(|f| (f.name.clone(), f.location.clone())).collect();
    for _ in 0..ATTEMPTS_MAX {
        let mut checkpoints = Vec::new();
        let read = store::try_join_bounded(touched.iter().map(async |shard| {
            let checkpoint = Checkpoint::read(lake, layout::checkpoint(Table::CustomerTrusted, *shard)).await?;
            let location = lake.at(layout::customers(Table::CustomerTrusted, *shard));
            let row_counts = row_counts.read(&lake.store, &location, FileRowCounts::decode).await?;
            Ok::<_, Error>(row_counts.map(|(_, row_counts)| (checkpoint, row_counts)))
        }));
        for (checkpoint, row_counts) in read.await?.into_iter().flatten() {
            if row_counts.version() > checkpoint.seen() {
                let changed = row_counts.changed_since(checkpoint.seen());
                due.extend(changed.map(|(file, location)| (file.clone(), location.clone())));
                checkpoints.push((checkpoint, row_counts.version()));
            }
        }
        let due: Vec<RowCounts<'_>> = std::mem::take(&mut due)
            .into_iter()
            .map(|(name, location)| {
                let landed = files.iter().find(|file| file.name == name).map(|file| &file.landed);
                RowCounts { name, location, landed }
            })
            .collect();
        for row_counts in due.chunks(FILES_MAX) {
            write(function, row_counts).await?;
        }
        if Checkpoint::advance_all(lake, checkpoints).await? {
            return Ok(());
        }
    }
    Err(Error::Contended { location: lake.at(layout::checkpoints(Table::CustomerTrusted)) })
}

async fn write(function: &CustomerTrusted, row_counts: &[RowCounts<'_>]) -> Result<(), Error> {
    let timer = Timer::start();
    let committed = commit(&function.lake, &Receipts { function, row_counts }).await?;
    for (RowCounts { location, landed, .. }, told) in row_counts.iter().zip(committed.report) {
        let Some((receipt, writes)) = told else { continue };
        log::landing_file(location, &receipt, landed.is_none(), writes, &timer);
        if landed.is_some() {
            log::count_ingested(&function.lake.counters, &receipt);
        }
    }
    Ok(())
}

/// A customer file whose row_counts is due.
struct RowCounts<'a> {
    name: FileName,
    location: ObjectLocation,
    /// The file, if this is about its own event; else only its row_counts in the shards is new.
    landed: Option<&'a LandingFile<Customers>>,
}

/// The receipts and quarantines of customer files.
struct Receipts<'a> {
    function: &'a CustomerTrusted,
    row_counts: &'a [RowCounts<'a>],
}

/// A file's receipt, and how many of its objects get a new version; none if it has none yet: its own event is to come.
type Told = Option<(Receipt, usize)>;

impl Materialize for Receipts<'_> {
    type Report = Vec<Told>;

    fn outputs(&self) -> Vec<String> {
        let of = |row_counts: &RowCounts<'_>| {
            [
                layout::receipt(Source::Customer, &row_counts.name),
                layout::quarantine(Source::Customer, &row_counts.name),
            ]
        };
        self.row_counts.iter().flat_map(of).collect()
    }

    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<Vec<Told>>, Error> {
        let lake = &self.function.lake;
        let mut announced = Vec::new();
        for row_counts in self.row_counts {
            if let Some(landed) = row_counts.landed
                && inputs.version(&row_counts.location).await? != Version::Etag(landed.etag.clone())
            {
                return Err(Error::Outdated);
            }
            let at = lake.at(layout::manifest(Source::Customer, &row_counts.name));
            let of_file = inputs.read(&at).await?.as_ref().map(CustomerFileManifest::decode).transpose();
            announced.push(of_file.map_err(Error::corrupt(at))?.map(|of_file| of_file.shards).unwrap_or_default());
        }
        let shards: BTreeSet<Shard> = announced.iter().flatten().copied().collect();
        let read = shards.into_iter().map(async |shard| {
            let location = lake.at(layout::customers(Table::CustomerTrusted, shard));
            let row_counts = inputs.decoded(&self.function.row_counts, &location, FileRowCounts::decode).await?;
            Ok::<_, Error>(row_counts.map(|row_counts| (shard, row_counts)))
        });
        let shards: BTreeMap<Shard, Arc<FileRowCounts>> =
            store::try_join_bounded(read).await?.into_iter().flatten().collect();
        let mut derived = Materialized { bodies: Vec::new(), report: Vec::new() };
        for ((row_counts, announced), stored) in self.row_counts.iter().zip(announced).zip(stored.chunks(2)) {
            let [receipt, quarantine] = stored else { return Err(Error::Outdated) };
            // Those that any version of the file may have customers in.
            let shards = announced.iter().filter_map(|shard| Some((*shard, shards.get(shard)?.as_ref())));
            let (bodies, told) = row_counts.materialize(receipt, quarantine, shards)?;
            derived.bodies.extend(bodies);
            derived.report.push(told);
        }
        Ok(derived)
    }
}

impl RowCounts<'_> {
    fn materialize<'s>(
        &self,
        stored_receipt: &Stored,
        stored_quarantine: &Stored,
        shards: impl Iterator<Item = (Shard, &'s FileRowCounts)>,
    ) -> Result<([Option<Bytes>; 2], Told), Error> {
        let corrupt = || Error::corrupt(stored_receipt.location.clone());
        let was = stored_receipt.body.as_ref().map(Receipt::decode).transpose().map_err(corrupt())?;
        let mut receipt = match (self.landed, &was) {
            (Some(landed), _) => self.receipt_of(landed),
            (None, Some(was)) => with_no_account(was),
            // A file that has no receipt yet has an event of its own.
            (None, None) => return Ok(([None, None], None)),
        };
        let mut changed = ShardVersions::new();
        for (shard, row_counts) in shards {
            receipt.derived_from.insert(shard, row_counts.version());
            if let Some((row_counts, version)) = row_counts.of(&self.name) {
                changed.insert(shard, version);
                receipt.keep(layout::customers(Table::CustomerTrusted, shard), row_counts.kept);
                row_counts.excluded.iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
            }
        }
        let seen = |was: &Receipt, shard| was.derived_from.get(shard).copied().unwrap_or(0);
        let is_older = |was: &Receipt| changed.iter().any(|(shard, version)| seen(was, shard) < *version);
        let says_the_same = |was: &Receipt| was.says_the_same(&receipt) && !is_older(was);
        let body =
            if was.as_ref().is_some_and(says_the_same) { None } else { Some(receipt.encode().map_err(corrupt())?) };
        let quarantine = self.landed.map(|landed| landed.quarantine.file());
        let was = stored_quarantine.body.as_deref().unwrap_or_default();
        let bodies = [body, quarantine.filter(|file| *file != was)];
        let writes = bodies.iter().flatten().count();
        Ok((bodies, Some((receipt, writes))))
    }

    fn receipt_of(&self, landed: &LandingFile<Customers>) -> Receipt {
        let version = LandingVersion { location: self.location.clone(), etag: landed.etag.clone() };
        let mut receipt = Receipt::new(Source::Customer, &self.name, version, &landed.quarantine);
        receipt.undecodable = landed.undecodable.as_ref().map(ToString::to_string);
        landed.records.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        receipt.superseded_within = landed.records.excluded().clone();
        receipt
    }
}

/// What a receipt says of the file itself, without its row_counts in the shards.
fn with_no_account(receipt: &Receipt) -> Receipt {
    let mut receipt = receipt.clone();
    receipt.kept = 0;
    receipt.outputs.clear();
    receipt.derived_from.clear();
    receipt.excluded = receipt.superseded_within.clone();
    receipt.rows = receipt.quarantined + receipt.excluded.values().sum::<u64>();
    receipt
}
