//! The files of a table: lists them and reads their bytes, each in the listed version.
//!
//! A query must see one version of each file, so every read has a condition on the ETag. The S3 client of the crate
//! `object_store` is not used: it would add a second HTTP client and a second TLS library.

use crate::answer::Scanned;
use crate::error::SqlError;
use bytes::Bytes;
use emulator_client::ObjectLocation;
use emulator_client::{RangeRead, Store};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The most concurrent requests of one scan.
pub(crate) const REQUESTS_MAX: usize = 32;
/// The most files of one query.
pub(crate) const FILES_MAX: usize = 1_000_000;
/// Files up to this size are read whole, so that footer and columns cost one request.
const WHOLE_BYTES_MAX: u64 = 256 * 1024;
/// The most bytes of such files that a query caches.
const CACHED_BYTES_MAX: u64 = 32 << 20;
/// The prefix of the error of a file that was replaced while a query read it. The query then starts again.
pub(crate) const REPLACED: &str = "HIVE_FILE_CHANGED: ";

/// A file of a table, in the listed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) location: ObjectLocation,
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

/// Reads files for one query.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    store: Store,
    scanned: Scanned,
    cache: Arc<Mutex<HashMap<ObjectLocation, Bytes>>>,
    plan_lines: Arc<Mutex<Vec<String>>>,
}

impl Files {
    pub(crate) fn new(store: Store, scanned: Scanned) -> Self {
        Self { store, scanned, cache: Arc::default(), plan_lines: Arc::default() }
    }

    /// Adds a line to the plan: what the scan of a table reads.
    pub(crate) fn note(&self, line: String) {
        self.plan_lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The lines of the plan.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.plan_lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files below a location. As in Hive, files are hidden if they are empty or if a part of their key begins with `_`
    /// or `.`.
    pub(crate) async fn below(&self, location: &str) -> Result<Vec<File>, SqlError> {
        let ObjectLocation { bucket, key: prefix } = parse_folder(location)?;
        let objects = self.store.objects(&bucket, &prefix, FILES_MAX).await;
        let objects = objects.map_err(|error| SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {error}")))?;
        let is_visible = |key: &str| {
            let below = key.strip_prefix(&prefix).unwrap_or(key);
            !key.ends_with('/') && !below.split('/').any(|name| name.starts_with(['_', '.']))
        };
        let visible = objects.into_iter().filter(|object| object.bytes > 0 && is_visible(&object.key));
        let file = |object: emulator_client::Object| File {
            location: ObjectLocation { bucket: bucket.clone(), key: object.key },
            etag: object.etag,
            bytes: object.bytes,
        };
        Ok(visible.map(file).collect())
    }

    /// Reads a range of a file.
    pub(crate) async fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes, SqlError> {
        if file.bytes > WHOLE_BYTES_MAX {
            return self.fetch(file, range).await;
        }
        let cached = self.lock().get(&file.location).cloned();
        let whole = match cached {
            Some(whole) => whole,
            None => {
                let whole = self.fetch(file, 0..file.bytes).await?;
                let mut cache = self.lock();
                // The reads of one file follow each other closely, so older files are no longer needed.
                if cache.values().map(|bytes| bytes.len() as u64).sum::<u64>() + file.bytes > CACHED_BYTES_MAX {
                    cache.clear();
                }
                cache.insert(file.location.clone(), whole.clone());
                whole
            }
        };
        let within = |at: u64| usize::try_from(at).ok().filter(|at| *at <= whole.len());
        match (within(range.start), within(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(whole.slice(start..end)),
            _ => Err(SqlError::system(format!("HIVE_BAD_DATA: {} ends before byte {}", file.location, range.end))),
        }
    }

    async fn fetch(&self, file: &File, range: Range<u64>) -> Result<Bytes, SqlError> {
        let expected = range.end - range.start;
        let read = self.store.read_range(&file.location, Some(&file.etag), range).await;
        match read.map_err(|error| SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {error}")))? {
            RangeRead::Bytes(bytes) if bytes.len() as u64 == expected => {
                self.scanned.add(expected);
                Ok(bytes)
            }
            RangeRead::Bytes(bytes) => {
                let message = format!("expected {expected} bytes of {}, received {}", file.location, bytes.len());
                Err(SqlError::system(format!("HIVE_FILESYSTEM_ERROR: {message}")))
            }
            RangeRead::Changed | RangeRead::Absent => {
                let message =
                    format!("{} was replaced or removed while it was read; run the query again", file.location);
                Err(SqlError::system(format!("{REPLACED}{message}")))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectLocation, Bytes>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses `s3://BUCKET/PREFIX`.
pub(crate) fn parse_location(location: &str) -> Result<ObjectLocation, SqlError> {
    let wrong = || {
        let message = format!("location {location:?} is not in S3: expected s3://BUCKET/PREFIX/");
        SqlError::user(format!("HIVE_INVALID_METADATA: {message}"))
    };
    let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| location.strip_prefix(scheme));
    let (bucket, key) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(wrong)?;
    if bucket.is_empty() {
        return Err(wrong());
    }
    Ok(ObjectLocation { bucket: bucket.to_owned(), key: key.to_owned() })
}

/// Parses `s3://BUCKET/PREFIX` as a folder, whose key is empty or ends with a slash.
pub(crate) fn parse_folder(location: &str) -> Result<ObjectLocation, SqlError> {
    let mut folder = parse_location(location)?;
    if !folder.key.is_empty() && !folder.key.ends_with('/') {
        folder.key.push('/');
    }
    Ok(folder)
}
