//! Up to which version of an input its changes were carried on.

use crate::Error;
use aws::lake::Lake;
use aws::store::{Put, Read, Version};
use bytes::Bytes;
use lake::Corrupt;
use lake::layout::Place;

/// A cursor: a number in an object. It is read before the work and advanced after it, never earlier: work that was cut
/// short is then done again.
#[derive(Clone, Debug)]
pub struct Cursor {
    place: Place,
    version: Version,
    seen: u64,
}

impl Cursor {
    /// Reads the cursor at `key`; 0 if there is none yet.
    pub async fn read(lake: &Lake, key: String) -> Result<Self, Error> {
        let place = lake.at(key);
        match lake.store.read(&place, None).await? {
            Read::Found { etag, body } => {
                let text = String::from_utf8_lossy(&body);
                let seen = text.trim().parse().map_err(|error| Corrupt::new("cursor", error));
                let seen = seen.map_err(Error::corrupt(place.clone()))?;
                Ok(Self { place, version: Version::Etag(etag), seen })
            }
            Read::Absent | Read::Unchanged => Ok(Self { place, version: Version::Absent, seen: 0 }),
        }
    }

    /// The version up to which the work is done.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Says that the work is done, each up to a version. Whether all of that took: another may have moved a cursor
    /// meanwhile, then read them again.
    pub async fn advance_all(lake: &Lake, cursors: Vec<(Self, u64)>) -> Result<bool, Error> {
        let puts = cursors.into_iter().map(|(cursor, version)| {
            let store = lake.store.clone();
            async move { store.put(&cursor.place, Bytes::from(format!("{version}\n")), &cursor.version).await }
        });
        let puts = aws::spread_over(aws::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(puts.iter().all(Put::is_done))
    }
}
