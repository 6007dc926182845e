//! Objects as plain files: `DIR/BUCKET/KEY`, conditional writes, and the hooks for stored objects.
//!
//! Async handlers call `std::fs` and hash bodies directly. A call on a local file takes microseconds, less than handing
//! it to another thread. And a deterministic simulation must be able to run on one thread, which forbids
//! `spawn_blocking` and `tokio::fs`. No lock is held across an await.
//!
//! There is no index: opening a directory reads no objects, and the cost of a put does not depend on their number.

pub(crate) mod attributes;
pub(crate) mod checksum;
mod key_file;
pub(crate) mod list;
pub(crate) mod names;
pub(crate) mod temporary;
pub(crate) mod uploads;

use attributes::Description;
use checksum::Algorithm;
use names::Location;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;
use temporary::{CompleteFile, TemporaryFile};
use uploads::Uploads;

/// Keys that share a lock wait for each other. More locks than threads are enough.
const LOCKS: usize = 64;

/// An object that was just stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, not URL-encoded.
    pub key: String,
    /// The body's length in bytes.
    pub size: u64,
    /// Without quotes: the hexadecimal MD5 of the body, or for a multipart upload S3's ETag of the parts.
    pub etag: String,
}

/// Opens the file of an object below `root`, the directory of a [`Cloud`](crate::Cloud); `None` if the object does not exist.
/// Its bytes stay those of one version, even if the cloud is open here or in another process and puts another.
///
/// # Errors
/// If the file cannot be opened.
pub fn object_file(root: &Path, bucket: &str, key: &str) -> io::Result<Option<File>> {
    Ok(key_file::open(&Location::new(&root.join(bucket), key))?.map(|(file, _)| file))
}

/// Is called before and after every put becomes visible, so that a killed process loses no event.
pub(crate) trait Outbox: Send + Sync {
    /// The object is about to be stored. The ticket, if any, is passed to [`Outbox::commit`] or [`Outbox::abort`].
    fn prepare(&self, object: &StoredObject) -> io::Result<Option<u64>>;
    /// The object of this ticket was stored.
    fn commit(&self, ticket: u64, object: &StoredObject);
    /// Storing the object of this ticket failed.
    fn abort(&self, ticket: u64);
}

/// Gets the object and the file of the version that it replaced, if there was one.
type Listener = Arc<dyn Fn(&StoredObject) + Send + Sync>;

/// What a write or delete requires of the stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Present,
    /// `If-Match` with an ETag, without quotes.
    Version(String),
}

/// Why a write or delete failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    NoSuchBucket,
    /// The condition names a version, but the object does not exist.
    NoSuchKey,
    PreconditionFailed,
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The buckets below one directory.
pub(crate) struct Objects {
    root: PathBuf,
    temporaries: PathBuf,
    next_temporary: AtomicU64,
    uploads: Uploads,
    locks: [Mutex<()>; LOCKS],
    outbox: RwLock<Option<Arc<dyn Outbox>>>,
    listeners: RwLock<Vec<Listener>>,
    /// Stays open, and so locked, until the last user of the objects is dropped.
    _lock: File,
}

impl Objects {
    /// Opens the buckets below `root`. `temporaries` and `uploads` must be on the same file system; `temporaries` is
    /// emptied. `lock` is the file whose lock keeps other processes out.
    pub(crate) fn open(root: PathBuf, temporaries: PathBuf, uploads: PathBuf, lock: File) -> io::Result<Self> {
        temporary::clear(&temporaries)?;
        let uploads = Uploads::open(uploads)?;
        Ok(Self {
            root,
            temporaries,
            next_temporary: AtomicU64::new(0),
            uploads,
            locks: std::array::from_fn(|_| Mutex::default()),
            outbox: RwLock::default(),
            listeners: RwLock::default(),
            _lock: lock,
        })
    }

    /// Returns the directory of a bucket, or `None` if the bucket does not exist. The caller has validated the name.
    pub(crate) fn bucket(&self, name: &str) -> Option<PathBuf> {
        let directory = self.root.join(name);
        directory.is_dir().then_some(directory)
    }

    /// Creates a bucket unless it exists.
    pub(crate) fn create_bucket(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// Deletes an empty bucket and its unfinished uploads; returns false if the bucket holds objects.
    pub(crate) fn delete_bucket(&self, name: &str) -> io::Result<bool> {
        // A concurrent put either finds the bucket deleted, or makes this removal fail.
        match key_file::remove_empty(&self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => return Ok(false),
            other => other?,
        }
        for (id, upload, _) in self.uploads.list()? {
            if upload.bucket == name {
                self.uploads.remove(&id)?;
            }
        }
        Ok(true)
    }

    /// The multipart uploads in progress.
    pub(crate) const fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Replaces the tags of an object; returns false if the object does not exist.
    pub(crate) fn tag(&self, bucket: &str, key: &str, tags: BTreeMap<String, String>) -> Result<bool, WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        // Without the lock, a version put between read and write would get the properties of the one before it.
        let _guard = self.lock(bucket, key);
        let Some((file, description)) = self.read(&directory, key)? else { return Ok(false) };
        attributes::set(&file, &description.etag, attributes::Properties { tags, ..description.properties })?;
        Ok(true)
    }

