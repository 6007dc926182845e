//! Gives each version of a landing file its generation, and writes down what the file may touch, before any of its rows.

use crate::Error;
use formats::manifest::FileManifest;
use model::layout::ObjectLocation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use store::lake::Lake;
use store::{Change, Snapshot, compare_and_swap};

/// A version of a landing file that needs a manifest.
pub struct Subject<'a, T> {
    /// The file.
    pub landing: &'a ObjectLocation,
    /// The version that was read.
    pub etag: &'a str,
    /// When that version was stored, if its meaning depends on it.
    pub stored_ms: Option<i64>,
    /// Why it cannot be decoded, if so.
    pub undecodable: Option<&'static str>,
    /// What this version touches.
    pub touched: BTreeSet<T>,
    /// An entry of the file with this generation was found: the manifest must have a later one, or have it and describe this version.
    pub generation_min: u64,
}

impl<T> Subject<'_, T> {
    /// Whether a manifest describes this version.
    pub fn is_described_by(&self, manifest: &FileManifest<T>) -> bool {
        let FileManifest { etag, stored_ms, undecodable, generation, .. } = manifest;
        (etag.as_str(), *stored_ms, undecodable.as_deref()) == (self.etag, self.stored_ms, self.undecodable)
            && *generation >= self.generation_min
    }
}

/// Writes the manifest at `at` for a version of a file, unless the stored one describes it. Returns the stored manifest.
/// `first` is what the caller knows of the stored one.
///
/// # Errors
/// [`Error::Outdated`] if the file has another version now.
pub async fn write<T: Ord + Clone + Serialize + DeserializeOwned>(
    lake: &Lake,
    at: &ObjectLocation,
    subject: Subject<'_, T>,
    first: Option<Snapshot>,
) -> Result<FileManifest<T>, Error> {
    let (_, manifest) = compare_and_swap(&lake.store, at, first, |snapshot| {
        let stored = decode::<T>(at, &snapshot)?;
        if let Some(stored) = stored.as_ref().filter(|stored| subject.is_described_by(stored)) {
            return Ok::<_, Error>(Change::Keep(stored.clone()));
        }
        let (mut touched, generation) = match stored {
            Some(stored) => (stored.touched, stored.generation),
            None => Default::default(),
        };
        #[cfg(feature = "broken")]
        if crate::broken::is(crate::broken::Broken::NoUnion) {
            touched.clear();
        }
        touched.extend(subject.touched.iter().cloned());
        let generation = generation.max(subject.generation_min) + 1;
        let (landing, etag, stored_ms) = (subject.landing.clone(), subject.etag.to_owned(), subject.stored_ms);
        let undecodable = subject.undecodable.map(str::to_owned);
        let manifest = FileManifest { landing, etag, stored_ms, undecodable, generation, touched };
        Ok(Change::Put(manifest.encode().map_err(Error::corrupt(at.clone()))?, manifest))
    })
    .await?;
    // A file that was put back to earlier bytes causes an event of the earlier version only. That event may have found the
    // manifest of the earlier version, before this one replaced it. The put may have been refused although it was carried out,
    // so the stored manifest may be this function's own.
    if manifest.generation > 1 {
        let now = lake.store.stored(subject.landing).await?;
        let is_same = now.is_some_and(|now| {
            now.etag == manifest.etag && manifest.stored_ms.is_none_or(|stored_ms| stored_ms == now.stored_ms)
        });
        #[cfg(feature = "broken")]
        let is_same = is_same || crate::broken::is(crate::broken::Broken::NoLookAgain);
        if !is_same {
            return Err(Error::Outdated);
        }
    }
    Ok(manifest)
}

/// Reads the manifest at `at`; none if there is none.
pub async fn read<T: Ord + Serialize + DeserializeOwned>(
    lake: &Lake,
    at: &ObjectLocation,
) -> Result<Option<FileManifest<T>>, Error> {
    decode(at, &Snapshot::read(&lake.store, at).await?)
}

/// Decodes a manifest that was read.
pub fn decode<T: Ord + Serialize + DeserializeOwned>(
    at: &ObjectLocation,
    snapshot: &Snapshot,
) -> Result<Option<FileManifest<T>>, Error> {
    snapshot.body.as_ref().map(FileManifest::decode).transpose().map_err(Error::corrupt(at.clone()))
}
