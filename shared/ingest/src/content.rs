//! The content of a landing file of readings.

use engine::landing_file::{self, LandingFile};
use formats::landing::Undecodable;
use formats::quarantine::Quarantine;
use formats::reading::{Reading, Readings, ReadingsCollector};
use model::hash::KeyHash;
use model::layout::{FileId, FileSlice, ObjectLocation};
use model::slice::SlicesPerHour;
use store::StoreError;
use store::lake::Lake;

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
    /// Returns the name of the reason why the file cannot be decoded, if so.
    pub(crate) fn undecodable_name(&self) -> Option<&'static str> {
        self.undecodable.as_ref().map(Undecodable::name)
    }

    /// Returns the keys of the file in each slice in which it has readings.
    pub(crate) fn file_slices(&self, file: FileId, count: SlicesPerHour) -> Vec<(FileSlice, Vec<KeyHash>)> {
        let keys = self.readings.keys();
        let slices = self.readings.slices(count).into_iter().map(|(slice, range)| {
            let mut in_slice: Vec<u32> = self.readings.rows()[range].iter().map(|row| row.key).collect();
            in_slice.sort_unstable();
            in_slice.dedup();
            let hashes = in_slice.into_iter().filter_map(|key| keys.get(key as usize)).map(|key| key.hash);
            (FileSlice { slice, file }, hashes.collect())
        });
        slices.collect()
    }
}

/// The most slices in which a file may have readings, so that one invocation can do its work.
pub const SLICES_MAX: usize = 2_000;

/// Reads the file at `location`; none if it is deleted or archived.
pub async fn read<R: Reading>(lake: &Lake, location: &ObjectLocation) -> Result<Option<ReadingFile<R>>, StoreError> {
    let count = lake.config().slices_per_hour;
    let check = |readings: &ReadingsCollector<R>| match readings.are_in_more_slices_than(SLICES_MAX, count) {
        true => Err(Undecodable::TooManySlices(SLICES_MAX)),
        false => Ok(()),
    };
    let file = landing_file::read(lake, location, |_| ReadingsCollector::default(), check).await?;
    Ok(file.map(|LandingFile { etag, records, quarantine, undecodable }| ReadingFile {
        etag,
        readings: records.finish(lake.hash_key()),
        quarantine,
        undecodable,
    }))
}
