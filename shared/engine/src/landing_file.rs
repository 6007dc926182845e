//! Reads a landing file from S3, in bounded memory.

use formats::landing::{Collect, LandingReader, Undecodable};
use formats::quarantine::{HEAD_BYTES_MAX, Quarantine};
use model::layout::ObjectLocation;
use store::StoreError;
use store::lake::Lake;

/// A version of a landing file.
pub struct LandingFile<C> {
    /// Its ETag.
    pub etag: String,
    /// Its records; empty if the file cannot be decoded.
    pub records: C,
    /// Its rejected pieces.
    pub quarantine: Quarantine,
    /// Why the file cannot be decoded, if so.
    pub undecodable: Option<Undecodable>,
}

/// How many files a function reads before it compares what they hold with its memory.
pub const FILES_AT_ONCE: usize = store::TASKS_MAX;
/// One file may take this part of a function's memory, so that as many as are read at once take half of it.
const FILES_MIN: usize = 2 * FILES_AT_ONCE;

/// Reads the file at `location`; none if there is no object or it is archived. Makes the collector of its records from the
/// time at which S3 stored the file. A file that `check` refuses, or that takes too much memory, counts as undecodable.
pub async fn read<C: Collect>(
    lake: &Lake,
    location: &ObjectLocation,
    collector: impl Fn(i64) -> C,
    check: impl Fn(&C) -> Result<(), Undecodable>,
) -> Result<Option<LandingFile<C>>, StoreError> {
    let Some(mut body) = lake.store.open(location).await? else { return Ok(None) };
    let stored_ms = body.stored_ms;
    let memory_bytes_max = lake.memory_bytes() / FILES_MIN;
    let mut reader = Ok(LandingReader::new(collector(stored_ms)).with_memory_bytes_max(memory_bytes_max));
    let mut head = Vec::new();
    let mut bytes = 0;
    while let Some(chunk) = body.chunk().await? {
        let room = HEAD_BYTES_MAX - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        bytes += chunk.len() as u64;
        // If the file cannot be decoded, the rest is read only for its size.
        if let Ok(Err(undecodable)) = reader.as_mut().map(|reader| reader.push(&chunk)) {
            reader = Err(undecodable);
        }
    }
    let etag = body.etag;
    let decoded = reader.and_then(LandingReader::finish);
    let file = match decoded.and_then(|(records, quarantine)| check(&records).map(|()| (records, quarantine))) {
        Ok((records, quarantine)) => LandingFile { etag, records, quarantine, undecodable: None },
        Err(undecodable) => LandingFile {
            etag,
            records: collector(stored_ms),
            quarantine: Quarantine::whole_file(undecodable.name(), undecodable.to_string(), location, &head, bytes),
            undecodable: Some(undecodable),
        },
    };
    Ok(Some(file))
}
