//! The manifests of files of readings, and the key index that is written before them.

use crate::content::ReadingFile;
use crate::{Limits, index};
use engine::Error;
use engine::manifest::{self, Subject};
use formats::manifest::FileManifest;
use formats::reading::Reading;
use model::hash::KeyHash;
use model::layout::{self, FileId, FileSlice, ObjectLocation};
use model::slice::Slice;
use store::lake::Lake;
use store::{Snapshot, Version};

/// Writes a manifest of this version of the file, unless the stored one describes it. Returns the stored manifest.
/// `is_indexed` says whether the keys of the file are in the index.
///
/// Index entries come first. An entry only says "look at this file in this slice", so a superfluous one does no harm.
/// Without an entry, a change of consent would not find the rows.
///
/// # Errors
/// [`Error::Outdated`] if the file has another version now.
pub(crate) async fn write<R: Reading>(
    lake: &Lake,
    limits: Limits,
    (landing, content): (&ObjectLocation, &ReadingFile<R>),
    generation_min: u64,
    is_indexed: bool,
) -> Result<FileManifest<Slice>, Error> {
    let file = lake.file_id(landing);
    let at = lake.at(layout::manifest(R::SOURCE, file));
    let file_slices = content.file_slices(file, lake.config().slices_per_hour);
    let touched = file_slices.iter().map(|(file_slice, _)| file_slice.slice).collect();
    let undecodable = content.undecodable_name();
    let subject = Subject { landing, etag: &content.etag, stored_ms: None, undecodable, touched, generation_min };
    // Most files are new, and otherwise the put detects it. A read is worth it only before a new segment: the file may
    // have a segment together with other files.
    let first = match is_indexed || !limits.needs_segment(&file_slices) {
        true => Snapshot::ABSENT,
        false => Snapshot::read(&lake.store, &at).await?,
    };
    let stored = manifest::decode(&at, &first)?;
    #[cfg(feature = "broken")]
    let is_indexed = is_indexed || engine::broken::is(engine::broken::Broken::IndexLate);
    if !is_indexed && !stored.is_some_and(|stored| subject.is_described_by(&stored)) {
        index::add(lake, limits, R::SOURCE, &[file_slices]).await?;
    }
    manifest::write(lake, &at, subject, Some(first)).await
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
pub(crate) async fn read<R: Reading>(lake: &Lake, file: FileId) -> Result<Option<FileManifest<Slice>>, Error> {
    manifest::read(lake, &lake.at(layout::manifest(R::SOURCE, file))).await
}
