//! Objects as plain files: DIR/BUCKET/KEY, conditional writes, and the hook for stored objects.
//!
//! Everything here calls `std::fs` directly, from async handlers too. The files are small and local, so a call takes
//! microseconds, less than handing it to another thread; and a deterministic simulation must be able to run on one
//! thread, which forbids `spawn_blocking` and `tokio::fs`. No lock is held across an await.
//!
//! There is no index: opening a lake reads nothing, and a put costs by itself alone.

pub(crate) mod attributes;
pub(crate) mod checksum;
pub(crate) mod hashing;
pub(crate) mod list;
pub(crate) mod names;
mod place;
pub(crate) mod temporary;
pub(crate) mod uploads;

use attributes::Description;
use checksum::Algorithm;
use hashing::Hashing;
use names::Location;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;
use temporary::{Complete, Temporary};
use uploads::Uploads;

/// Keys that share a lock wait for each other; more stripes than threads is enough.
const LOCKS: usize = 64;

/// An object as it was just stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, as it is: not URL-encoded.
    pub key: String,
    /// The body's length in bytes.
    pub size: u64,
    /// Without quotes: the hexadecimal MD5 of the body, or for an upload in parts what S3 makes of theirs.
    pub etag: String,
}

/// Is told of every put before and after it becomes visible, so that no stored object is forgotten by a killed process.
pub(crate) trait Outbox: Send + Sync {
    /// The object is about to be stored. The answer, if any, is handed to [`Outbox::stored`] or [`Outbox::abandoned`].
    fn intend(&self, object: &StoredObject) -> io::Result<Option<u64>>;
    /// The object of this ticket is stored.
    fn stored(&self, ticket: u64, object: &StoredObject);
    /// The object of this ticket could not be stored.
    fn abandoned(&self, ticket: u64);
}

/// Beside the object, the file of the version whose place it took, if there was one.
type Listener = Arc<dyn Fn(&StoredObject, Option<&File>) + Send + Sync>;

/// What a write or delete demands of the stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No demand.
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Present,
    /// `If-Match` with an ETag, without quotes.
    Version(String),
}

/// Why a write or delete did not happen.
#[derive(Debug)]
pub(crate) enum WriteError {
    NoSuchBucket,
    /// The condition names a version, and there is no object.
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
    hashing: Hashing,
    locks: [Mutex<()>; LOCKS],
    outbox: RwLock<Option<Arc<dyn Outbox>>>,
    listeners: RwLock<Vec<Listener>>,
    /// Held open, and so locked, as long as anybody can reach the objects.
    _lock: File,
}

impl Objects {
    /// Opens the buckets below `root`; `temporaries` and `uploads` must be on the same file system, and the first is
    /// emptied. `lock` is the locked file that keeps others out.
    pub(crate) fn open(root: PathBuf, temporaries: PathBuf, uploads: PathBuf, lock: File) -> io::Result<Self> {
        temporary::sweep(&temporaries)?;
        let uploads = Uploads::open(uploads)?;
        Ok(Self {
            root,
            temporaries,
            next_temporary: AtomicU64::new(0),
            uploads,
            hashing: Hashing::new(),
            locks: std::array::from_fn(|_| Mutex::default()),
            outbox: RwLock::default(),
            listeners: RwLock::default(),
            _lock: lock,
        })
    }

    /// The directory of a bucket whose name was validated, or `None` if there is no such bucket.
    pub(crate) fn bucket(&self, name: &str) -> Option<PathBuf> {
        let directory = self.root.join(name);
        directory.is_dir().then_some(directory)
    }

