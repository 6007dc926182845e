//! Decoded objects by version, kept while a function is warm.

use crate::Error;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Read, Store, StoreError};

/// Objects from this size on are decoded in a task, so that several cores decode several objects.
const TASK_BYTES_MIN: usize = 16 << 10;

/// How many stored bytes of each kind of object a function keeps. Decoded, they take several times as much memory.
pub const CACHE_BYTES_MAX: usize = 32 << 20;

/// Decoded objects by location and ETag. A cached object is used only after S3 has confirmed its version.
#[derive(Debug)]
pub struct Cache<T> {
    bytes_max: usize,
    start: Option<Start>,
    entries: Mutex<Entries<T>>,
}

/// How much of an object is read, if only its start is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// How many bytes the first read takes.
    pub bytes: usize,
    /// Returns from these bytes how many are needed.
    pub needed: fn(&[u8]) -> usize,
}

#[derive(Debug)]
struct Entries<T> {
    objects: HashMap<ObjectLocation, Entry<T>>,
    /// The stored bytes of all objects together.
    bytes: usize,
    /// Counts the uses, to find the least recently used object.
    uses: u64,
}

#[derive(Debug)]
struct Entry<T> {
    etag: String,
    value: Arc<T>,
    bytes: usize,
    used: u64,
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// A cache of objects with at most `bytes_max` stored bytes in total.
    pub fn new(bytes_max: usize) -> Self {
        let entries = Mutex::new(Entries { objects: HashMap::new(), bytes: 0, uses: 0 });
        Self { bytes_max, start: None, entries }
    }

    /// As [`Self::new`], for objects whose start alone is read and decoded.
    pub fn of_starts(bytes_max: usize, start: Start) -> Self {
        Self { start: Some(start), ..Self::new(bytes_max) }
    }

    /// Reads an object, and decodes it if its cached version is not current. Returns its ETag and value; none if there is no
    /// object.
    pub async fn read(
        &self,
        store: &Store,
        location: &ObjectLocation,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt> + Send + 'static,
    ) -> Result<Option<(String, Arc<T>)>, Error> {
        let cached = self.get(location);
        #[cfg(feature = "broken")]
        if cached.is_some() && crate::broken::is(crate::broken::Broken::StaleCache) {
            return Ok(cached);
        }
        match self.fetch(store, location, cached.as_ref().map(|(etag, _)| etag.as_str())).await? {
            Read::Unchanged => Ok(cached),
            Read::Absent => Ok(None),
            Read::Found { etag, body } => {
                let bytes = body.len();
                let decoded = match bytes < TASK_BYTES_MIN {
                    true => decode(body),
                    false => store::spawn(async move { decode(body) }).await,
                };
                let value = Arc::new(decoded.map_err(Error::corrupt(location.clone()))?);
                self.put(location.clone(), etag.clone(), value.clone(), bytes);
                Ok(Some((etag, value)))
            }
        }
    }

    /// Reads the part of an object that is decoded.
    async fn fetch(&self, store: &Store, location: &ObjectLocation, known: Option<&str>) -> Result<Read, StoreError> {
        let Some(Start { bytes, needed }) = self.start else { return store.read(location, known).await };
        let mut length = bytes;
        loop {
            match store.read_start(location, known, length).await? {
                // More bytes are needed, and the object has more. It may change before the next read.
                Read::Found { body, .. } if body.len() == length && needed(&body) > length => length = needed(&body),
                read => return Ok(read),
            }
        }
    }

    /// Returns the cached value of an object, with its ETag.
    pub fn get(&self, location: &ObjectLocation) -> Option<(String, Arc<T>)> {
        let mut entries = self.entries();
        entries.uses += 1;
        let uses = entries.uses;
        let entry = entries.objects.get_mut(location)?;
        entry.used = uses;
        Some((entry.etag.clone(), entry.value.clone()))
    }

    fn put(&self, location: ObjectLocation, etag: String, value: Arc<T>, bytes: usize) {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        entries.bytes += bytes;
        let replaced = entries.objects.insert(location, Entry { etag, value, bytes, used });
        entries.bytes -= replaced.map_or(0, |replaced| replaced.bytes);
        while entries.bytes > self.bytes_max {
            let oldest =
                entries.objects.iter().min_by_key(|(_, entry)| entry.used).map(|(location, _)| location.clone());
            let Some(oldest) = oldest.and_then(|oldest| entries.objects.remove(&oldest)) else { break };
            entries.bytes -= oldest.bytes;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_used_object_is_dropped() {
        let location = |key: &str| ObjectLocation { bucket: "b".into(), key: key.into() };
        let cache = Cache::new(20);
        cache.put(location("a"), "1".into(), Arc::new(1), 9);
        cache.put(location("b"), "1".into(), Arc::new(2), 9);
        assert!(cache.get(&location("a")).is_some());
        cache.put(location("c"), "1".into(), Arc::new(3), 9);
        assert!(cache.get(&location("b")).is_none());
        assert_eq!(cache.get(&location("a")).map(|(_, value)| *value), Some(1));
        cache.put(location("a"), "2".into(), Arc::new(4), 21);
        assert!(cache.get(&location("a")).is_none(), "larger than the cache");
        cache.put(location("d"), "1".into(), Arc::new(5), 20);
        assert!(cache.get(&location("d")).is_some());
    }
}
