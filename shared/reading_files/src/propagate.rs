//! Carries changes of trust to the files they concern.

use crate::index::Unmerged;
use crate::{ReadingFiles, Rule, announce};
use derivation::{ATTEMPTS_MAX, Cursor, Error};
use lake::hash::{KeyHash, Shard};
use lake::layout;
use lake::reading::Reading;
use std::collections::BTreeSet;

/// Changes of a shard that are to be carried on.
struct Change {
    keys: Vec<KeyHash>,
    cursor: Cursor,
    /// The version of the shard in which they are.
    version: u64,
}

impl<R: Rule> ReadingFiles<R> {
    /// Derives again every file that has a key whose trust changed in one of `shards` since this was last done, each
    /// file once; then says that it is done. The entries of the index that are to be merged.
    ///
    /// The cursors are read before the shards and advanced after the work, by compare-and-swap. If another function
    /// moved one meanwhile, what is left is looked at again.
    pub async fn propagate(&self, shards: &BTreeSet<Shard>) -> Result<Unmerged, Error> {
        let mut unmerged = Unmerged::default();
        for _ in 0..ATTEMPTS_MAX {
            let mut keys: BTreeSet<KeyHash> = BTreeSet::new();
            let mut cursors = Vec::new();
            let changes = shards.iter().map(|shard| {
                let (files, shard) = (self.clone(), *shard);
                async move { files.changes(shard).await }
            });
            for change in aws::spread(changes).await {
                if let Some(Change { keys: changed, cursor, version }) = change? {
                    keys.extend(changed);
                    cursors.push((cursor, version));
                }
            }
            #[cfg(feature = "broken")]
            if derivation::broken::is(derivation::broken::Broken::EarlyCursor) {
                Cursor::advance_all(self.lake(), cursors).await?;
                return self.derive_again(&keys).await;
            }
            if !keys.is_empty() {
                unmerged = self.derive_again(&keys).await?;
            }
            if Cursor::advance_all(self.lake(), cursors).await? {
                return Ok(unmerged);
            }
        }
        Err(Error::Contended { place: self.lake().at(layout::cursors(R::Reading::TRUSTED)) })
    }

    /// What changed in a shard since its changes were last carried on.
    async fn changes(&self, shard: Shard) -> Result<Option<Change>, Error> {
        let cursor = Cursor::read(self.lake(), layout::cursor(R::Reading::TRUSTED, shard)).await?;
        let place = self.lake().at(layout::customers(R::TRUST, shard));
        let Some((_, customers)) = self.shards.read(&self.lake().store, &place, R::decode).await? else {
            return Ok(None);
        };
        let versions = R::versions(&customers).map_err(Error::corrupt(place))?;
        let keys = versions.changed_since(cursor.seen()).collect();
        Ok((versions.version > cursor.seen()).then_some(Change { keys, version: versions.version, cursor }))
    }

    async fn derive_again(&self, keys: &BTreeSet<KeyHash>) -> Result<Unmerged, Error> {
        let (files, unmerged) = self.files_with(keys).await?;
        let places = files.iter().map(async |file| {
            let key = layout::announcement(Self::SOURCE, file);
            // A file that is in the index but not announced has no outputs; whoever announces it sees the change.
            let (_, announcement) = announce::read(self.lake(), &key).await?;
            Ok::<_, Error>(announcement.map(|announcement| announcement.landing))
        });
        let places = aws::all(places).await?.into_iter().flatten().collect();
        let outcomes = self.bring_up_to_date(places, true).await;
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))?;
        Ok(unmerged)
    }
}
