//! Checkpoints: up to which version of an input its changes were processed.

use crate::Error;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use store::lake::Lake;
use store::{Put, Snapshot, Version};

/// A checkpoint: a version number in an object. A function reads it before the work and advances it after the work. If the
/// function is killed between the two, the next one repeats the work.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    location: ObjectLocation,
    version: Version,
    processed: u64,
}

impl Checkpoint {
    /// Reads the checkpoint at `key`; 0 if there is none yet.
    pub async fn read(lake: &Lake, key: String) -> Result<Self, Error> {
        let location = lake.at(key);
        let Snapshot { version, body } = Snapshot::read(&lake.store, &location).await?;
        let parse = |body: Bytes| {
            let text = String::from_utf8_lossy(&body);
            text.trim().parse().map_err(|error| Corrupt::new("checkpoint", error))
        };
        let processed = body.map(parse).transpose().map_err(Error::corrupt(location.clone()))?.unwrap_or(0);
        Ok(Self { location, version, processed })
    }

    /// The version of the input up to which its changes were processed.
    pub fn processed(&self) -> u64 {
        self.processed
    }

    /// Advances each checkpoint to a version of its input. Returns false if another function moved one of them; then read
    /// them again.
    ///
    /// This is one conditional put for each checkpoint and not [`store::compare_and_swap()`]: after a conflict, the caller must
    /// repeat the work before it puts again.
    pub async fn advance_all(lake: &Lake, checkpoints: Vec<(Self, u64)>) -> Result<bool, Error> {
        let puts =
            checkpoints.into_iter().map(|(checkpoint, version)| {
                let store = lake.store.clone();
                async move {
                    store.put(&checkpoint.location, Bytes::from(format!("{version}\n")), &checkpoint.version).await
                }
            });
        let puts = store::join_at_most(store::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(puts.iter().all(Put::is_done))
    }
}