    /// Lists the buckets with their creation times, by name: the directories whose names are valid for a bucket.
    pub(crate) fn buckets(&self) -> io::Result<Vec<(String, SystemTime)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
                && s3s::path::check_bucket_name(&name)
            {
                let metadata = entry.metadata()?;
                // Not every file system records creation times.
                names.push((name, metadata.created().or_else(|_| metadata.modified())?));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens an object. Bytes and description are of one version, even if another is put meanwhile.
    pub(crate) fn read(&self, bucket: &Path, key: &str) -> io::Result<Option<(File, Description)>> {
        let Some((file, _)) = key_file::open(&Location::new(bucket, key))? else {
            return Ok(None);
        };
        let description = attributes::describe(&file)?;
        Ok(Some((file, description)))
    }

    /// Opens the file of an object.
    pub(crate) fn file(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        object_file(&self.root, bucket, key)
    }

    /// Creates a temporary file for a body, and computes a checksum of it if `algorithm` names one.
    pub(crate) fn temporary(&self, algorithm: Option<Algorithm>) -> io::Result<TemporaryFile> {
        // A counter is unique: one process has the directory open, and it emptied `temporaries` first.
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        TemporaryFile::create(self.temporaries.join(number.to_string()), algorithm)
    }

    /// Stores a complete body under `key` if the condition holds. Of concurrent writers that name one version, one wins.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        mut body: CompleteFile,
        condition: &Condition,
    ) -> Result<(), WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        let location = Location::new(&directory, key);
        let outbox = self.outbox.read().unwrap_or_else(PoisonError::into_inner).clone();

        // From the check of the stored version to the rename no other writer may change this key. The outbox is called
        // under the lock, too: that keeps the events of one key in the order of its versions.
        let guard = self.lock(bucket, key);
        self.check(&location, condition)?;
        let etag = body.etag.clone();
        let object = StoredObject { bucket: bucket.into(), key: key.into(), size: body.size, etag };
        let ticket = outbox.as_ref().map(|outbox| outbox.prepare(&object)).transpose()?.flatten();
        let result = key_file::store(&mut body, &directory, &location);
        if result.is_ok() {
            // Before the outbox triggers a function: a listener sees an object before those that a function makes of it.
            // If the process dies here, the event stays in the journal and is delivered at the next start.
            for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
                listener(&object);
            }
        }
        if let (Some(outbox), Some(ticket)) = (&outbox, ticket) {
            match result {
                Ok(()) => outbox.commit(ticket, &object),
                Err(_) => outbox.abort(ticket),
            }
        }
        drop(guard);
        match result {
            Err(error) if key_file::is_absence(&error) && !directory.is_dir() => Err(WriteError::NoSuchBucket),
            other => Ok(other?),
        }
    }

    /// Deletes an object if the condition holds. Without a condition, a missing object counts as deleted.
    pub(crate) fn delete(&self, bucket: &str, key: &str, condition: &Condition) -> Result<(), WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        let location = Location::new(&directory, key);
        let _guard = self.lock(bucket, key);
        self.check(&location, condition)?;
        Ok(key_file::remove(&directory, &location)?)
    }

    /// Fails unless the condition holds for the stored version.
    fn check(&self, location: &Location, condition: &Condition) -> Result<(), WriteError> {
        match (condition, key_file::open(location)?) {
            (Condition::None, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => Ok(()),
            (Condition::Absent, Some(_)) => Err(WriteError::PreconditionFailed),
            (Condition::Present | Condition::Version(_), None) => Err(WriteError::NoSuchKey),
            (Condition::Version(expected), Some((file, _))) => match attributes::describe(&file)?.etag == *expected {
                true => Ok(()),
                false => Err(WriteError::PreconditionFailed),
            },
        }
    }

    fn lock(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        // The modulo is below LOCKS, so it fits.
        let stripe = (hasher.finish() % LOCKS as u64) as usize;
        // The lock guards files, not memory: after a panic of another holder nothing in memory is inconsistent.
        self.locks[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or clears the outbox.
    pub(crate) fn set_outbox(&self, outbox: Option<Arc<dyn Outbox>>) {
        *self.outbox.write().unwrap_or_else(PoisonError::into_inner) = outbox;
    }

    /// Adds a listener for stored objects.
    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Completes a body that is in memory.
    #[cfg(test)]
    pub(crate) fn complete(&self, body: &[u8], headers: attributes::Headers) -> io::Result<CompleteFile> {
        let mut temporary = self.temporary(None)?;
        temporary.write(body)?;
        let etag = hex::encode(temporary.digests().md5);
        temporary.complete(etag, attributes::Properties { headers, ..Default::default() })
    }
}

#[cfg(test)]
mod tests;
