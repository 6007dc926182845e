//! Processes changes of consent: finds the cells of the changed keys, and filters them.
//!
//! A withdrawal needs no landing file: the rows of the customer are removed from the cells. Only a customer who is eligible
//! now may get rows back, and then the customer's files are read.

use crate::customers::Customers;
use crate::index::PendingCompaction;
use crate::{ReadingFiles, Rule, content, manifest};
use engine::{ATTEMPTS_MAX, Checkpoint, Error};
use formats::reading::{Key, Reading, Readings};
use model::hash::{KeyHash, Shard};
use model::layout::{self, FileHour, FileId};
use model::time::Partition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many files at most are read before their cells are written, unless one cell has more.
const FILES_MAX: usize = 256;

/// The unprocessed changes of a shard.
struct Change {
    shard: Shard,
    keys: Vec<KeyHash>,
    /// The last version in which a key changed.
    changed: u64,
    checkpoint: Checkpoint,
    /// The version of the shard that has them.
    version: u64,
}

/// Cells whose rows are filtered by changed consents.
pub(crate) struct Rework<R: Rule> {
    /// The keys whose consent changed.
    pub(crate) keys: Arc<BTreeSet<KeyHash>>,
    /// Those of them that an eligible customer owns.
    pub(crate) eligible: Arc<BTreeSet<KeyHash>>,
    /// For each changed shard the last version in which a key changed.
    pub(crate) changed: BTreeMap<Shard, u64>,
    pub(crate) customers: Arc<Customers<R::Shard>>,
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
    /// Filters each cell that has a key whose consent changed in one of `shards` since the checkpoint. Then advances the
    /// checkpoints. Returns the segments of the key index that are worth compacting.
    ///
    /// The checkpoints are read before the shards and advanced after the work. On a conflict, another function has advanced
    /// one; then this reads all of them again and repeats the work that is left.
    pub async fn reprocess(&self, shards: &BTreeSet<Shard>) -> Result<PendingCompaction, Error> {
        let mut pending = PendingCompaction::default();
        for _ in 0..ATTEMPTS_MAX {
            let changes = shards.iter().map(|shard| {
                let (files, shard) = (self.clone(), *shard);
                async move { files.changes(shard).await }
            });
            let (mut keys, mut changed, mut checkpoints) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
            for change in store::join_bounded(changes).await {
                let Some(change) = change? else { continue };
                if !change.keys.is_empty() {
                    changed.insert(change.shard, change.changed);
                    keys.extend(change.keys);
                }
                checkpoints.push((change.checkpoint, change.version));
            }
            #[cfg(feature = "broken")]
            if engine::broken::is(engine::broken::Broken::EarlyCheckpoint) {
                Checkpoint::advance_all(self.lake(), checkpoints).await?;
                return self.rework_keys(keys, changed).await;
            }
            if !keys.is_empty() {
                pending = self.rework_keys(keys, changed).await?;
            }
            if Checkpoint::advance_all(self.lake(), checkpoints).await? {
                return Ok(pending);
            }
        }
        Err(Error::Contended { location: self.lake().at(layout::checkpoints(R::Reading::TRUSTED)) })
    }

    /// Reads the changes of a shard since its checkpoint.
    async fn changes(&self, shard: Shard) -> Result<Option<Change>, Error> {
        let checkpoint = Checkpoint::read(self.lake(), layout::checkpoint(R::Reading::TRUSTED, shard)).await?;
        let location = self.lake().at(layout::customers(R::CUSTOMERS, shard));
        let Some((_, customers)) = self.shards.read(&self.lake().store, &location, R::decode).await? else {
            return Ok(None);
        };
        let versions = R::versions(&customers).map_err(Error::corrupt(location))?;
        if versions.version <= checkpoint.processed() {
            return Ok(None);
        }
        let keys: Vec<KeyHash> = versions.changed_since(checkpoint.processed()).collect();
        let changed = keys.iter().map(|key| versions.changed(*key)).max().unwrap_or(0);
        Ok(Some(Change { shard, keys, changed, version: versions.version, checkpoint }))
    }

