//! Decoded objects by version, kept while a function is warm.

use crate::Error;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Read, Store, StoreError};

/// An object of so many bytes is worth a task: several are then decoded on several cores.
const TASK_BYTES_MIN: usize = 16 << 10;

/// What a function may keep of each kind of object, as stored. Decoded they take several times as much.
pub const CACHE_BYTES_MAX: usize = 32 << 20;

/// Decoded objects by location and ETag. A cached object is only ever used after S3 has said that it is unchanged.
#[derive(Debug)]
pub struct Cache<T> {
    bytes_max: usize,
    start: Option<Start>,
    entries: Mutex<Entries<T>>,
}

/// The start of an object, if that is all that is decoded of it.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// How many bytes are read at first.
    pub bytes: usize,
    /// How many bytes are needed, given those.
    pub needed: fn(&[u8]) -> usize,
}

#[derive(Debug)]
struct Entries<T> {
    objects: HashMap<ObjectLocation, Entry<T>>,
    /// The stored bytes of all objects together.
    bytes: usize,
    /// Counts the uses, so that the object that was not used for longest can be dropped.
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
    /// A cache of objects that have at most `bytes_max` bytes together, as they are stored.
    pub fn new(bytes_max: usize) -> Self {
        let entries = Mutex::new(Entries { objects: HashMap::new(), bytes: 0, uses: 0 });
        Self { bytes_max, start: None, entries }
    }

    /// As [`Self::new`], of objects of which only the start is read and decoded.
    pub fn of_starts(bytes_max: usize, start: Start) -> Self {
        Self { start: Some(start), ..Self::new(bytes_max) }
    }

    /// Reads an object, decoding it only if it is not the version at hand: its ETag and what it holds; none if there is
    /// no such object.
    pub async fn read(
        &self,
        store: &Store,
        location: &ObjectLocation,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt> + Send + 'static,
    ) -> Result<Option<(String, Arc<T>)>, Error> {
        let known = self.get(location);
        #[cfg(feature = "broken")]
        if known.is_some() && crate::broken::is(crate::broken::Broken::StaleCache) {
            return Ok(known);
        }
        match self.fetch(store, location, known.as_ref().map(|(etag, _)| etag.as_str())).await? {
            Read::Unchanged => Ok(known),
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

    /// Reads as much of an object as is decoded.
    async fn fetch(&self, store: &Store, location: &ObjectLocation, known: Option<&str>) -> Result<Read, StoreError> {
        let Some(Start { bytes, needed }) = self.start else { return store.read(location, known).await };
        let mut wanted = bytes;
        loop {
            match store.read_start(location, known, wanted).await? {
                // The object goes on, and so does what is needed. It may have grown when it is read again.
                Read::Found { body, .. } if body.len() == wanted && needed(&body) > wanted => wanted = needed(&body),
                read => return Ok(read),
            }
        }
    }

    /// The object as it was decoded last, with its ETag.
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
        let before = entries.objects.insert(location, Entry { etag, value, bytes, used });
        entries.bytes -= before.map_or(0, |before| before.bytes);
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
    fn the_object_not_used_for_longest_is_dropped() {
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
