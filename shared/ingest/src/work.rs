//! Does work items: filters cells by changed consents.
//!
//! A withdrawal needs no landing file: the rows of the customer are removed from the cells. Only a customer who is eligible
//! now may get rows back, and then the customer's files are read.

use crate::customers::Customers;
use crate::{ReadingFiles, Rule, content, manifest};
use engine::Error;
use formats::cell::ShardVersions;
use formats::reading::{Key, Reading, Readings};
use formats::work_item::WorkItem;
use model::hash::KeyHash;
use model::layout::{FileId, ObjectLocation};
use model::slice::Slice;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Snapshot;

/// Cells whose rows are filtered by changed consents.
pub(crate) struct Rework<R: Rule> {
    /// For each cell the keys whose consent changed. A later change of a key concerns only the cells that the index has for it
    /// then, so the rows of a key may be touched in its own cells only.
    pub(crate) cells: BTreeMap<Slice, BTreeMap<KeyHash, BTreeSet<FileId>>>,
    /// The keys whose files were read: an eligible customer owns them.
    pub(crate) eligible: Arc<BTreeSet<KeyHash>>,
    /// For each changed shard the last version in which a key changed.
    pub(crate) changed: ShardVersions,
    pub(crate) customers: Arc<Customers<R>>,
    /// The files that have readings of eligible keys.
    pub(crate) files: BTreeMap<FileId, FreshFile<R::Reading>>,
}

/// The current version of a landing file.
pub(crate) struct FreshFile<R: Reading> {
    pub(crate) generation: u64,
    /// Its readings of eligible keys.
    pub(crate) readings: Readings<R>,
}

impl<R: Rule> ReadingFiles<R> {
    /// Does the work item at `location`, and deletes it.
    ///
    /// # Errors
    /// If a landing file cannot be read, only after all cells were filtered: the rows of a customer who has withdrawn are gone
    /// by then, and the item stays until the file can be read.
    pub(crate) async fn work(&self, location: &ObjectLocation) -> Result<(), Error> {
        let store = &self.lake().store;
        let Some(body) = Snapshot::read(store, location).await?.body else { return Ok(()) };
        let item = WorkItem::decode(&body).map_err(Error::corrupt(location.clone()))?;
        self.filter_cells(item).await?;
        store.delete(location).await?;
        tracing::info!(item = %location, "change of consent is done in the cells of the item");
        Ok(())
    }

    async fn filter_cells(&self, item: WorkItem) -> Result<(), Error> {
        let keys = item.keys();
        let customers = self.customers(keys.iter().copied().collect()).await?;
        self.check_planned(&item, &customers)?;
        let mut eligible = BTreeSet::new();
        for key in &keys {
            // Only whether there is an owner is asked.
            let key = Key { text: String::new(), hash: *key };
            if customers.owner(&key).is_some() {
                eligible.insert(key.hash);
            }
        }
        let of_eligible = item.cells.values().flatten().filter(|(key, _)| eligible.contains(key));
        let files: BTreeSet<FileId> = of_eligible.flat_map(|(_, files)| files).copied().collect();
        let slices: Arc<BTreeSet<Slice>> = Arc::new(item.cells.keys().copied().collect());
        if !files.is_empty() && eligible.len() < keys.len() {
            // A landing file that cannot be read must not keep the rows of a customer who has withdrawn.
            let (files, eligible) = Default::default();
            let (cells, changed, customers) = (item.cells.clone(), item.changed.clone(), customers.clone());
            self.rework_all(Rework { cells, eligible, changed, customers, files }).await?;
        }
        let eligible = Arc::new(eligible);
        let reads = files.into_iter().map(|file| {
            let (of, eligible, slices) = (self.clone(), eligible.clone(), slices.clone());
            async move { (file, of.fresh(file, &eligible, &slices).await) }
        });
        let (mut files, mut unreadable) = (BTreeMap::new(), None);
        for (file, fresh) in store::join_bounded(reads.collect::<Vec<_>>()).await {
            match fresh {
                Ok(fresh) => files.extend(fresh.map(|fresh| (file, fresh))),
                Err(error) => unreadable = Some(error),
            }
        }
        let WorkItem { cells, changed, .. } = item;
        self.rework_all(Rework { cells, eligible, changed, customers, files }).await?;
        unreadable.map_or(Ok(()), Err)
    }

    /// Reworks all cells, and registers their partitions.
    async fn rework_all(&self, work: Rework<R>) -> Result<(), Error> {
        let slices: Vec<Slice> = work.cells.keys().copied().collect();
        let work = Arc::new(work);
        let cells = slices.into_iter().map(|slice| {
            let (files, work) = (self.clone(), work.clone());
            async move { (slice, files.rework(slice, work).await) }
        });
        let (mut had_rows, mut failed) = (BTreeSet::new(), None);
        for (slice, cell) in store::join_bounded(cells.collect::<Vec<_>>()).await {
            match cell {
                Ok(has_rows) => had_rows.extend(has_rows.then_some(slice.partition)),
                Err(error) => failed = Some(error),
            }
        }
        self.lake().catalog.register(R::Reading::TRUSTED, &had_rows).await?;
        failed.map_or(Ok(()), Err)
    }

    /// Checks that no shard is older than the version that the work was planned from.
    fn check_planned(&self, item: &WorkItem, customers: &Customers<R>) -> Result<(), Error> {
        let versions = customers.versions();
        let is_older = |(shard, planned): (&_, &u64)| versions.get(shard).copied().unwrap_or(0) < *planned;
        match item.planned.iter().find(|(shard, planned)| is_older((shard, planned))) {
            Some((shard, _)) => Err(Error::PutBack { location: self.lake().at(R::shard_at(*shard)) }),
            None => Ok(()),
        }
    }

    /// Reads the eligible readings of a file in these slices; none if the file is deleted, or if its manifest does not
    /// describe the version that is there. The event of that version follows.
    async fn fresh(
        &self,
        file: FileId,
        eligible: &BTreeSet<KeyHash>,
        slices: &BTreeSet<Slice>,
    ) -> Result<Option<FreshFile<R::Reading>>, Error> {
        let Some(manifest) = manifest::read::<R::Reading>(self.lake(), file).await? else { return Ok(None) };
        let Some(mut content) = content::read::<R::Reading>(self.lake(), &manifest.landing).await? else {
            return Ok(None);
        };
        if content.etag != manifest.etag || content.undecodable_name() != manifest.undecodable.as_deref() {
            return Ok(None);
        }
        let count = self.lake().config().slices_per_hour;
        content.readings.retain(|key, ms| eligible.contains(&key) && slices.contains(&count.slice_of(ms)));
        Ok(Some(FreshFile { generation: manifest.generation, readings: content.readings }))
    }
}
