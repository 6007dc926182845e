//! What `accelerometer_trusted` and `step_trainer_trusted` share: the life of a landing file of readings.
//!
//! A landing file is *ingested*: read, indexed, given a manifest with a generation, and merged into a cell for each slice in
//! which it has readings. When the consent of a customer changes, the customer's cells are *reprocessed*: the index finds
//! them, and their rows are filtered again. A [`Rule`] decides which readings are admitted.
//!
//! | module | what it does |
//! |---|---|
//! | [`content`] | reads a landing file, in bounded memory |
//! | `manifest` | gives each version of a file its generation, and writes down what the file may touch |
//! | [`index`] | finds the files that have a key, and the slices |
//! | `customers` | reads the consent shards that decide |
//! | `cells` | merges files into cells, and filters cells |
//! | `receipts` | writes receipts and quarantines |
//! | `plan` | turns changes of consent into work items |
//! | `work` | does work items |
//!
//! The index is written before consent is read. So either a change of consent finds the file, or the function that wrote the
//! index entry reads the changed consent. Each cell has a *consent vector*: the versions of the shards that it was last
//! filtered by. A function that holds an older version reads the shard again before it writes. So no slow function can bring
//! back a row of a customer who has withdrawn.

mod cells;
pub mod content;
mod customers;
pub mod index;
mod manifest;
mod plan;
mod receipts;
mod work;

use bytes::Bytes;
use cells::{Merged, Outcome};
use content::ReadingFile;
use engine::log::Timer;
use engine::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Error, Start, landing_file};
use formats::Corrupt;
use formats::compacted_segment::CompactedSegment;
use formats::customer_shard::{Owner, Versions};
use formats::index_segment::IndexSegment;
use formats::manifest::FileManifest;
use formats::reading::{Key, Reading, Readings};
use futures::stream::StreamExt;
use index::PendingCompaction;
use model::hash::Shard;
use model::layout::{FileId, Object, ObjectLocation, Source};
use model::slice::Slice;
pub use receipts::BEFORE_CONSENT;
use receipts::FileCounts;
use runtime::function::{Failures, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Failure;
use store::lake::Lake;

/// Decides which readings are admitted, by the customers.
pub trait Rule: Send + Sync + 'static {
    /// The kind of readings.
    type Reading: Reading;
    /// What is decoded of a consent shard.
    type Shard: Send + Sync + 'static;
    /// The reason to exclude a reading of a key without an owner.
    const EXCLUDED: &'static str;
    /// How much of a shard's object is read, if only its start is decoded.
    const START: Option<Start>;

    /// Returns the key of a consent shard's object.
    fn shard_at(shard: Shard) -> String;

    /// Decodes a shard.
    fn decode(bytes: Bytes) -> Result<Self::Shard, Corrupt>;

    /// Returns the version of a shard.
    fn version(shard: &Self::Shard) -> u64;

    /// Returns, for each key of a shard, the version in which its consent last changed.
    fn versions(shard: &Self::Shard) -> Result<&Versions, Corrupt>;

    /// Returns the customer who owns the readings of a key of this shard, if an eligible customer does.
    fn owner<'a>(shard: &'a Self::Shard, key: &'a Key) -> Option<Owner<'a>>;
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

/// Limits that choose the form of the key index, and how much work is done at once. They do not change what the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file with more keys, counted in each slice, is in a segment and has no entry for each key.
    pub entries_max: usize,
    /// Up to so many keys are searched one at a time. For more, one list of all entries is cheaper, if it is complete.
    pub keys_max: usize,
    /// Up to so many segments are read without compacting them.
    pub pending_max: usize,
    /// Files of a batch are merged together up to so many readings, so that they fit into memory. A reading takes some 50
    /// bytes.
    pub rows_max: usize,
    /// So many changed keys of a shard are planned before its checkpoint is advanced. If the function is killed, only they are
    /// planned again.
    pub planned_max: usize,
}

/// The limits of the functions on AWS.
pub const LIMITS: Limits =
    Limits { entries_max: 16, keys_max: 8, pending_max: 16, rows_max: 1_500_000, planned_max: 1_000 };

