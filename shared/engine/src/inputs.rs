//! The inputs of one attempt: everything that is read through here is checked again after a put.

use crate::{Cache, Error};
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Listing, Read, Store, Version};

/// The inputs of one attempt to derive.
pub struct Inputs<'a> {
    store: &'a Store,
    bucket: &'a str,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    objects: BTreeMap<ObjectLocation, Version>,
    lists: BTreeMap<String, Listing>,
    /// Something was read twice, and was not the same.
    torn: bool,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(store: &'a Store, bucket: &'a str) -> Self {
        Self { store, bucket, seen: Mutex::default() }
    }

    /// Reads an object; none if there is none.
    pub async fn read(&self, location: &ObjectLocation) -> Result<Option<Bytes>, Error> {
        match self.store.read(location, None).await? {
            Read::Found { etag, body } => {
                self.note(location, Version::Etag(etag));
                Ok(Some(body))
            }
            Read::Absent | Read::Unchanged => {
                self.note(location, Version::Absent);
                Ok(None)
            }
        }
    }

    /// Reads an object that a warm function may have decoded already; none if there is none.
    pub async fn decoded<T: Send + Sync + 'static>(
        &self,
        cache: &Cache<T>,
        location: &ObjectLocation,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Error> {
        let found = cache.read(self.store, location, decode).await?;
        self.note(location, found.as_ref().map_or(Version::Absent, |(etag, _)| Version::Etag(etag.clone())));
        Ok(found.map(|(_, value)| value))
    }

    /// Reads an object that a noted list gave with this ETag. The list is what is checked again, not the object.
    pub async fn listed<T: Send + Sync + 'static>(
        &self,
        cache: &Cache<T>,
        location: &ObjectLocation,
        etag: &str,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Error> {
        if let Some((_, value)) = cache.get(location).filter(|(known, _)| known == etag) {
            return Ok(Some(value));
        }
        let found = cache.read(self.store, location, decode).await?;
        if found.as_ref().is_none_or(|(now, _)| now != etag) {
            self.seen().torn = true;
        }
        Ok(found.map(|(_, value)| value))
    }

    /// The version of an object whose content the caller has.
    pub async fn version(&self, location: &ObjectLocation) -> Result<Version, Error> {
        let version = self.store.version(location).await?;
        self.note(location, version.clone());
        Ok(version)
    }

    /// Lists all objects of the lake's bucket below `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let listing = self.store.list(self.bucket, prefix, true).await?;
        let before = self.seen().lists.insert(prefix.to_owned(), listing.clone());
        if before.is_some_and(|before| before != listing) {
            self.seen().torn = true;
        }
        Ok(listing)
    }

    /// Says that the object was read elsewhere, in this version.
    pub fn note(&self, location: &ObjectLocation, version: Version) {
        let mut seen = self.seen();
        let before = seen.objects.insert(location.clone(), version.clone());
        if before.is_some_and(|before| before != version) {
            seen.torn = true;
        }
    }

    /// Whether an input changed while it was read.
    pub(crate) fn torn(&self) -> bool {
        self.seen().torn
    }

    /// Whether all inputs still have the versions in which they were read.
    pub(crate) async fn unchanged(&self) -> Result<bool, Error> {
        let (objects, lists) = {
            let seen = self.seen();
            (seen.objects.clone(), seen.lists.clone())
        };
        let objects = store::try_join_bounded(objects.iter().map(async |(location, version)| {
            let now = self.store.version(location).await?;
            Ok::<bool, Error>(now == *version)
        }));
        let lists = store::try_join_bounded(lists.iter().map(async |(prefix, listing)| {
            let now = self.store.list(self.bucket, prefix, true).await?;
            Ok::<bool, Error>(now == *listing)
        }));
        let (objects, lists) = (objects.await?, lists.await?);
        Ok(objects.into_iter().chain(lists).all(|same| same))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
