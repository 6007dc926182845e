//! What is at the place of a landing file.

use aws::landing;
use aws::store::{Store, StoreError};
use lake::landing::Undecodable;
use lake::layout::Place;
use lake::quarantine::Quarantine;
use lake::reading::{Reading, Readings, ReadingsCollector};

/// A landing file in one version.
pub struct Landed<R: Reading> {
    /// The version.
    pub etag: String,
    /// Its readings.
    pub readings: Readings<R>,
    /// What was rejected of it.
    pub quarantine: Quarantine,
    /// Why it cannot be decoded as a whole, if so.
    pub undecodable: Option<Undecodable>,
}

/// Reads the file at `place`; none if it was deleted or archived.
pub async fn read<R: Reading>(store: &Store, place: &Place) -> Result<Option<Landed<R>>, StoreError> {
    let landed = landing::read::<ReadingsCollector<R>>(store, place).await?;
    Ok(landed.map(|landing::Landed { etag, records, quarantine, undecodable }| Landed {
        etag,
        readings: records.finish(),
        quarantine,
        undecodable,
    }))
}

/// What a file is derived from.
pub enum Basis<R: Reading> {
    /// Its announced version.
    Landed(Landed<R>),
    /// What is left of it in its outputs: another version is there, and the event that will announce it is on its way.
    Unannounced,
    /// What is left of it in its outputs: there is no file any more.
    Gone,
}
