//! Decoded objects by version, kept while a function is warm.

use crate::Error;
use aws::store::{Read, Store};
use bytes::Bytes;
use lake::Corrupt;
use lake::layout::Place;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Decoded objects by place and ETag. A cached object is only ever used after S3 has said that it is unchanged.
#[derive(Debug)]
pub struct Cache<T> {
    objects_max: usize,
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    objects: HashMap<Place, Entry<T>>,
    /// Counts the uses, so that the object that was not used for longest can be dropped.
    uses: u64,
}

#[derive(Debug)]
struct Entry<T> {
    etag: String,
    value: Arc<T>,
    used: u64,
}

impl<T> Cache<T> {
    /// A cache of at most `objects_max` objects.
    pub fn new(objects_max: usize) -> Self {
        Self { objects_max, entries: Mutex::new(Entries { objects: HashMap::new(), uses: 0 }) }
    }

    /// Reads an object, decoding it only if it is not the version at hand: its ETag and what it holds; none if there is
    /// no such object.
    pub async fn read(
        &self,
        store: &Store,
        place: &Place,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt>,
    ) -> Result<Option<(String, Arc<T>)>, Error> {
        let known = self.get(place);
        match store.read(place, known.as_ref().map(|(etag, _)| etag.as_str())).await? {
            Read::Unchanged => Ok(known),
            Read::Absent => Ok(None),
            Read::Found { etag, body } => {
                let value = Arc::new(decode(body).map_err(Error::corrupt(place.clone()))?);
                self.put(place.clone(), etag.clone(), value.clone());
                Ok(Some((etag, value)))
            }
        }
    }

    /// The object as it was decoded last, with its ETag.
    pub fn get(&self, place: &Place) -> Option<(String, Arc<T>)> {
        let mut entries = self.entries();
        entries.uses += 1;
        let uses = entries.uses;
        let entry = entries.objects.get_mut(place)?;
        entry.used = uses;
        Some((entry.etag.clone(), entry.value.clone()))
    }

    fn put(&self, place: Place, etag: String, value: Arc<T>) {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        if entries.objects.len() >= self.objects_max && !entries.objects.contains_key(&place) {
            let oldest = entries.objects.iter().min_by_key(|(_, entry)| entry.used).map(|(place, _)| place.clone());
            oldest.and_then(|oldest| entries.objects.remove(&oldest));
        }
        entries.objects.insert(place, Entry { etag, value, used });
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
        let place = |key: &str| Place { bucket: "b".into(), key: key.into() };
        let cache = Cache::new(2);
        cache.put(place("a"), "1".into(), Arc::new(1));
        cache.put(place("b"), "1".into(), Arc::new(2));
        assert!(cache.get(&place("a")).is_some());
        cache.put(place("c"), "1".into(), Arc::new(3));
        assert!(cache.get(&place("b")).is_none());
        assert_eq!(cache.get(&place("a")).map(|(_, value)| *value), Some(1));
    }
}
