//! Says what a file may touch, before anything is touched.

use crate::content::Landed;
use crate::index::{self, Limits};
use aws::lake::Lake;
use aws::store::{Put, Read, Version};
use derivation::{ATTEMPTS_MAX, Error};
use lake::announcement::Announcement;
use lake::hash::KeyHash;
use lake::layout::{self, FileName, Place};
use lake::reading::Reading;
use std::collections::HashSet;

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
/// The index entries come first, unless the file's keys are `entered` already: they only say "look at this file's
/// announcement", so one too many does no harm, while a key that is announced without one would not be found.
pub async fn announce<R: Reading>(
    lake: &Lake,
    limits: Limits,
    place: &Place,
    file: &FileName,
    landed: &Landed<R>,
    mut entered: bool,
) -> Result<Announced, Error> {
    let key = layout::announcement(R::SOURCE, file);
    // Most files are new. If this one is not, the put tells. Only a bulk entry is worth a look: perhaps the file is in one
    // together with others, and one of its own would be new.
    let (mut version, mut before) = match entered || !is_bulk(limits, landed) {
        true => (Version::Absent, None),
        false => read(lake, &key).await?,
    };
    for _ in 0..ATTEMPTS_MAX {
        if let Some(before) = before.as_ref().filter(|before| before.etag == landed.etag) {
            return Ok(Announced { announcement: before.clone(), version, is_first: false });
        }
        if !entered {
            let known: HashSet<KeyHash> = before.iter().flat_map(Announcement::hashes).collect();
            let new = hashes(landed).filter(|key| !known.contains(key)).collect();
            index::enter(lake, limits, R::SOURCE, [(file, new)]).await?;
            entered = true;
        }
        let announcement = Announcement::of(before.as_ref(), place, &landed.etag, &landed.readings);
        let at = lake.at(key.as_str());
        let body = announcement.encode().map_err(Error::corrupt(at.clone()))?;
        if let Put::Done(version) = lake.store.put(&at, body, &version).await? {
            return Ok(Announced { announcement, version, is_first: before.is_none() });
        }
        (version, before) = read(lake, &key).await?;
    }
    Err(Error::Contended { place: lake.at(key) })
}

/// Enters the keys of files that land together, if several of them are to share a bulk entry. Whether it was done.
pub(crate) async fn enter_together<R: Reading>(
    lake: &Lake,
    limits: Limits,
    files: &[(&FileName, &Landed<R>)],
) -> Result<bool, Error> {
    let mut bulk = files.iter().filter(|(_, landed)| is_bulk(limits, landed));
    let (Some((file, _)), Some(_)) = (bulk.next(), bulk.next()) else { return Ok(false) };
    // If one is announced already, its event came again, and so perhaps did those of the others: each is to be looked at.
    if lake.store.version(&lake.at(layout::announcement(R::SOURCE, file))).await? != Version::Absent {
        return Ok(false);
    }
    index::enter(lake, limits, R::SOURCE, files.iter().map(|(file, landed)| (*file, hashes(landed).collect()))).await?;
    Ok(true)
}

fn hashes<R: Reading>(landed: &Landed<R>) -> impl Iterator<Item = KeyHash> {
    landed.readings.keys().iter().map(|key| key.hash)
}

fn is_bulk<R: Reading>(limits: Limits, landed: &Landed<R>) -> bool {
    limits.is_bulk(landed.readings.keys().len())
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
