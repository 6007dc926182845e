//! Says what a file may touch, before anything is touched.

use crate::content::Landed;
use crate::index;
use aws::lake::Lake;
use aws::store::{Put, Read, Version};
use derivation::{ATTEMPTS_MAX, Error};
use lake::announcement::Announcement;
use lake::layout::{self, FileName, Place};
use lake::reading::Reading;

/// What is announced of a file.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What it may touch.
    pub announcement: Announcement,
    /// The version of the announcement's object.
    pub version: Version,
    /// Whether it is the file's first: then nobody can have written an output of the file before.
    pub is_first: bool,
}

/// Announces this version of the file, unless it is announced already. What is announced of the file now.
///
/// The index entries come first: they only say "look at this file's announcement", so one too many does no harm, while
/// a key that is announced without one would not be found.
pub async fn announce<R: Reading>(
    lake: &Lake,
    place: &Place,
    file: &FileName,
    landed: &Landed<R>,
) -> Result<Announced, Error> {
    let key = layout::announcement(R::SOURCE, file);
    // Most files are new. If this one is not, the put tells.
    let (mut version, mut before) = (Version::Absent, None::<Announcement>);
    for _ in 0..ATTEMPTS_MAX {
        if let Some(before) = before.as_ref().filter(|before| before.etag == landed.etag) {
            return Ok(Announced { announcement: before.clone(), version, is_first: false });
        }
        let announcement = Announcement::of(before.as_ref(), place, &landed.etag, &landed.readings);
        index::enter(lake, R::SOURCE, file, before.as_ref(), &announcement).await?;
        let at = lake.at(key.as_str());
        let body = announcement.encode().map_err(Error::corrupt(at.clone()))?;
        if let Put::Done(version) = lake.store.put(&at, body, &version).await? {
            return Ok(Announced { announcement, version, is_first: before.is_none() });
        }
        (version, before) = read(lake, &key).await?;
    }
    Err(Error::Contended { place: lake.at(key) })
}

/// Reads the announcement at `key`.
pub async fn read(lake: &Lake, key: &str) -> Result<(Version, Option<Announcement>), Error> {
    let at = lake.at(key);
    match lake.store.read(&at, None).await? {
        Read::Found { etag, body } => {
            let announcement = Announcement::decode(&body).map_err(Error::corrupt(at))?;
            Ok((Version::Etag(etag), Some(announcement)))
        }
        Read::Absent | Read::Unchanged => Ok((Version::Absent, None)),
    }
}
