//! Processes changes of consent: finds the files of the changed keys and computes their outputs again.

use crate::index::PendingCompaction;
use crate::{ReadingFiles, Rule, manifest};
use engine::{ATTEMPTS_MAX, Cause, Checkpoint, Error};
use formats::reading::Reading;
use model::hash::{KeyHash, Shard};
use model::layout;
use std::collections::BTreeSet;

/// The unprocessed changes of a shard.
struct Change {
    keys: Vec<KeyHash>,
    checkpoint: Checkpoint,
    /// The version of the shard that has them.
    version: u64,
}

impl<R: Rule> ReadingFiles<R> {
    /// Reprocesses each file that has a key whose consent changed in one of `shards` since the checkpoint. Then advances the
    /// checkpoints. Returns the segments of the key index that are worth compacting.
    ///
    /// The checkpoints are read before the shards and advanced after the work. On a conflict, another function has advanced
    /// one; then this reads all of them again and repeats the work that is left.
    pub async fn reprocess(&self, shards: &BTreeSet<Shard>) -> Result<PendingCompaction, Error> {
        let mut pending = PendingCompaction::default();
        for _ in 0..ATTEMPTS_MAX {
            let mut keys: BTreeSet<KeyHash> = BTreeSet::new();
            let mut checkpoints = Vec::new();
            let changes = shards.iter().map(|shard| {
                let (files, shard) = (self.clone(), *shard);
                async move { files.changes(shard).await }
            });
            for change in store::join_bounded(changes).await {
                if let Some(Change { keys: changed, checkpoint, version }) = change? {
                    keys.extend(changed);
                    checkpoints.push((checkpoint, version));
                }
            }
            #[cfg(feature = "broken")]
            if engine::broken::is(engine::broken::Broken::EarlyCheckpoint) {
                Checkpoint::advance_all(self.lake(), checkpoints).await?;
                return self.reprocess_files(&keys).await;
            }
            if !keys.is_empty() {
                pending = self.reprocess_files(&keys).await?;
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
        let keys = versions.changed_since(checkpoint.processed()).collect();
        Ok((versions.version > checkpoint.processed()).then_some(Change {
            keys,
            version: versions.version,
            checkpoint,
        }))
    }

    async fn reprocess_files(&self, keys: &BTreeSet<KeyHash>) -> Result<PendingCompaction, Error> {
        let (files, pending) = self.files_with(keys).await?;
        let locations = files.iter().map(async |file| {
            let key = layout::manifest(Self::SOURCE, file);
            // A file without a manifest has no outputs. The function that writes its manifest reads the changed consent.
            let (_, manifest) = manifest::read(self.lake(), &key).await?;
            Ok::<_, Error>(manifest.map(|manifest| manifest.landing))
        });
        let locations = store::try_join_bounded(locations).await?.into_iter().flatten().collect();
        let outcomes = self.process(locations, Cause::ConsentChanged).await;
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))?;
        Ok(pending)
    }
}
