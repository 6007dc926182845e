//! Plans changes of consent: finds the cells of the changed keys, and writes work items for them.

use crate::index::{Found, PendingCompaction};
use crate::{ReadingFiles, Rule};
use bytes::Bytes;
use engine::{ATTEMPTS_MAX, Checkpoint, Error, Progress};
use formats::reading::Reading;
use formats::work_item::WorkItem;
use model::hash::{KeyHash, Shard, content_name};
use model::layout::{self, FileSlice};
use std::collections::{BTreeMap, BTreeSet};
use store::Version;

/// A work item has at most so many cells,
const CELLS_MAX: usize = 32;
/// and so many files, each counted for each of its keys and cells. So the files and cells of an item take at most 1,088
/// requests in a first attempt: two for each file, and two for each cell.
const FILES_MAX: usize = 512;

/// The next unplanned changes of a shard.
struct Change {
    shard: Shard,
    /// The changed keys, each with the version in which it last changed.
    keys: Vec<(KeyHash, u64)>,
    checkpoint: Checkpoint,
    /// How far the changes are processed when these keys are planned.
    progress: Progress,
    /// The version of the shard that has them.
    version: u64,
}

/// The changes of several shards, by key.
#[derive(Default)]
struct Changes {
    /// For each key the shards in which it changed, and the versions in which it last did.
    of_keys: BTreeMap<KeyHash, Vec<(Shard, u64)>>,
    /// The versions of the shards.
    versions: BTreeMap<Shard, u64>,
}

impl<R: Rule> ReadingFiles<R> {
    /// Writes work items for each cell that has a key whose consent changed in one of `shards` since the checkpoint, and
    /// advances the checkpoints. Returns the segments of the key index that are worth compacting.
    ///
    /// The checkpoints are read before the shards, the index after them, and the checkpoints are advanced after the items are
    /// written. On a conflict, another function has advanced one; then this reads all of them again. Many keys take several
    /// rounds.
    pub(crate) async fn plan(&self, shards: &BTreeSet<Shard>) -> Result<PendingCompaction, Error> {
        let (mut pending, mut conflicts) = (PendingCompaction::default(), 0);
        while conflicts < ATTEMPTS_MAX {
            let changes = shards.iter().map(|shard| {
                let (files, shard) = (self.clone(), *shard);
                async move { files.changes(shard).await }
            });
            let (mut all, mut checkpoints) = (Changes::default(), Vec::new());
            for change in store::join_bounded(changes).await {
                let Some(Change { shard, keys, checkpoint, progress, version }) = change? else { continue };
                keys.into_iter().for_each(|(key, changed)| all.of_keys.entry(key).or_default().push((shard, changed)));
                all.versions.insert(shard, version);
                checkpoints.push((checkpoint, progress));
            }
            if checkpoints.is_empty() {
                return Ok(pending);
            }
            #[cfg(feature = "broken")]
            if engine::broken::is(engine::broken::Broken::EarlyCheckpoint) {
                Checkpoint::advance_all(self.lake(), checkpoints).await?;
                return self.write_items(&all).await;
            }
            if !all.of_keys.is_empty() {
                pending = self.write_items(&all).await?;
            }
            let is_last = checkpoints.iter().all(|(_, progress)| progress.up_to.is_none());
            match Checkpoint::advance_all(self.lake(), checkpoints).await? {
                true if is_last => return Ok(pending),
                true => conflicts = 0,
                false => conflicts += 1,
            }
        }
        Err(Error::Contended { location: self.lake().at(layout::checkpoints(R::Reading::TRUSTED)) })
    }

    /// Reads the next changes of a shard since its checkpoint; none if all are processed.
    async fn changes(&self, shard: Shard) -> Result<Option<Change>, Error> {
        let checkpoint = Checkpoint::read(self.lake(), layout::checkpoint(R::Reading::TRUSTED, shard)).await?;
        let location = self.lake().at(R::shard_at(shard));
        let Some((_, customers)) = self.shards.read(&self.lake().store, &location, R::decode).await? else {
            return checkpoint.check(0, &location).map(|()| None);
        };
        let versions = R::versions(&customers).map_err(Error::corrupt(location.clone()))?;
        let (version, processed) = (versions.version, checkpoint.processed());
        checkpoint.check(version, &location)?;
        let all = Progress { version, up_to: None };
        if processed == all {
            return Ok(None);
        }
        let mut keys: Vec<(KeyHash, u64)> =
            versions.changed_from(processed.version).filter(|(key, changed)| !processed.has(*key, *changed)).collect();
        let mut progress = all;
        if keys.len() > self.limits.planned_max {
            keys.sort_unstable_by_key(|(key, changed)| (*changed, *key));
            keys.truncate(self.limits.planned_max);
            progress = keys.last().map_or(all, |(key, changed)| Progress { version: *changed, up_to: Some(*key) });
        }
        Ok(Some(Change { shard, keys, progress, version, checkpoint }))
    }

