//! What `accelerometer_trusted` and `step_trainer_trusted` share: the life of a landing file of readings.
//!
//! A landing file is *ingested*: read, indexed, given a manifest, and its outputs are committed. When the consent of a
//! customer changes, the customer's files are *reprocessed*: the index finds them, and their outputs are computed again. A
//! [`Rule`] decides which readings are admitted.
//!
//! | module | what it does |
//! |---|---|
//! | [`content`] | reads a landing file, in bounded memory |
//! | [`manifest`] | writes down what a file may touch, before consent is read |
//! | [`index`] | finds the files that have a key |
//! | [`materialize`] | computes the outputs of a file, its quarantine and its receipt |
//! | [`reprocess`] | processes changes of consent |
//!
//! The manifest is written before consent is read. So either a change of consent finds the manifest, or the function that
//! wrote the manifest reads the changed consent.

pub mod content;
pub mod index;
pub mod manifest;
pub mod materialize;
pub mod reprocess;

use bytes::Bytes;
use content::{Basis, ReadingFile};
#[cfg(feature = "broken")]
use engine::broken::{self, Broken};
use engine::log::{self, Timer};
use engine::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Cause, Error, Start, commit, commit_first};
use formats::Corrupt;
use formats::compacted_segment::CompactedSegment;
use formats::customer_shard::{Owner, Versions};
use formats::index_segment::IndexSegment;
#[cfg(feature = "broken")]
use formats::manifest::FileManifest;
use formats::reading::{Key, Reading};
use futures::stream::StreamExt;
use index::{Limits, PendingCompaction};
use manifest::CurrentManifest;
use materialize::{FileReport, FilesMaterialization};
use model::hash::{KeyHash, Shard, ShardCount};
use model::layout::{self, FileName, Object, ObjectLocation, Source};
use model::table::Table;
use runtime::function::{Failures, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Failure;
#[cfg(feature = "broken")]
use store::Version;
use store::lake::Lake;

/// Decides which readings are admitted, by the customers.
pub trait Rule: Send + Sync + 'static {
    /// The kind of readings.
    type Reading: Reading;
    /// What is decoded of a shard of the customers.
    type Shard: Send + Sync + 'static;
    /// The table of the customers.
    const CUSTOMERS: Table;
    /// The reason to exclude a reading that belongs to none of them.
    const EXCLUDED: &'static str;

    /// How much of a shard's object is read, if only its start is decoded.
    const START: Option<Start>;

    /// Decodes a shard.
    fn decode(bytes: Bytes) -> Result<Self::Shard, Corrupt>;

    /// Returns the version of a shard.
    fn version(shard: &Self::Shard) -> u64;

    /// Returns, for each key of a shard, the version in which its consent last changed.
    fn versions(shard: &Self::Shard) -> Result<&Versions, Corrupt>;

    /// Returns the shards that may have the customers of `keys`.
    fn shards_of(keys: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard>;

    /// Returns the customer who owns the readings of `key`, if an eligible customer does.
    ///
    /// # Errors
    /// The damaged shard.
    fn owner<'a>(customers: &'a Customers<Self::Shard>, key: &'a Key) -> Result<Option<Owner<'a>>, (Shard, Corrupt)>;
}

/// The shards of customers that decide on the readings of a file.
pub struct Customers<S> {
    count: ShardCount,
    shards: BTreeMap<Shard, Arc<S>>,
}

impl<S> Customers<S> {
    /// Returns the shard of a customer.
    pub fn shard_of(&self, key: KeyHash) -> Option<&S> {
        self.shards.get(&key.shard(self.count)).map(AsRef::as_ref)
    }

    /// Returns all shards.
    pub fn shards(&self) -> impl Iterator<Item = (Shard, &S)> {
        self.shards.iter().map(|(shard, customers)| (*shard, customers.as_ref()))
    }
}

/// The landing files of one kind of readings. Clones share the caches.
pub struct ReadingFiles<R: Rule> {
    lake: Lake,
    limits: Limits,
    shards: Arc<Cache<R::Shard>>,
    segments: Arc<Cache<IndexSegment>>,
    compacted: Arc<Cache<CompactedSegment>>,
}

impl<R: Rule> Clone for ReadingFiles<R> {
    fn clone(&self) -> Self {
        let Self { lake, limits, shards, segments, compacted } = self;
        let (shards, segments, compacted) = (shards.clone(), segments.clone(), compacted.clone());
        Self { lake: lake.clone(), limits: *limits, shards, segments, compacted }
    }
}

/// So many files of a batch are materialized together,
const FILES_MAX: usize = 16;
/// up to so many readings, so that they fit into memory.
const ROWS_MAX: usize = 200_000;
/// How many manifests are written at once. Each may need an index entry for each key of its file.
const MANIFESTS_AT_ONCE: usize = 4;

/// What is at the location of a landing file.
struct FileSnapshot<R: Rule> {
    location: ObjectLocation,
    file: FileName,
    /// None if the file is deleted.
    content: Option<ReadingFile<R::Reading>>,
    timer: Timer,
}

/// A landing file whose outputs are to be computed.
struct WorkItem<R: Rule> {
    location: ObjectLocation,
    file: FileName,
    basis: Basis<R::Reading>,
    current: CurrentManifest,
    cause: Cause,
    timer: Timer,
}

impl<R: Rule> FileSnapshot<R> {
    fn rows(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.readings.rows().len())
    }

    fn into_work_item(self, current: CurrentManifest, cause: Cause) -> WorkItem<R> {
        let Self { location, file, content, timer } = self;
        let basis = match content {
            Some(content) if content.etag == current.manifest.etag => Basis::Current(content),
            Some(_) => Basis::Superseded,
            None => Basis::Deleted,
        };
        WorkItem { location, file, basis, current, cause, timer }
    }
}

