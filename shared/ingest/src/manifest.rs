//! Writes the manifest of a landing file, before any of its rows.

use crate::content::ReadingFile;
use crate::index::{self, Limits};
use engine::Error;
use formats::manifest::FileManifest;
use formats::reading::Reading;
use model::hash::KeyHash;
use model::layout::{self, FileId, FileSlice, ObjectLocation};
use store::lake::Lake;
use store::{Change, Snapshot, Version, compare_and_swap};

/// What a manifest is written for.
pub(crate) struct Subject<'a, R: Reading> {
    pub(crate) location: &'a ObjectLocation,
    pub(crate) file: FileId,
    pub(crate) content: &'a ReadingFile<R>,
    /// Whether the keys of the file are in the index.
    pub(crate) is_indexed: bool,
    /// An entry of the file with this generation was found: the manifest must have at least this one.
    pub(crate) generation_min: u64,
}

/// Writes a manifest of this version of the file, unless the stored one describes it. Returns the stored manifest.
///
/// Index entries come first. An entry only says "look at this file in this slice", so a superfluous one does no harm.
/// Without an entry, a change of consent would not find the rows.
///
/// # Errors
/// [`Error::Outdated`] if the file has another version now.
pub(crate) async fn write<R: Reading>(
    lake: &Lake,
    limits: Limits,
    subject: Subject<'_, R>,
) -> Result<FileManifest, Error> {
    let Subject { location, file, content, is_indexed, generation_min } = subject;
    let at = lake.at(layout::manifest(R::SOURCE, file));
    let describes = |manifest: &FileManifest| manifest.etag == content.etag && manifest.generation >= generation_min;
    let count = lake.config().slices_per_hour;
    let file_slices = content.file_slices(file, count);
    // Most files are new, and otherwise the put detects it. A read is worth it only before a new segment: the file may
    // have a segment together with other files.
    let first = match is_indexed || !limits.needs_segment(&file_slices) {
        true => Snapshot::ABSENT,
        false => Snapshot::read(&lake.store, &at).await?,
    };
    let stored = decode(&at, &first)?;
    #[cfg(feature = "broken")]
    let is_indexed = is_indexed || engine::broken::is(engine::broken::Broken::IndexLate);
    if !is_indexed && !stored.as_ref().is_some_and(describes) {
        index::add(lake, limits, R::SOURCE, &[file_slices]).await?;
    }
    let (_, manifest) = compare_and_swap(&lake.store, &at, Some(first), |snapshot| {
        let stored = decode(&at, &snapshot)?;
        if let Some(stored) = stored.as_ref().filter(|stored| describes(stored)) {
            return Ok::<_, Error>(Change::Keep(stored.clone()));
        }
        let (mut slices, generation) = match stored {
            Some(stored) => (stored.slices, stored.generation),
            None => Default::default(),
        };
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::NoUnion) {
            slices.clear();
        }
        slices.extend(content.readings.slices(count).into_iter().map(|(slice, _)| slice));
        let generation = generation.max(generation_min) + 1;
        let manifest = FileManifest { landing: location.clone(), etag: content.etag.clone(), generation, slices };
        let body = manifest.encode().map_err(Error::corrupt(at.clone()))?;
        Ok(Change::Put(body, manifest))
    })
    .await?;
    // A file that was put back to earlier bytes causes an event of the earlier version only. That event may have found the
    // manifest of the earlier version, before this one replaced it. The put may have been refused although it was carried out,
    // so the stored manifest may be this function's own.
    if manifest.generation > 1 && lake.store.version(location).await? != Version::Etag(manifest.etag.clone()) {
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::NoLookAgain) {
            return Ok(manifest);
        }
        return Err(Error::Outdated);
    }
    Ok(manifest)
}

/// Adds index entries for the keys of several files, if at least two of them can share a segment. Returns whether it did.
pub(crate) async fn index_together<R: Reading>(
    lake: &Lake,
    limits: Limits,
    files: &[(FileId, &ReadingFile<R>)],
) -> Result<bool, Error> {
    let file_slices: Vec<Vec<(FileSlice, Vec<KeyHash>)>> =
        files.iter().map(|(file, content)| content.file_slices(*file, lake.config().slices_per_hour)).collect();
    let mut large = files.iter().zip(&file_slices).filter(|(_, file_slices)| limits.needs_segment(file_slices));
    let (Some(((file, _), _)), Some(_)) = (large.next(), large.next()) else { return Ok(false) };
    #[cfg(feature = "broken")]
    if engine::broken::is(engine::broken::Broken::IndexLate) {
        return Ok(false);
    }
    // If the first file has a manifest, its event was delivered before, and perhaps those of the others. Then each file is
    // handled alone.
    if lake.store.version(&lake.at(layout::manifest(R::SOURCE, *file))).await? != Version::Absent {
        return Ok(false);
    }
    index::add(lake, limits, R::SOURCE, &file_slices).await?;
    Ok(true)
}

/// Reads the manifest of a file; none if it has none.
pub(crate) async fn read<R: Reading>(lake: &Lake, file: FileId) -> Result<Option<FileManifest>, Error> {
    let at = lake.at(layout::manifest(R::SOURCE, file));
    let snapshot = Snapshot::read(&lake.store, &at).await?;
    decode(&at, &snapshot)
}

fn decode(at: &ObjectLocation, snapshot: &Snapshot) -> Result<Option<FileManifest>, Error> {
    snapshot.body.as_ref().map(FileManifest::decode).transpose().map_err(Error::corrupt(at.clone()))
}
