//! Says what a file may touch, before anything is touched.

use crate::content::ReadingFile;
use crate::index::{self, Limits};
use engine::{ATTEMPTS_MAX, Error};
use formats::manifest::FileManifest;
use formats::reading::Reading;
use model::hash::KeyHash;
use model::layout::{self, FileName, ObjectLocation};
use std::collections::HashSet;
use store::lake::Lake;
use store::{Put, Read, Version};

/// What is announced of a file.
#[derive(Clone, Debug)]
pub struct CurrentManifest {
    /// What it may touch.
    pub manifest: FileManifest,
    /// The version of the manifest's object.
    pub version: Version,
    /// Whether it is the file's first: then nobody can have written an output of the file before.
    pub is_first: bool,
}

/// Announces this version of the file, unless it is announced already. What is announced of the file now.
///
/// The index entries come first, unless the file's keys are `entered` already: they only say "look at this file's
/// manifest", so one too many does no harm, while a key that is announced without one would not be found.
pub async fn write<R: Reading>(
    lake: &Lake,
    limits: Limits,
    location: &ObjectLocation,
    file: &FileName,
    landed: &ReadingFile<R>,
    mut entered: bool,
) -> Result<CurrentManifest, Error> {
    let key = layout::manifest(R::SOURCE, file);
    // Most files are new. If this one is not, the put tells. Only a segments entry is worth a look: perhaps the file is in one
    // together with others, and one of its own would be new.
    let (mut version, mut before) = match entered || !needs_segment(limits, landed) {
        true => (Version::Absent, None),
        false => read(lake, &key).await?,
    };
    for _ in 0..ATTEMPTS_MAX {
        if let Some(before) = before.as_ref().filter(|before| before.etag == landed.etag) {
            return Ok(CurrentManifest { manifest: before.clone(), version, is_first: false });
        }
        if !entered {
            let known: HashSet<KeyHash> = before.iter().flat_map(FileManifest::hashes).collect();
            let new = hashes(landed).filter(|key| !known.contains(key)).collect();
            index::enter(lake, limits, R::SOURCE, [(file, new)]).await?;
            entered = true;
        }
        let manifest = FileManifest::of(before.as_ref(), location, &landed.etag, &landed.readings);
        let at = lake.at(key.as_str());
        let body = manifest.encode().map_err(Error::corrupt(at.clone()))?;
        if let Put::Done(version) = lake.store.put(&at, body, &version).await? {
            return Ok(CurrentManifest { manifest, version, is_first: before.is_none() });
        }
        (version, before) = read(lake, &key).await?;
    }
    Err(Error::Contended { location: lake.at(key) })
}

/// Enters the keys of files that land together, if several of them are to share a segments entry. Whether it was done.
pub(crate) async fn enter_together<R: Reading>(
    lake: &Lake,
    limits: Limits,
    files: &[(&FileName, &ReadingFile<R>)],
) -> Result<bool, Error> {
    let mut segments = files.iter().filter(|(_, landed)| needs_segment(limits, landed));
    let (Some((file, _)), Some(_)) = (segments.next(), segments.next()) else { return Ok(false) };
    // If one is announced already, its event came again, and so perhaps did those of the others: each is to be looked at.
    if lake.store.version(&lake.at(layout::manifest(R::SOURCE, file))).await? != Version::Absent {
        return Ok(false);
    }
    index::enter(lake, limits, R::SOURCE, files.iter().map(|(file, landed)| (*file, hashes(landed).collect()))).await?;
    Ok(true)
}

fn hashes<R: Reading>(landed: &ReadingFile<R>) -> impl Iterator<Item = KeyHash> {
    landed.readings.keys().iter().map(|key| key.hash)
}

fn needs_segment<R: Reading>(limits: Limits, landed: &ReadingFile<R>) -> bool {
    limits.needs_segment(landed.readings.keys().len())
}

/// Reads the manifest at `key`.
pub async fn read(lake: &Lake, key: &str) -> Result<(Version, Option<FileManifest>), Error> {
    let at = lake.at(key);
    match lake.store.read(&at, None).await? {
        Read::Found { etag, body } => {
            let manifest = FileManifest::decode(&body).map_err(Error::corrupt(at))?;
            Ok((Version::Etag(etag), Some(manifest)))
        }
        Read::Absent | Read::Unchanged => Ok((Version::Absent, None)),
    }
}
