//! Carries changes of trust to the files they concern.

use crate::{ReadingFiles, Rule, announce};
use derivation::{ATTEMPTS_MAX, Cursor, Error};
use lake::hash::{KeyHash, Shard};
use lake::layout;
use lake::reading::Reading;
use std::collections::BTreeSet;

impl<R: Rule> ReadingFiles<R> {
    /// Derives again every file that has a key whose trust changed in one of `shards` since this was last done, each
    /// file once; then says that it is done.
    ///
    /// The cursors are read before the shards and advanced after the work, by compare-and-swap. If another function
    /// moved one meanwhile, what is left is looked at again.
    pub async fn propagate(&self, shards: &BTreeSet<Shard>) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let mut keys: BTreeSet<KeyHash> = BTreeSet::new();
            let mut cursors = Vec::new();
            for shard in shards {
                let cursor = Cursor::read(self.lake(), layout::cursor(R::Reading::TRUSTED, *shard)).await?;
                let place = self.lake().at(layout::customers(R::TRUST, *shard));
                let found = self.shards.read(&self.lake().store, &place, R::decode).await?;
                let Some((_, customers)) = found else { continue };
                let versions = R::versions(&customers);
                if versions.version > cursor.seen() {
                    keys.extend(versions.changed_since(cursor.seen()));
                    cursors.push((cursor, versions.version));
                }
            }
            #[cfg(feature = "broken")]
            if derivation::broken::is(derivation::broken::Broken::EarlyCursor) {
                for (cursor, version) in cursors {
                    cursor.advance(self.lake(), version).await?;
                }
                return self.derive_again(&keys).await;
            }
            if !keys.is_empty() {
                self.derive_again(&keys).await?;
            }
            let mut lost = false;
            for (cursor, version) in cursors {
                lost |= !cursor.advance(self.lake(), version).await?;
            }
            if !lost {
                return Ok(());
            }
        }
        Err(Error::Contended { place: self.lake().at(layout::cursors(R::Reading::TRUSTED)) })
    }

    async fn derive_again(&self, keys: &BTreeSet<KeyHash>) -> Result<(), Error> {
        for file in self.files_with(keys).await? {
            let key = layout::announcement(Self::SOURCE, &file);
            let (_, announcement) = announce::read(self.lake(), &key).await?;
            // A file that is in the index but not announced has no outputs; whoever announces it sees the change.
            if let Some(announcement) = announcement {
                self.bring_up_to_date(&announcement.landing, true).await?;
            }
        }
        Ok(())
    }
}
