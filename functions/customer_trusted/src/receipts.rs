//! The receipts of customer files.
//!
//! A later file changes the row counts of an earlier one, because it supersedes records. A shard stores, for each file, the
//! version in which its row counts last changed. So receipts follow the shards as reprocessing follows changes of consent:
//! by a checkpoint that is advanced after the work.

use crate::CustomerTrusted;
use crate::shards::File;
use bytes::Bytes;
use engine::landing_file::LandingFile;
use engine::log::{self, Timer};
use engine::{ATTEMPTS_MAX, Cause, Checkpoint, Error, Inputs, Materialize, Materialized, Stored, commit};
use formats::cell::ShardVersions;
use formats::customer_file::Customers;
use formats::customer_shard::row_counts::FileRowCounts;
use formats::manifest::CustomerFileManifest;
use formats::receipt::{LandingVersion, Receipt};
use model::hash::Shard;
use model::layout::{self, FileId, ObjectLocation, Source};
use model::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Version;

/// How many receipts are committed together.
const FILES_MAX: usize = 64;

/// Commits the receipts of `files`, and of each file whose row counts changed in one of the `touched` shards.
pub(crate) async fn commit_all(
    function: &CustomerTrusted,
    files: &[File],
    touched: &BTreeSet<Shard>,
) -> Result<(), Error> {
    let CustomerTrusted { lake, row_counts } = function;
    let mut due: BTreeMap<FileId, ObjectLocation> = files.iter().map(|f| (f.id, f.location.clone())).collect();
    for _ in 0..ATTEMPTS_MAX {
        let mut checkpoints = Vec::new();
        let read = store::try_join_bounded(touched.iter().map(async |shard| {
            let checkpoint = Checkpoint::read(lake, layout::checkpoint(Table::CustomerTrusted, *shard)).await?;
            let location = lake.at(layout::customers(Table::CustomerTrusted, *shard));
            let row_counts = row_counts.read(&lake.store, &location, FileRowCounts::decode).await?;
            Ok::<_, Error>(row_counts.map(|(_, row_counts)| (checkpoint, row_counts)))
        }));
        for (checkpoint, row_counts) in read.await?.into_iter().flatten() {
            if row_counts.version() > checkpoint.processed() {
                let changed = row_counts.changed_since(checkpoint.processed());
                due.extend(changed.map(|(file, location)| (file, location.clone())));
                checkpoints.push((checkpoint, row_counts.version()));
            }
        }
        let due: Vec<DueReceipt<'_>> = std::mem::take(&mut due)
            .into_iter()
            .map(|(id, location)| {
                let content = files.iter().find(|file| file.id == id).map(|file| &file.content);
                DueReceipt { id, location, content }
            })
            .collect();
        for due in due.chunks(FILES_MAX) {
            commit_batch(function, due).await?;
        }
        if Checkpoint::advance_all(lake, checkpoints).await? {
            return Ok(());
        }
    }
    Err(Error::Contended { location: lake.at(layout::checkpoints(Table::CustomerTrusted)) })
}

async fn commit_batch(function: &CustomerTrusted, due: &[DueReceipt<'_>]) -> Result<(), Error> {
    let timer = Timer::start();
    let committed = commit(&function.lake, &Receipts { function, due }).await?;
    for (DueReceipt { location, content, .. }, report) in due.iter().zip(committed.report) {
        let Some((receipt, writes)) = report else { continue };
        let cause = if content.is_some() { Cause::Ingested } else { Cause::ConsentChanged };
        log::landing_file(location, &receipt, cause, writes, &timer);
        if cause == Cause::Ingested {
            log::count_ingested(&function.lake.counters, &receipt);
        }
    }
    Ok(())
}

/// A customer file whose receipt is due.
struct DueReceipt<'a> {
    id: FileId,
    location: ObjectLocation,
    /// The file, if its own event is the cause; else only its row counts in the shards changed.
    content: Option<&'a LandingFile<Customers>>,
}

/// The receipts and quarantines of customer files.
struct Receipts<'a> {
    function: &'a CustomerTrusted,
    due: &'a [DueReceipt<'a>],
}

/// A file's receipt, and how many of its objects get a new version; none if only its own event may write a receipt.
type ReceiptReport = Option<(Receipt, usize)>;

