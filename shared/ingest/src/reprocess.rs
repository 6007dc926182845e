//! Carries changes of trust to the files they concern.

use crate::index::PendingCompaction;
use crate::{ReadingFiles, Rule, manifest};
use engine::{ATTEMPTS_MAX, Checkpoint, Error};
use formats::reading::Reading;
use model::hash::{KeyHash, Shard};
use model::layout;
use std::collections::BTreeSet;

/// Changes of a shard that are to be carried on.
struct Change {
    keys: Vec<KeyHash>,
    checkpoint: Checkpoint,
    /// The version of the shard in which they are.
    version: u64,
}

impl<R: Rule> ReadingFiles<R> {
    /// Derives again every file that has a key whose trust changed in one of `shards` since this was last done, each
    /// file once; then says that it is done. The entries of the index that are to be compacted.
    ///
    /// The checkpoints are read before the shards and advanced after the work, by compare-and-swap. If another function
    /// moved one meanwhile, what is left is looked at again.
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

    /// What changed in a shard since its changes were last carried on.
    async fn changes(&self, shard: Shard) -> Result<Option<Change>, Error> {
        let checkpoint = Checkpoint::read(self.lake(), layout::checkpoint(R::Reading::TRUSTED, shard)).await?;
        let location = self.lake().at(layout::customers(R::CUSTOMERS, shard));
        let Some((_, customers)) = self.shards.read(&self.lake().store, &location, R::decode).await? else {
            return Ok(None);
        };
        let versions = R::versions(&customers).map_err(Error::corrupt(location))?;
        let keys = versions.changed_since(checkpoint.seen()).collect();
        Ok((versions.version > checkpoint.seen()).then_some(Change { keys, version: versions.version, checkpoint }))
    }

    async fn reprocess_files(&self, keys: &BTreeSet<KeyHash>) -> Result<PendingCompaction, Error> {
        let (files, pending) = self.files_with(keys).await?;
        let locations = files.iter().map(async |file| {
            let key = layout::manifest(Self::SOURCE, file);
            // A file that is in the index but not announced has no outputs; whoever announces it sees the change.
            let (_, manifest) = manifest::read(self.lake(), &key).await?;
            Ok::<_, Error>(manifest.map(|manifest| manifest.landing))
        });
        let locations = store::try_join_bounded(locations).await?.into_iter().flatten().collect();
        let outcomes = self.bring_up_to_date(locations, true).await;
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))?;
        Ok(pending)
    }
}
