//! Writes the manifest of a landing file, before anything is read that decides on its rows.

use crate::content::ReadingFile;
use crate::index::{self, Limits};
use engine::Error;
use formats::manifest::FileManifest;
use formats::reading::Reading;
use model::hash::KeyHash;
use model::layout::{self, FileName, ObjectLocation};
use std::collections::HashSet;
use store::lake::Lake;
use store::{Change, Snapshot, Version, compare_and_swap};

/// The stored manifest of a landing file.
#[derive(Clone, Debug)]
pub struct CurrentManifest {
    /// The manifest.
    pub manifest: FileManifest,
    /// The version of the manifest's object.
    pub version: Version,
    /// Whether this call wrote the first manifest of the file. Then no output of the file can exist.
    pub is_first: bool,
}

/// Writes a manifest of this version of the file, unless the stored one names it. Returns the stored manifest.
///
/// Index entries come first, unless the file's keys are `indexed`. An entry only says "look at the manifest of this file",
/// so a superfluous one does no harm. Without an entry, a change of consent would not find the file.
pub async fn write<R: Reading>(
    lake: &Lake,
    limits: Limits,
    location: &ObjectLocation,
    file: &FileName,
    content: &ReadingFile<R>,
    indexed: bool,
) -> Result<CurrentManifest, Error> {
    let at = lake.at(layout::manifest(R::SOURCE, file));
    let decode = |snapshot: &Snapshot| decode(&at, snapshot);
    let names_version = |manifest: &FileManifest| manifest.etag == content.etag;
    // Most files are new, and otherwise the put detects it. A read is worth it only before a new segment: the file may
    // have a segment together with other files.
    let first = match indexed || !needs_segment(limits, content) {
        true => Snapshot::ABSENT,
        false => Snapshot::read(&lake.store, &at).await?,
    };
    let stored = decode(&first)?;
    if !indexed && !stored.as_ref().is_some_and(names_version) {
        let known: HashSet<KeyHash> = stored.iter().flat_map(FileManifest::hashes).collect();
        let new = hashes(content).filter(|key| !known.contains(key)).collect();
        index::add(lake, limits, R::SOURCE, [(file, new)]).await?;
    }
    let (version, (manifest, is_first)) = compare_and_swap(&lake.store, &at, Some(first), |snapshot| {
        let stored = decode(&snapshot)?;
        if let Some(stored) = stored.as_ref().filter(|stored| names_version(stored)) {
            return Ok::<_, Error>(Change::Keep((stored.clone(), false)));
        }
        let manifest = FileManifest::of(stored.as_ref(), location, &content.etag, &content.readings);
        let body = manifest.encode().map_err(Error::corrupt(at.clone()))?;
        Ok(Change::Put(body, (manifest, stored.is_none())))
    })
    .await?;
    Ok(CurrentManifest { manifest, version, is_first })
}

/// Adds index entries for the keys of several files, if at least two of them can share a segment. Returns whether it did.
pub(crate) async fn index_together<R: Reading>(
    lake: &Lake,
    limits: Limits,
    files: &[(&FileName, &ReadingFile<R>)],
) -> Result<bool, Error> {
    let mut large = files.iter().filter(|(_, content)| needs_segment(limits, content));
    let (Some((file, _)), Some(_)) = (large.next(), large.next()) else { return Ok(false) };
    // If the first file has a manifest, its event was delivered before, and perhaps those of the others. Then each file is
    // handled alone.
    if lake.store.version(&lake.at(layout::manifest(R::SOURCE, file))).await? != Version::Absent {
        return Ok(false);
    }
    let keys = files.iter().map(|(file, content)| (*file, hashes(content).collect()));
    index::add(lake, limits, R::SOURCE, keys).await?;
    Ok(true)
}

fn hashes<R: Reading>(content: &ReadingFile<R>) -> impl Iterator<Item = KeyHash> {
    content.readings.keys().iter().map(|key| key.hash)
}

fn needs_segment<R: Reading>(limits: Limits, content: &ReadingFile<R>) -> bool {
    limits.needs_segment(content.readings.keys().len())
}

/// Reads the manifest at `key`, with the version of its object.
pub async fn read(lake: &Lake, key: &str) -> Result<(Version, Option<FileManifest>), Error> {
    let at = lake.at(key);
    let snapshot = Snapshot::read(&lake.store, &at).await?;
    let manifest = decode(&at, &snapshot)?;
    Ok((snapshot.version, manifest))
}

fn decode(at: &ObjectLocation, snapshot: &Snapshot) -> Result<Option<FileManifest>, Error> {
    snapshot.body.as_ref().map(FileManifest::decode).transpose().map_err(Error::corrupt(at.clone()))
}