/// How many manifests are written at once. Each may need an index entry for each key of its file.
const MANIFESTS_AT_ONCE: usize = 8;

/// A landing file as it was read.
struct FileSnapshot<R: Rule> {
    location: ObjectLocation,
    /// None if the file is deleted.
    content: Option<ReadingFile<R::Reading>>,
    timer: Timer,
}

/// A landing file that has a manifest, and is merged into its cells.
pub(crate) struct Ingestion<R: Rule> {
    pub(crate) location: ObjectLocation,
    pub(crate) file: FileId,
    /// None if the file is deleted. Then only rows of a version that was replaced before are removed.
    pub(crate) content: Option<ReadingFile<R::Reading>>,
    pub(crate) generation: u64,
    /// The slices in which any version of the file has readings.
    pub(crate) slices: BTreeSet<Slice>,
    pub(crate) timer: Timer,
}

impl<R: Rule> FileSnapshot<R> {
    fn rows(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.readings.rows().len())
    }

    fn into_ingestion(self, lake: &Lake, manifest: FileManifest<Slice>) -> Ingestion<R> {
        let Self { location, content, timer } = self;
        let file = lake.file_id(&location);
        let FileManifest { generation, touched: slices, .. } = manifest;
        Ingestion { file, location, content, generation, slices, timer }
    }
}

/// What the caller learns of each file that was ingested: its location and its readings.
pub trait Record<R: Reading>: FnMut(&ObjectLocation, &Readings<R>) + Send {}

impl<R: Reading, F: FnMut(&ObjectLocation, &Readings<R>) + Send> Record<R> for F {}

impl<R: Rule> ReadingFiles<R> {
    const SOURCE: Source = R::Reading::SOURCE;

    /// The landing files of `lake`, with these limits.
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

    /// Handles a batch: plans the changes of its shards, does its work items, and ingests its files. Calls `record` for each
    /// file that was ingested.
    pub async fn handle(&self, inputs: BTreeSet<Input>, mut record: impl Record<R::Reading>) -> Failures {
        let mut failures = Failures::new();
        let mut shards: BTreeMap<Shard, Vec<ObjectLocation>> = BTreeMap::new();
        let (mut items, mut files) = (Vec::new(), Vec::new());
        for (location, object) in inputs {
            match object {
                Object::Landing(_) => files.push(location),
                Object::CustomerTrusted(shard) | Object::Devices(shard) => {
                    shards.entry(shard).or_default().push(location);
                }
                Object::WorkItem(_) => items.push(location),
                Object::LatestReadings(_) | Object::AccelerometerTrusted(_) | Object::StepTrainerTrusted(_) => {}
            }
        }
        let pending = self.plan_all(shards, &mut failures).await;
        for location in items {
            if let Err(error) = self.work(&location).await {
                failures.insert(location, Arc::new(error));
            }
        }
        self.ingest(files, &mut record, &mut failures).await;
        if let Err(error) = self.compact(pending).await {
            let error = store::with_causes(&error);
            tracing::warn!(error, "cannot compact the key index; the next search reads the same segments again");
        }
        failures
    }

    /// Plans the changes of shards together. If that fails, it plans each alone, so that one bad shard does not stop the others.
    async fn plan_all(
        &self,
        shards: BTreeMap<Shard, Vec<ObjectLocation>>,
        failures: &mut Failures,
    ) -> PendingCompaction {
        let error = match self.plan(&shards.keys().copied().collect()).await {
            Ok(pending) => return pending,
            Err(error) => error,
        };
        let (count, error) = (shards.len(), store::with_causes(&error));
        tracing::warn!(shards = count, error, "cannot plan changes of shards together; trying each alone");
        for (shard, locations) in shards {
            if let Err(error) = self.plan(&BTreeSet::from([shard])).await {
                let error: Arc<dyn Failure> = Arc::new(error);
                failures.extend(locations.into_iter().map(|location| (location, error.clone())));
            }
        }
        PendingCompaction::default()
    }