    /// Filters the cells of changed keys, and registers their partitions.
    ///
    /// # Errors
    /// If a file cannot be read, only after all cells were filtered: the rows of a customer who has withdrawn are gone by then.
    async fn rework_keys(
        &self,
        keys: BTreeSet<KeyHash>,
        changed: BTreeMap<Shard, u64>,
    ) -> Result<PendingCompaction, Error> {
        let customers = self.customers(keys.iter().copied().collect()).await?;
        let mut eligible = BTreeSet::new();
        for key in &keys {
            // Only whether there is an owner is asked.
            let key = Key { text: String::new(), hash: *key };
            if self.owner(&customers, &key)?.is_some() {
                eligible.insert(key.hash);
            }
        }
        let (file_hours, pending) = self.file_hours_with(&keys).await?;
        let fresh = match eligible.len() == keys.len() {
            true => file_hours.clone(),
            false => self.file_hours_with(&eligible).await?.0,
        };
        let mut cells: BTreeMap<Partition, BTreeSet<FileId>> =
            file_hours.iter().map(|file_hour| (file_hour.partition, BTreeSet::new())).collect();
        for FileHour { partition, file } in fresh {
            cells.entry(partition).or_default().insert(file);
        }
        let (keys, eligible) = (Arc::new(keys), Arc::new(eligible));
        let (mut had_rows, mut unreadable) = (BTreeSet::new(), None);
        for cells in groups(cells) {
            let files: BTreeSet<FileId> = cells.values().flatten().copied().collect();
            let partitions: Arc<BTreeSet<Partition>> = Arc::new(cells.into_keys().collect());
            let reads = files.into_iter().map(|file| {
                let (of, eligible, partitions) = (self.clone(), eligible.clone(), partitions.clone());
                async move { (file, of.fresh(file, &eligible, &partitions).await) }
            });
            let mut files = BTreeMap::new();
            for (file, fresh) in store::join_bounded(reads).await {
                match fresh {
                    Ok(fresh) => files.extend(fresh.map(|fresh| (file, fresh))),
                    Err(error) => unreadable = Some(error),
                }
            }
            let work = Arc::new(Rework {
                keys: keys.clone(),
                eligible: eligible.clone(),
                changed: changed.clone(),
                customers: customers.clone(),
                files,
            });
            let cells = partitions.iter().map(|partition| {
                let (files, work, partition) = (self.clone(), work.clone(), *partition);
                async move { Ok::<_, Error>((partition, files.rework(partition, work).await?)) }
            });
            for cell in store::join_bounded(cells.collect::<Vec<_>>()).await {
                let (partition, has_rows) = cell?;
                had_rows.extend(has_rows.then_some(partition));
            }
        }
        self.lake().catalog.register(R::Reading::TRUSTED, &had_rows).await?;
        match unreadable {
            #[cfg(feature = "broken")]
            Some(_) if engine::broken::is(engine::broken::Broken::UnreadableCountsAsDone) => Ok(pending),
            Some(error) => Err(error),
            None => Ok(pending),
        }
    }

    /// Reads the eligible readings of a file in these partitions; none if the file is deleted, or if its manifest does not
    /// describe the version that is there. The event of that version follows.
    async fn fresh(
        &self,
        file: FileId,
        eligible: &BTreeSet<KeyHash>,
        partitions: &BTreeSet<Partition>,
    ) -> Result<Option<FreshFile<R::Reading>>, Error> {
        let Some(manifest) = manifest::read::<R::Reading>(self.lake(), file).await? else { return Ok(None) };
        let Some(mut content) = content::read::<R::Reading>(&self.lake().store, &manifest.landing).await? else {
            return Ok(None);
        };
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::WorkerIgnoresManifest) {
            content.etag.clone_from(&manifest.etag);
        }
        if content.etag != manifest.etag {
            return Ok(None);
        }
        content.readings.retain(|key, partition| eligible.contains(&key) && partitions.contains(&partition));
        Ok(Some(FreshFile { generation: manifest.generation, readings: content.readings }))
    }
}

/// Groups cells so that the files of a group fit into memory together.
fn groups(cells: BTreeMap<Partition, BTreeSet<FileId>>) -> Vec<BTreeMap<Partition, BTreeSet<FileId>>> {
    let mut groups: Vec<BTreeMap<Partition, BTreeSet<FileId>>> = Vec::new();
    let mut files: BTreeSet<FileId> = BTreeSet::new();
    for (partition, of_cell) in cells {
        files.extend(&of_cell);
        match groups.last_mut() {
            Some(group) if files.len() <= FILES_MAX => drop(group.insert(partition, of_cell)),
            _ => {
                files = of_cell.clone();
                groups.push([(partition, of_cell)].into());
            }
        }
    }
    groups
}
