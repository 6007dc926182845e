//! Up to which version of an input its changes were carried on.

use crate::Error;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use store::lake::Lake;
use store::{Put, Read, Version};

/// A checkpoint: a number in an object. It is read before the work and advanced after it, never earlier: work that was cut
/// short is then done again.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    location: ObjectLocation,
    version: Version,
    seen: u64,
}

impl Checkpoint {
    /// Reads the checkpoint at `key`; 0 if there is none yet.
    pub async fn read(lake: &Lake, key: String) -> Result<Self, Error> {
        let location = lake.at(key);
        match lake.store.read(&location, None).await? {
            Read::Found { etag, body } => {
                let text = String::from_utf8_lossy(&body);
                let seen = text.trim().parse().map_err(|error| Corrupt::new("checkpoint", error));
                let seen = seen.map_err(Error::corrupt(location.clone()))?;
                Ok(Self { location, version: Version::Etag(etag), seen })
            }
            Read::Absent | Read::Unchanged => Ok(Self { location, version: Version::Absent, seen: 0 }),
        }
    }

    /// The version up to which the work is done.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Says that the work is done, each up to a version. Whether all of that took: another may have moved a checkpoint
    /// meanwhile, then read them again.
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
