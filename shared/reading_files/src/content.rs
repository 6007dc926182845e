//! What is at the place of a landing file.

use aws::landing;
use aws::store::{Store, StoreError};
use lake::landing::Undecodable;
use lake::layout::Place;
use lake::quarantine::Quarantine;
use lake::reading::{Reading, Readings, ReadingsCollector};

/// What is at the place of a landing file.
pub enum Content<R: Reading> {
    /// The file.
    Landed(Landed<R>),
    /// Nothing that can be read: the file was deleted or archived.
    Gone,
}

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

/// Reads the file at `place`.
pub async fn read<R: Reading>(store: &Store, place: &Place) -> Result<Content<R>, StoreError> {
    let landed = landing::read::<ReadingsCollector<R>>(store, place).await?;
    Ok(landed.map_or(Content::Gone, |landing::Landed { etag, records, quarantine, undecodable }| {
        Content::Landed(Landed { etag, readings: records.finish(), quarantine, undecodable })
    }))
}