    /// Ingests the files at `locations`, as many together as fit into memory.
    async fn ingest(
        &self,
        locations: Vec<ObjectLocation>,
        record: &mut impl Record<R::Reading>,
        failures: &mut Failures,
    ) {
        let mut files = Vec::new();
        for chunk in locations.chunks(landing_file::FILES_AT_ONCE) {
            let reads = chunk.iter().cloned().map(|location| {
                let files = self.clone();
                async move { (files.read(&location).await, location) }
            });
            for (file, location) in store::join_bounded(reads).await {
                match file {
                    Ok(file) => files.push(file),
                    Err(error) => drop(failures.insert(location, Arc::new(error))),
                }
            }
            if files.iter().map(FileSnapshot::rows).sum::<usize>() > self.limits.rows_max {
                self.ingest_together(std::mem::take(&mut files), record, failures).await;
            }
        }
        self.ingest_together(files, record, failures).await;
    }

    /// Ingests files together, and those that another function has overtaken alone. If that fails, it ingests each alone, so
    /// that one bad file does not stop the others.
    async fn ingest_together(
        &self,
        files: Vec<FileSnapshot<R>>,
        record: &mut impl Record<R::Reading>,
        failures: &mut Failures,
    ) {
        let (mut batch, mut alone) = (Vec::new(), Vec::new());
        let manifests = self.manifests(&files).await;
        for (file, manifest) in files.into_iter().zip(manifests) {
            match manifest {
                Ok(Some(manifest)) => batch.push(file.into_ingestion(&self.lake, manifest)),
                Ok(None) => {}
                Err(Error::Outdated) => alone.push((file.location, 0)),
                Err(error) => drop(failures.insert(file.location, Arc::new(error))),
            }
        }
        let batch = Arc::new(batch);
        match self.merge_all(&batch, record).await {
            Ok(superseded) => alone.extend(superseded),
            Err(error) => {
                let (files, error) = (batch.len(), store::with_causes(&error));
                tracing::warn!(files, error, "cannot ingest files together; trying each alone");
                alone.extend(batch.iter().map(|item| (item.location.clone(), 0)));
            }
        }
        // The contents of the files are dropped before each is read again.
        drop(batch);
        for (location, generation_min) in alone {
            if let Err(error) = self.ingest_alone(&location, generation_min, record).await {
                failures.insert(location, Arc::new(error));
            }
        }
    }