impl<R: Rule> WorkItem<R> {
    /// Whether no output of the file can exist.
    fn is_first(&self) -> bool {
        self.current.is_first && matches!(self.basis, Basis::Current(_))
    }
}

/// The manifest that a file has after its outputs are committed; none if the file has none.
type Outcome = (ObjectLocation, Result<Option<CurrentManifest>, Error>);

impl<R: Rule> ReadingFiles<R> {
    const SOURCE: Source = R::Reading::SOURCE;

    /// The landing files of `lake`, with these limits of the key index.
    pub fn new(lake: Lake, limits: Limits) -> Self {
        let shards = match R::START {
            Some(start) => Cache::of_starts(CACHE_BYTES_MAX, start),
            None => Cache::new(CACHE_BYTES_MAX),
        };
        let (segments, compacted) = (Cache::new(CACHE_BYTES_MAX), Cache::new(CACHE_BYTES_MAX));
        Self { lake, limits, shards: Arc::new(shards), segments: Arc::new(segments), compacted: Arc::new(compacted) }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Handles a batch: processes the changes of its shards, and then ingests its files. Calls `record` with the manifest of
    /// each file.
    ///
    /// The changes come first, so that each file is materialized once, with the changed consents.
    pub async fn handle(&self, inputs: BTreeSet<Input>, mut record: impl FnMut(FileName, CurrentManifest)) -> Failures {
        let mut failures = Failures::new();
        let mut shards = BTreeSet::new();
        let (mut shard_locations, mut files) = (Vec::new(), Vec::new());
        for (location, object) in inputs {
            match object {
                Object::Landing(_) => files.push(location),
                Object::CustomerTrusted(shard) | Object::CustomerCurated(shard) => {
                    shards.insert(shard);
                    shard_locations.push(location);
                }
                Object::LatestReadings(_) | Object::AccelerometerTrusted(_) | Object::StepTrainerTrusted(_) => {}
            }
        }
        let pending = self.reprocess(&shards).await.unwrap_or_else(|error| {
            let error: Arc<dyn Failure> = Arc::new(error);
            failures.extend(shard_locations.into_iter().map(|location| (location, error.clone())));
            PendingCompaction::default()
        });
        for (location, outcome) in self.process(files, Cause::Ingested).await {
            match outcome {
                Ok(current) => current.into_iter().for_each(|current| record(FileName::of(&location), current)),
                Err(error) => drop(failures.insert(location, Arc::new(error))),
            }
        }
        if let Err(error) = self.compact(pending).await {
            let error = store::with_causes(&error);
            tracing::warn!(error, "cannot compact the key index; the next search reads the same segments again");
        }
        failures
    }

    /// Commits the outputs of the files at `locations`, and registers their partitions.
    ///
    /// With [`Cause::ConsentChanged`], outputs of older versions of the shards get a new version even if their rows are
    /// equal: a fence.
    async fn process(&self, locations: Vec<ObjectLocation>, cause: Cause) -> Vec<Outcome> {
        // A few files have a task each; many files share tasks.
        let files_max = locations.len().div_ceil(store::TASKS_MAX).clamp(1, FILES_MAX);
        let groups = locations.chunks(files_max).map(|group| {
            let (files, group) = (self.clone(), group.to_vec());
            async move { files.process_group(group, cause).await }
        });
        store::join_bounded(groups).await.into_iter().flatten().collect()
    }

    async fn process_group(&self, locations: Vec<ObjectLocation>, cause: Cause) -> Vec<Outcome> {
        let (mut outcomes, mut files) = (Vec::new(), Vec::new());
        for location in locations {
            match self.read(&location).await {
                Ok(file) => files.push(file),
                Err(error) => outcomes.push((location, Err(error))),
            }
            if files.iter().map(FileSnapshot::rows).sum::<usize>() > ROWS_MAX {
                self.process_files(std::mem::take(&mut files), cause, &mut outcomes).await;
            }
        }
        self.process_files(files, cause, &mut outcomes).await;
        outcomes
    }

    async fn process_files(&self, files: Vec<FileSnapshot<R>>, cause: Cause, outcomes: &mut Vec<Outcome>) {
        let manifests = self.current_manifests(&files, cause).await;
        let (mut first, mut others): (Vec<WorkItem<R>>, Vec<WorkItem<R>>) = (Vec::new(), Vec::new());
        for (file, current) in files.into_iter().zip(manifests) {
            match current {
                Ok(Some(current)) => {
                    let item = file.into_work_item(current, cause);
                    let list = if item.is_first() { &mut first } else { &mut others };
                    list.push(item);
                }
                Ok(None) => outcomes.push((file.location, Ok(None))),
                Err(error) => outcomes.push((file.location, Err(error))),
            }
        }
        self.process_items(first, cause, outcomes).await;
        self.process_items(others, cause, outcomes).await;
    }

    /// Materializes files together. If that fails, it processes each alone, so that one bad file does not stop the others.
    async fn process_items(&self, items: Vec<WorkItem<R>>, cause: Cause, outcomes: &mut Vec<Outcome>) {
        let error = match self.materialize(&items).await {
            Ok(()) => {
                outcomes.extend(items.into_iter().map(|item| (item.location, Ok(Some(item.current)))));
                return;
            }
            Err(error) => error,
        };
        let outdated = matches!(error, Error::Outdated);
        if let ([_], false) = (items.as_slice(), outdated) {
            outcomes.extend(items.into_iter().map(|item| item.location).zip([Err(error)]));
            return;
        }
        if !outdated {
            let (files, error) = (items.len(), store::with_causes(&error));
            tracing::warn!(files, error, "cannot materialize files together; trying each alone");
        }
        // This drops the contents of the files before each is read again.
        let locations: Vec<ObjectLocation> = items.into_iter().map(|item| item.location).collect();
        for location in locations {
            let outcome = self.process_file(&location, cause).await;
            outcomes.push((location, outcome));
        }
    }

    async fn process_file(&self, location: &ObjectLocation, cause: Cause) -> Result<Option<CurrentManifest>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let file = self.read(location).await?;
            let current = self.current_manifest(&file, cause, false).await?;
            let Some(item) = current.map(|current| file.into_work_item(current, cause)) else { return Ok(None) };
            match self.materialize(std::slice::from_ref(&item)).await {
                Err(Error::Outdated) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(Some(item.current)),
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Reads the file at `location`.
    async fn read(&self, location: &ObjectLocation) -> Result<FileSnapshot<R>, Error> {
        let timer = Timer::start();
        let content = content::read::<R::Reading>(&self.lake.store, location).await?;
        Ok(FileSnapshot { location: location.clone(), file: FileName::of(location), content, timer })
    }

    /// Returns the manifest of each file, and writes it first if the cause is the file's own event.
    async fn current_manifests(
        &self,
        files: &[FileSnapshot<R>],
        cause: Cause,
    ) -> Vec<Result<Option<CurrentManifest>, Error>> {
        let contents = files.iter().filter_map(|file| Some((&file.file, file.content.as_ref()?)));
        let contents: Vec<_> = contents.filter(|_| cause == Cause::Ingested).collect();
        let indexed = manifest::index_together(&self.lake, self.limits, &contents).await.unwrap_or_else(|error| {
            let (files, error) = (contents.len(), store::with_causes(&error));
            tracing::warn!(files, error, "cannot index files together; trying each alone");
            false
        });
        let manifests = files.iter().map(|file| self.current_manifest(file, cause, indexed)).collect::<Vec<_>>();
        futures::stream::iter(manifests).buffered(MANIFESTS_AT_ONCE).collect().await
    }

    async fn current_manifest(
        &self,
        file: &FileSnapshot<R>,
        cause: Cause,
        indexed: bool,
    ) -> Result<Option<CurrentManifest>, Error> {
        let FileSnapshot { location, file, content, .. } = file;
        match (cause, content) {
            #[cfg(feature = "broken")]
            (Cause::Ingested, Some(content)) if broken::is(Broken::ManifestLate) => {
                let manifest = FileManifest::of(None, location, &content.etag, &content.readings);
                Ok(Some(CurrentManifest { manifest, version: Version::Absent, is_first: false }))
            }
            // Only a file's own event writes its manifest. Reprocessing could be killed after it wrote a manifest of a
            // version that is then replaced. The manifest would stay wrong, because no event would follow.
            (Cause::Ingested, Some(content)) => {
                manifest::write(&self.lake, self.limits, location, file, content, indexed).await.map(Some)
            }
            // A deleted file is materialized from its stored outputs: a killed function may have left it unfinished.
            (Cause::ConsentChanged, Some(_)) | (_, None) => {
                let key = layout::manifest(Self::SOURCE, file);
                let (version, manifest) = manifest::read(&self.lake, &key).await?;
                if manifest.is_none() {
                    tracing::info!(object = %location, "landing file is deleted and has no manifest: nothing to do");
                }
                Ok(manifest.map(|manifest| CurrentManifest { manifest, version, is_first: false }))
            }
        }
    }

    /// Commits the outputs of files, and registers their partitions.
    async fn materialize(&self, items: &[WorkItem<R>]) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let mut outputs = FilesMaterialization { files: self, items, first: items.iter().all(WorkItem::is_first) };
        let committed = if outputs.first { commit_first(&self.lake, &outputs).await? } else { None };
        let committed = match committed {
            Some(committed) => committed,
            None => {
                outputs.first = false;
                commit(&self.lake, &outputs).await?
            }
        };
        #[cfg(feature = "broken")]
        for item in items.iter().filter(|item| broken::is(Broken::ManifestLate) && item.cause == Cause::Ingested) {
            if let Basis::Current(content) = &item.basis {
                manifest::write(&self.lake, self.limits, &item.location, &item.file, content, false).await?;
            }
        }
        #[cfg(feature = "broken")]
        if committed.writes == 0 && broken::is(Broken::RegistersWritesOnly) {
            return Ok(());
        }
        let partitions = committed.report.iter().flat_map(|report| report.partitions.iter().copied()).collect();
        self.lake.catalog.register(R::Reading::TRUSTED, &partitions).await?;
        for (item, FileReport { receipt, writes, .. }) in items.iter().zip(committed.report) {
            let Some(receipt) = receipt else { continue };
            log::landing_file(&item.location, &receipt, item.cause, writes, &item.timer);
            if let (Cause::Ingested, Basis::Current(_)) = (item.cause, &item.basis) {
                log::count_ingested(&self.lake.counters, &receipt);
            }
        }
        Ok(())
    }
}
