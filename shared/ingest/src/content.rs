//! What is at the location of a landing file.

use engine::landing_file::{self, LandingFile};
use formats::landing::Undecodable;
use formats::quarantine::Quarantine;
use formats::reading::{Reading, Readings, ReadingsCollector};
use model::layout::ObjectLocation;
use store::{Store, StoreError};

/// A landing file in one version.
pub struct ReadingFile<R: Reading> {
    /// The version.
    pub etag: String,
    /// Its readings.
    pub readings: Readings<R>,
    /// What was rejected of it.
    pub quarantine: Quarantine,
    /// Why it cannot be decoded as a whole, if so.
    pub undecodable: Option<Undecodable>,
}

/// Reads the file at `location`; none if it was deleted or archived.
pub async fn read<R: Reading>(store: &Store, location: &ObjectLocation) -> Result<Option<ReadingFile<R>>, StoreError> {
    let landed = landing_file::read::<ReadingsCollector<R>>(store, location).await?;
    Ok(landed.map(|LandingFile { etag, records, quarantine, undecodable }| ReadingFile {
        etag,
        readings: records.finish(),
        quarantine,
        undecodable,
    }))
}

/// What a file is derived from.
pub enum Basis<R: Reading> {
    /// Its announced version.
    Current(ReadingFile<R>),
    /// What is left of it in its outputs: another version is there, and the event that will announce it is on its way.
    Superseded,
    /// What is left of it in its outputs: there is no file any more.
    Gone,
}