    async fn write_items(&self, changes: &Changes) -> Result<PendingCompaction, Error> {
        let keys: BTreeSet<KeyHash> = changes.of_keys.keys().copied().collect();
        let (found, pending) = self.file_slices_with(&keys).await?;
        let mut objects: Vec<(String, Bytes)> = Vec::new();
        for item in changes.items(found) {
            let body =
                item.encode().map_err(Error::corrupt(self.lake().at(layout::work_items(R::Reading::TRUSTED))))?;
            objects.push((layout::work_item(R::Reading::TRUSTED, &content_name(&body)), body));
        }
        // A conflict: the item exists, and its event is on its way.
        let lake = self.lake();
        let puts =
            objects.into_iter().map(async |(key, body)| lake.store.put(&lake.at(key), body, &Version::Absent).await);
        store::try_join_bounded(puts).await?;
        Ok(pending)
    }
}

impl Changes {
    /// Divides the work into items of a bounded size.
    fn items(&self, found: Found) -> Vec<WorkItem> {
        let mut items: Vec<(WorkItem, usize)> = Vec::new();
        for (FileSlice { slice, file }, key) in found {
            let has_room = |(item, files): &(WorkItem, usize)| {
                *files < FILES_MAX && (item.cells.len() < CELLS_MAX || item.cells.contains_key(&slice))
            };
            if !items.last().is_some_and(has_room) {
                items.push(Default::default());
            }
            let Some((item, files)) = items.last_mut() else { continue };
            item.cells.entry(slice).or_default().entry(key).or_default().insert(file);
            *files += 1;
            for (shard, changed) in self.of_keys.get(&key).into_iter().flatten() {
                let of_shard = item.changed.entry(*shard).or_default();
                *of_shard = (*of_shard).max(*changed);
                item.planned.extend(self.versions.get(shard).map(|version| (*shard, *version)));
            }
        }
        items.into_iter().map(|(item, _)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::hash::HashKey;
    use model::hash::ShardCount;
    use model::layout::{FileId, ObjectLocation};
    use model::slice::SlicesPerHour;
    use model::time::TIME_MS_MIN;

    fn file(n: usize) -> FileId {
        FileId::of(&HashKey::public(), &ObjectLocation { bucket: "b".into(), key: n.to_string() })
    }

    /// Two keys that changed, and files of both in some hours.
    fn items(hours: i64, files: usize) -> Vec<WorkItem> {
        let keys = ["a", "b"].map(|key| HashKey::public().of(key));
        let shard = ShardCount::default().all().next().into_iter();
        let changes = Changes {
            of_keys: keys
                .iter()
                .zip([5, 7])
                .map(|(key, at)| (*key, shard.clone().map(|shard| (shard, at)).collect()))
                .collect(),
            versions: shard.map(|shard| (shard, 9)).collect(),
        };
        let slices = (0..hours).map(|hour| SlicesPerHour::default().slice_of(TIME_MS_MIN + hour * 3_600_000));
        let file_slices = slices.flat_map(|slice| (0..files).map(move |n| FileSlice { slice, file: file(n) }));
        changes.items(file_slices.flat_map(|file_slice| keys.map(|key| (file_slice, key))).collect())
    }

    #[test]
    fn items_are_bounded_and_have_all_the_work() {
        for (hours, files) in [(1, 1), (1, 2_000), (100, 1), (100, 40)] {
            let items = items(hours, files);
            let work = |item: &WorkItem| {
                item.cells.values().flat_map(|keys| keys.values()).map(|files| files.len()).sum::<usize>()
            };
            assert!(
                items.iter().all(|item| item.cells.len() <= CELLS_MAX && work(item) <= FILES_MAX),
                "{hours} {files}"
            );
            assert_eq!(items.iter().map(work).sum::<usize>(), 2 * files * hours as usize);
            assert!(items.iter().all(|item| item.planned.values().all(|version| *version == 9)));
        }
    }

    #[test]
    fn an_item_names_the_last_version_in_which_one_of_its_keys_changed() {
        let items = items(1, 1);
        assert_eq!(items[0].changed.values().copied().collect::<Vec<_>>(), [7]);
        assert_eq!(items[0].keys().len(), 2);
    }

    #[test]
    fn the_same_changes_give_the_same_items() {
        let encoded = || items(40, 30).iter().map(|item| item.encode().unwrap()).collect::<Vec<_>>();
        assert_eq!(encoded(), encoded());
        assert!(encoded().iter().zip(items(40, 30)).all(|(bytes, item)| WorkItem::decode(bytes).unwrap() == item));
    }
}
