//! The content of a landing file of readings.

use engine::landing_file::{self, LandingFile};
use formats::landing::Undecodable;
use formats::quarantine::Quarantine;
use formats::reading::{Reading, Readings, ReadingsCollector};
use model::hash::KeyHash;
use model::layout::{FileHour, FileId, ObjectLocation};
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

impl<R: Reading> ReadingFile<R> {
    /// Returns the keys of the file in each hour in which it has readings.
    pub(crate) fn file_hours(&self, file: FileId) -> Vec<(FileHour, Vec<KeyHash>)> {
        let keys = self.readings.keys();
        let partitions = self.readings.partitions().into_iter().map(|(partition, range)| {
            let mut in_hour: Vec<u32> = self.readings.rows()[range].iter().map(|row| row.key).collect();
            in_hour.sort_unstable();
            in_hour.dedup();
            let hashes = in_hour.into_iter().filter_map(|key| keys.get(key as usize)).map(|key| key.hash);
            (FileHour { partition, file }, hashes.collect())
        });
        partitions.collect()
    }
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
