//! The inputs of one attempt, with the versions in which they were read.

use crate::{Cache, Error};
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Snapshot, Store, Version};

/// The inputs of one attempt. The engine checks after a put that everything read through this still has its version.
pub struct Inputs<'a> {
    store: &'a Store,
    reads: Mutex<Reads>,
}

#[derive(Default)]
struct Reads {
    objects: BTreeMap<ObjectLocation, Version>,
    /// Whether two reads of one input differ.
    differ: bool,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, reads: Mutex::default() }
    }

    /// Reads an object.
    pub async fn read(&self, location: &ObjectLocation) -> Result<Option<Bytes>, Error> {
        let Snapshot { version, body } = Snapshot::read(self.store, location).await?;
        self.record(location, version);
        Ok(body)
    }

    /// Reads an object through `cache`.
    pub async fn read_cached<T: Send + Sync + 'static>(
        &self,
        cache: &Cache<T>,
        location: &ObjectLocation,
        decode: impl FnOnce(Bytes) -> Result<T, Corrupt> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Error> {
        let object = cache.read(self.store, location, decode).await?;
        self.record(location, object.as_ref().map_or(Version::Absent, |(etag, _)| Version::Etag(etag.clone())));
        Ok(object.map(|(_, value)| value))
    }

    /// Reads the version of an object whose content the caller has.
    pub async fn version(&self, location: &ObjectLocation) -> Result<Version, Error> {
        let version = self.store.version(location).await?;
        self.record(location, version.clone());
        Ok(version)
    }

    /// Records a version of an object that the caller has read elsewhere.
    pub fn record(&self, location: &ObjectLocation, version: Version) {
        let mut reads = self.reads();
        let before = reads.objects.insert(location.clone(), version.clone());
        if before.is_some_and(|before| before != version) {
            reads.differ = true;
        }
    }

    /// Whether an input changed between two reads.
    pub(crate) fn differ(&self) -> bool {
        self.reads().differ
    }

    /// Reads the versions of all inputs again. Returns whether they are the recorded ones.
    pub(crate) async fn unchanged(&self) -> Result<bool, Error> {
        let objects = self.reads().objects.clone();
        let objects = store::try_join_bounded(objects.iter().map(async |(location, version)| {
            let now = self.store.version(location).await?;
            Ok::<bool, Error>(now == *version)
        }));
        Ok(objects.await?.into_iter().all(|same| same))
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