    /// Creates a bucket; that it exists already is no error.
    pub(crate) fn create_bucket(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// Deletes a bucket without objects, and its unfinished uploads; false if there is something in it.
    pub(crate) fn delete_bucket(&self, name: &str) -> io::Result<bool> {
        // Whoever puts an object into it meanwhile finds that the bucket is gone, or makes it impossible to remove.
        match place::remove_empty(&self.root.join(name)) {
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

    /// The uploads in parts that are under way.
    pub(crate) const fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Where the bodies that come in are hashed.
    pub(crate) const fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Replaces the tags of an object; false if there is no object.
    pub(crate) fn tag(&self, bucket: &str, key: &str, tags: BTreeMap<String, String>) -> Result<bool, WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        // Nobody may put a version between the look and the write: it would be given this one's properties.
        let _guard = self.lock(bucket, key);
        let Some((file, description)) = self.read(&directory, key)? else { return Ok(false) };
        attributes::set(&file, &description.etag, attributes::Properties { tags, ..description.properties })?;
        Ok(true)
    }

    /// The buckets and when they were created: the directories whose names are bucket names, in order.
    pub(crate) fn buckets(&self) -> io::Result<Vec<(String, SystemTime)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
                && s3s::path::check_bucket_name(&name)
            {
                let metadata = entry.metadata()?;
                // Not every file system remembers when a directory was created.
                names.push((name, metadata.created().or_else(|_| metadata.modified())?));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens an object: bytes and description are of one version, whatever is put meanwhile.
    pub(crate) fn read(&self, bucket: &Path, key: &str) -> io::Result<Option<(File, Description)>> {
        let Some((file, _)) = place::open(&Location::of(bucket, key))? else {
            return Ok(None);
        };
        let description = attributes::describe(&file)?;
        Ok(Some((file, description)))
    }

    /// The file of an object, whose bytes stay those of one version.
    pub(crate) fn file(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        let Some(directory) = self.bucket(bucket) else { return Ok(None) };
        Ok(place::open(&Location::of(&directory, key))?.map(|(file, _)| file))
    }

    /// A new temporary file for a body, of which a checksum is to be computed or not.
    pub(crate) fn temporary(&self, algorithm: Option<Algorithm>) -> io::Result<Temporary> {
        // A counter is unique: one process per lake, and it swept the directory when it opened.
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        Temporary::create(self.temporaries.join(number.to_string()), algorithm)
    }

    /// Stores a complete body under `key` if the condition holds: of several writers that name one version, one wins.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        mut body: Complete,
        condition: &Condition,
    ) -> Result<(), WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        let location = Location::of(&directory, key);
        let outbox = self.outbox.read().unwrap_or_else(PoisonError::into_inner).clone();

        // From the look at the stored version to the rename nobody else may write this key. Announcing inside the
        // lock, too, keeps the events of one key in the order of its versions.
        let guard = self.lock(bucket, key);
        let former = self.check(&location, condition)?;
        let etag = body.etag.clone();
        let object = StoredObject { bucket: bucket.into(), key: key.into(), size: body.size, etag };
        let ticket = outbox.as_ref().map(|outbox| outbox.intend(&object)).transpose()?.flatten();
        let placed = place::place(&mut body, &directory, &location);
        if placed.is_ok() {
            // Before any function is woken: who listens hears of an object before it hears of what was made of it. If
            // this never returns the event is owed, as after a kill.
            for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
                listener(&object, former.as_ref());
            }
        }
        if let (Some(outbox), Some(ticket)) = (&outbox, ticket) {
            match placed {
                Ok(()) => outbox.stored(ticket, &object),
                Err(_) => outbox.abandoned(ticket),
            }
        }
        drop(guard);
        match placed {
            Err(error) if place::is_absence(&error) && !directory.is_dir() => Err(WriteError::NoSuchBucket),
            other => Ok(other?),
        }
    }

    /// Deletes an object if the condition holds; without a condition, that there is none is no error.
    pub(crate) fn delete(&self, bucket: &str, key: &str, condition: &Condition) -> Result<(), WriteError> {
        let directory = self.bucket(bucket).ok_or(WriteError::NoSuchBucket)?;
        let location = Location::of(&directory, key);
        let _guard = self.lock(bucket, key);
        self.check(&location, condition)?;
        Ok(place::remove(&directory, &location)?)
    }

    /// The file of the stored version, if there is one and the condition holds.
    fn check(&self, location: &Location, condition: &Condition) -> Result<Option<File>, WriteError> {
        match (condition, place::open(location)?) {
            (Condition::None | Condition::Absent, None) => Ok(None),
            (Condition::None | Condition::Present, Some((file, _))) => Ok(Some(file)),
            (Condition::Absent, Some(_)) => Err(WriteError::PreconditionFailed),
            (Condition::Present | Condition::Version(_), None) => Err(WriteError::NoSuchKey),
            (Condition::Version(wanted), Some((file, _))) => match attributes::describe(&file)?.etag == *wanted {
                true => Ok(Some(file)),
                false => Err(WriteError::PreconditionFailed),
            },
        }
    }

    fn lock(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        // The modulo is below LOCKS, so it fits.
        let stripe = (hasher.finish() % LOCKS as u64) as usize;
        // The lock guards files, not memory: a panic of another holder left nothing half done in here.
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

    /// Completes a body that is in memory already.
    #[cfg(test)]
    pub(crate) fn complete(&self, body: &[u8], headers: attributes::Headers) -> io::Result<Complete> {
        let mut temporary = self.temporary(None)?;
        temporary.write_alone(body)?;
        let etag = attributes::hex(&temporary.digests().md5);
        temporary.complete(etag, attributes::Properties { headers, ..Default::default() })
    }
}

#[cfg(test)]
mod tests;
