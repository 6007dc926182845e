//! The content of a landing file of readings.

use engine::landing_file::{self, LandingFile};
use formats::landing::Undecodable;
use formats::quarantine::Quarantine;
use formats::reading::{Reading, Readings, ReadingsCollector};
use model::layout::ObjectLocation;
use store::{Store, StoreError};

/// A version of a landing file.
pub struct ReadingFile<R: Reading> {
    /// Its ETag.
    pub etag: String,
    /// Its readings.
    pub readings: Readings<R>,
    /// Its rejected pieces.
    pub quarantine: Quarantine,
    /// Why the file cannot be decoded, if so.
    pub undecodable: Option<Undecodable>,
}

/// Reads the file at `location`; none if it is deleted or archived.
pub async fn read<R: Reading>(store: &Store, location: &ObjectLocation) -> Result<Option<ReadingFile<R>>, StoreError> {
    let file = landing_file::read(store, location, |_| ReadingsCollector::<R>::default()).await?;
    Ok(file.map(|LandingFile { etag, records, quarantine, undecodable }| ReadingFile {
        etag,
        readings: records.finish(),
        quarantine,
        undecodable,
    }))
}

/// The state of a landing file against its manifest. It decides which readings the outputs are computed from.
pub enum Basis<R: Reading> {
    /// The manifest names this version: the outputs are computed from its readings.
    Current(ReadingFile<R>),
    /// Another version is there, whose event will write a manifest: rows can only be removed from the stored outputs.
    Superseded,
    /// The file is deleted: rows can only be removed from the stored outputs.
    Deleted,
}
