//! A table's files: which they are, and their bytes, each in the version that was listed.
//!
//! The crate `object_store` has a client for S3, but it would bring a second HTTP client and TLS; and a query shall see
//! one version of each file, which needs a condition on every read. So files are read through [`emulator_client`].

use crate::answer::Scanned;
use crate::error::SqlError;
use bytes::Bytes;
use emulator_client::ObjectLocation;
use emulator_client::{RangeRead, Store};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The most requests to S3 that one scan has under way.
pub(crate) const REQUESTS_MAX: usize = 32;
/// The most files of one query.
pub(crate) const FILES_MAX: usize = 1_000_000;
/// Files up to this size are read at once: their footer and columns cost one request.
const WHOLE_BYTES_MAX: u64 = 256 * 1024;
/// What may be held of such files, per query.
const HELD_BYTES_MAX: u64 = 32 << 20;
/// What a file's error begins with that was replaced while it was read; the query is then begun anew.
pub(crate) const REPLACED: &str = "HIVE_FILE_CHANGED: ";

/// A file of a table, in the version that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) place: ObjectLocation,
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

/// Reads files for one query.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    store: Store,
    scanned: Scanned,
    held: Arc<Mutex<HashMap<ObjectLocation, Bytes>>>,
    chosen: Arc<Mutex<Vec<String>>>,
}

impl Files {
    pub(crate) fn new(store: Store, scanned: Scanned) -> Self {
        Self { store, scanned, held: Arc::default(), chosen: Arc::default() }
    }

    /// Remembers what a table's scan will read, for whoever asks for the plan.
    pub(crate) fn note(&self, line: String) {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What is noted so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files below a location, as Hive sees them: none that is empty, none whose name or folder begins with `_` or
    /// `.`.
    pub(crate) async fn below(&self, location: &str) -> Result<Vec<File>, SqlError> {
        let ObjectLocation { bucket, key } = place_of(location)?;
        let prefix = if key.is_empty() || key.ends_with('/') { key } else { format!("{key}/") };
        let objects = self.store.objects(&bucket, &prefix, FILES_MAX).await;
        let objects = objects.map_err(|error| SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {error}")))?;
        let seen = |key: &str| {
            let below = key.strip_prefix(&prefix).unwrap_or(key);
            !key.ends_with('/') && !below.split('/').any(|name| name.starts_with(['_', '.']))
        };
        let seen = objects.into_iter().filter(|object| object.bytes > 0 && seen(&object.key));
        let file = |object: emulator_client::Object| File {
            place: ObjectLocation { bucket: bucket.clone(), key: object.key },
            etag: object.etag,
            bytes: object.bytes,
        };
        Ok(seen.map(file).collect())
    }

    /// Bytes of a file.
    pub(crate) async fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes, SqlError> {
        if file.bytes > WHOLE_BYTES_MAX {
            return self.fetch(file, range).await;
        }
        let held = self.lock().get(&file.place).cloned();
        let whole = match held {
            Some(whole) => whole,
            None => {
                let whole = self.fetch(file, 0..file.bytes).await?;
                let mut held = self.lock();
                // Readers of a file follow each other closely: what was held before is not asked for again soon.
                if held.values().map(|bytes| bytes.len() as u64).sum::<u64>() + file.bytes > HELD_BYTES_MAX {
                    held.clear();
                }
                held.insert(file.place.clone(), whole.clone());
                whole
            }
        };
        let within = |at: u64| usize::try_from(at).ok().filter(|at| *at <= whole.len());
        match (within(range.start), within(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(whole.slice(start..end)),
            _ => Err(SqlError::system(format!("HIVE_BAD_DATA: {} ends before byte {}", file.place, range.end))),
        }
    }

    async fn fetch(&self, file: &File, range: Range<u64>) -> Result<Bytes, SqlError> {
        let wanted = range.end - range.start;
        let read = self.store.read_range(&file.place, Some(&file.etag), range).await;
        match read.map_err(|error| SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {error}")))? {
            RangeRead::Found(bytes) if bytes.len() as u64 == wanted => {
                self.scanned.add(wanted);
                Ok(bytes)
            }
            RangeRead::Found(bytes) => {
                let told = format!("{wanted} bytes of {} were asked for, {} came", file.place, bytes.len());
                Err(SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {told}")))
            }
            RangeRead::Changed | RangeRead::Absent => {
                let told = format!("{} was replaced or removed while it was read; run the query again", file.place);
                Err(SqlError::system(format!("{REPLACED}{told}")))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectLocation, Bytes>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place that a location names.
pub(crate) fn place_of(location: &str) -> Result<ObjectLocation, SqlError> {
    let wrong = || {
        let told = format!("location {location:?} is none in S3: expected s3://BUCKET/PREFIX/");
        SqlError::user(format!("HIVE_INVALID_METADATA: {told}"))
    };
    let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| location.strip_prefix(scheme));
    let (bucket, key) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(wrong)?;
    if bucket.is_empty() {
        return Err(wrong());
    }
    Ok(ObjectLocation { bucket: bucket.to_owned(), key: key.to_owned() })
}