    /// Ingests one file, whose manifest must have at least `generation_min`.
    async fn ingest_alone(
        &self,
        location: &ObjectLocation,
        mut generation_min: u64,
        record: &mut impl Record<R::Reading>,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let file = self.read(location).await?;
            let manifest = match self.manifest(&file, generation_min, false).await {
                Err(Error::Outdated) => continue,
                manifest => manifest?,
            };
            let Some(manifest) = manifest else { return Ok(()) };
            let batch = Arc::new(vec![file.into_ingestion(&self.lake, manifest)]);
            match self.merge_all(&batch, record).await?.as_slice() {
                [] => return Ok(()),
                [(_, generation), ..] => generation_min = *generation,
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Reads the file at `location`.
    async fn read(&self, location: &ObjectLocation) -> Result<FileSnapshot<R>, Error> {
        let timer = Timer::start();
        let content = content::read::<R::Reading>(&self.lake, location).await?;
        Ok(FileSnapshot { location: location.clone(), content, timer })
    }

    /// Writes the manifest of each file.
    async fn manifests(&self, files: &[FileSnapshot<R>]) -> Vec<Result<Option<FileManifest<Slice>>, Error>> {
        let contents: Vec<_> =
            files.iter().filter_map(|file| Some((self.lake.file_id(&file.location), file.content.as_ref()?))).collect();
        let is_indexed = manifest::index_together(&self.lake, self.limits, &contents).await.unwrap_or_else(|error| {
            let (files, error) = (contents.len(), store::with_causes(&error));
            tracing::warn!(files, error, "cannot index files together; trying each alone");
            false
        });
        let manifests = files.iter().map(|file| self.manifest(file, 0, is_indexed)).collect::<Vec<_>>();
        futures::stream::iter(manifests).buffered(MANIFESTS_AT_ONCE).collect().await
    }

    /// Writes the manifest of a file. Of a deleted file it reads the manifest; none if it has none.
    async fn manifest(
        &self,
        FileSnapshot { location, content, .. }: &FileSnapshot<R>,
        generation_min: u64,
        is_indexed: bool,
    ) -> Result<Option<FileManifest<Slice>>, Error> {
        match content {
            Some(content) => {
                let file = (location, content);
                manifest::write(&self.lake, self.limits, file, generation_min, is_indexed).await.map(Some)
            }
            None => {
                let manifest = manifest::read::<R::Reading>(&self.lake, self.lake.file_id(location)).await?;
                if manifest.is_none() {
                    tracing::info!(object = %location, "landing file is deleted and has no manifest: nothing to do");
                }
                Ok(manifest)
            }
        }
    }

    /// Merges files into their cells, registers the partitions, and writes the receipts. Returns the files that another
    /// function has overtaken, each with the generation that it found.
    async fn merge_all(
        &self,
        batch: &Arc<Vec<Ingestion<R>>>,
        record: &mut impl Record<R::Reading>,
    ) -> Result<Vec<(ObjectLocation, u64)>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut cells: BTreeMap<Slice, Vec<usize>> = BTreeMap::new();
        for (position, item) in batch.iter().enumerate() {
            item.slices.iter().for_each(|slice| cells.entry(*slice).or_default().push(position));
        }
        let customers = self.customers(Self::keys_of(batch.iter())).await?;
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::IndexLate) {
            let file_slices = |item: &Ingestion<R>| {
                item.content.as_ref().map(|content| content.file_slices(item.file, self.lake.config().slices_per_hour))
            };
            index::add(
                &self.lake,
                self.limits,
                Self::SOURCE,
                &batch.iter().filter_map(file_slices).collect::<Vec<_>>(),
            )
            .await?;
        }
        let merges = cells.into_iter().map(|(slice, files)| {
            let (of, batch, customers) = (self.clone(), batch.clone(), customers.clone());
            async move { of.merge(slice, files, batch, customers).await }
        });
        let (mut counts, mut superseded, mut had_rows) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for merged in store::join_bounded(merges.collect::<Vec<_>>()).await {
            let Merged { key, slice, files, consents, had_rows: has_rows, is_written } = merged?;
            #[cfg(feature = "broken")]
            let has_rows = has_rows && (is_written || !engine::broken::is(engine::broken::Broken::RegistersWritesOnly));
            had_rows.extend(has_rows.then_some(slice.partition));
            for (position, outcome) in files {
                let counts: &mut FileCounts = counts.entry(position).or_default();
                counts.writes += usize::from(is_written);
                for (shard, version) in &consents {
                    counts
                        .consents
                        .entry(*shard)
                        .and_modify(|oldest| *oldest = (*version).min(*oldest))
                        .or_insert(*version);
                }
                match outcome {
                    Outcome::Merged(of_cell) => drop(counts.cells.insert(key.clone(), of_cell)),
                    Outcome::Superseded(generation) => drop(superseded.insert(position, generation)),
                }
            }
        }
        self.lake.catalog.register(R::Reading::TRUSTED, &had_rows).await?;
        let (due, files) = (batch.iter().enumerate(), &superseded);
        let due: Vec<(usize, &Ingestion<R>)> = due.filter(|(position, _)| !files.contains_key(position)).collect();
        for (_, item) in &due {
            item.content.iter().for_each(|content| record(&item.location, &content.readings));
        }
        let none = FileCounts::default();
        let receipts = due.into_iter().map(async |(position, item)| {
            Ok::<_, Error>((position, self.write_receipt(item, counts.get(&position).unwrap_or(&none)).await?))
        });
        for (position, outcome) in store::try_join_bounded(receipts).await? {
            if let Outcome::Superseded(generation) = outcome {
                superseded.insert(position, generation);
            }
        }
        Ok(superseded
            .into_iter()
            .map(|(position, generation)| (batch[position].location.clone(), generation))
            .collect())
    }
}