impl Materialize for Receipts<'_> {
    type Report = Vec<ReceiptReport>;

    fn outputs(&self) -> Vec<String> {
        let keys = |due: &DueReceipt<'_>| {
            [layout::receipt(Source::Customer, due.id), layout::quarantine(Source::Customer, due.id)]
        };
        self.due.iter().flat_map(keys).collect()
    }

    async fn materialize(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> Result<Materialized<Vec<ReceiptReport>>, Error> {
        let lake = &self.function.lake;
        let mut manifests = Vec::new();
        for due in self.due {
            if let Some(content) = due.content
                && inputs.version(&due.location).await? != Version::Etag(content.etag.clone())
            {
                return Err(Error::Outdated);
            }
            let at = lake.at(layout::manifest(Source::Customer, due.id));
            let manifest = inputs.read(&at).await?.as_ref().map(CustomerFileManifest::decode).transpose();
            manifests.push(manifest.map_err(Error::corrupt(at))?.map(|manifest| manifest.shards).unwrap_or_default());
        }
        let shards: BTreeSet<Shard> = manifests.iter().flatten().copied().collect();
        let read = shards.into_iter().map(async |shard| {
            let location = lake.at(layout::customers(Table::CustomerTrusted, shard));
            let row_counts = inputs.read_cached(&self.function.row_counts, &location, FileRowCounts::decode).await?;
            Ok::<_, Error>(row_counts.map(|row_counts| (shard, row_counts)))
        });
        let shards: BTreeMap<Shard, Arc<FileRowCounts>> =
            store::try_join_bounded(read).await?.into_iter().flatten().collect();
        let mut all = Materialized { bodies: Vec::new(), report: Vec::new() };
        for ((due, shards_of_file), stored) in self.due.iter().zip(manifests).zip(stored.chunks(2)) {
            let [receipt, quarantine] = stored else { return Err(Error::Outdated) };
            // The shards in which any version of the file may have customers.
            let shards = shards_of_file.iter().filter_map(|shard| Some((*shard, shards.get(shard)?.as_ref())));
            let (bodies, report) = due.materialize(receipt, quarantine, shards)?;
            all.bodies.extend(bodies);
            all.report.push(report);
        }
        Ok(all)
    }
}

impl DueReceipt<'_> {
    fn materialize<'s>(
        &self,
        stored_receipt: &Stored,
        stored_quarantine: &Stored,
        shards: impl Iterator<Item = (Shard, &'s FileRowCounts)>,
    ) -> Result<([Option<Bytes>; 2], ReceiptReport), Error> {
        let corrupt = || Error::corrupt(stored_receipt.location.clone());
        let was = stored_receipt.body.as_ref().map(Receipt::decode).transpose().map_err(corrupt())?;
        let mut receipt = match (self.content, &was) {
            (Some(content), _) => self.new_receipt(content),
            (None, Some(was)) => without_row_counts(was),
            // The file's own event will write its first receipt.
            (None, None) => return Ok(([None, None], None)),
        };
        let mut changed = ShardVersions::new();
        for (shard, row_counts) in shards {
            receipt.derived_from.insert(shard, row_counts.version());
            if let Some((row_counts, version)) = row_counts.of(self.id) {
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
        let quarantine = self.content.map(|content| content.quarantine.file());
        let was = stored_quarantine.body.as_deref().unwrap_or_default();
        let bodies = [body, quarantine.filter(|file| *file != was)];
        let writes = bodies.iter().flatten().count();
        Ok((bodies, Some((receipt, writes))))
    }

    fn new_receipt(&self, content: &LandingFile<Customers>) -> Receipt {
        let version = LandingVersion { location: self.location.clone(), etag: content.etag.clone() };
        let mut receipt = Receipt::new(Source::Customer, self.id, version, &content.quarantine);
        receipt.undecodable = content.undecodable.as_ref().map(ToString::to_string);
        content.records.excluded().iter().for_each(|(reason, rows)| receipt.exclude(reason, *rows));
        receipt.superseded_within = content.records.excluded().clone();
        receipt.withdrew = content.records.withdrew();
        receipt.suspended = content.records.suspended();
        receipt
    }
}

/// Returns the part of a receipt that depends on the file alone, without its row counts in the shards.
fn without_row_counts(receipt: &Receipt) -> Receipt {
    let mut receipt = receipt.clone();
    receipt.kept = 0;
    receipt.outputs.clear();
    receipt.derived_from.clear();
    receipt.excluded = receipt.superseded_within.clone();
    receipt.rows = receipt.quarantined + receipt.excluded.values().sum::<u64>();
    receipt
}
