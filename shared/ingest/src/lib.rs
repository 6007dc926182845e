//! What `accelerometer_trusted` and `step_trainer_trusted` share: the life of a landing file of readings.
//!
//! A file is *landed*: read, announced, derived. When the trust in a key changes, the change is *reprocessed*: the files
//! that have the key are found in the index and derived again. A [`Rule`] says whose readings are let through.
//!
//! | module | what it does |
//! |---|---|
//! | [`content`] | reads a landing file, in bounded memory |
//! | [`announce`] | says what the file may touch, before anything is touched |
//! | [`index`] | finds the files that have a key |
//! | [`mod@derive`] | the file's outputs, its quarantine and its receipt, as one derivation |
//! | [`propagate`] | carries changes of trust to the files they concern |
//!
//! "Announce, then read": either a change of trust finds the manifest, or the function that announced sees the
//! change.

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
use engine::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Error, Start, commit, commit_first};
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
#[cfg(feature = "broken")]
use store::Version;
use store::lake::Lake;

/// Whose readings are let through.
pub trait Rule: Send + Sync + 'static {
    /// The readings.
    type Reading: Reading;
    /// A shard of the customers who are trusted.
    type Shard: Send + Sync + 'static;
    /// The table of those customers.
    const CUSTOMERS: Table;
    /// Why a reading is excluded that belongs to none of them.
    const EXCLUDED: &'static str;

    /// If a shard is decoded from the start of its object: how much that is.
    const START: Option<Start>;

    /// Reads a shard's object.
    fn decode(bytes: Bytes) -> Result<Self::Shard, Corrupt>;

    /// The version of a shard.
    fn version(shard: &Self::Shard) -> u64;

    /// Which keys of a shard changed when.
    fn versions(shard: &Self::Shard) -> Result<&Versions, Corrupt>;

    /// The shards that can tell whose readings those of `keys` are.
    fn shards_of(keys: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard>;

    /// The customer whose readings those of `key` are, if it is one to trust.
    ///
    /// # Errors
    /// If a shard is damaged: which one.
    fn owner<'a>(customers: &'a Customers<Self::Shard>, key: &'a Key) -> Result<Option<Owner<'a>>, (Shard, Corrupt)>;
}

/// The shards of customers that were read for one derivation.
pub struct Customers<S> {
    count: ShardCount,
    shards: BTreeMap<Shard, Arc<S>>,
}

impl<S> Customers<S> {
    /// The shard of a customer.
    pub fn shard_of(&self, key: KeyHash) -> Option<&S> {
        self.shards.get(&key.shard(self.count)).map(AsRef::as_ref)
    }

    /// All shards that were read.
    pub fn shards(&self) -> impl Iterator<Item = (Shard, &S)> {
        self.shards.iter().map(|(shard, customers)| (*shard, customers.as_ref()))
    }
}

/// The landing files of one kind of readings. A clone shares what is kept in memory.
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

/// Files of a batch are derived together up to this many,
const FILES_MAX: usize = 16;
/// and up to this many readings, so that they fit into memory.
const ROWS_MAX: usize = 200_000;
/// So many of them are announced at once, each with an entry in the index for each of its keys if it has few.
const ANNOUNCED_AT_ONCE: usize = 4;

/// What is at a landing file's location.
struct FileAtLocation<R: Rule> {
    location: ObjectLocation,
    file: FileName,
    /// None if it is gone.
    landed: Option<ReadingFile<R::Reading>>,
    timer: Timer,
}

/// A landing file as it was found: what is at its location, and what is announced of it.
struct Found<R: Rule> {
    location: ObjectLocation,
    file: FileName,
    basis: Basis<R::Reading>,
    announced: CurrentManifest,
    reprocessed: bool,
    timer: Timer,
}

impl<R: Rule> FileAtLocation<R> {
    fn rows(&self) -> usize {
        self.landed.as_ref().map_or(0, |landed| landed.readings.rows().len())
    }

    fn found(self, announced: CurrentManifest, reprocessed: bool) -> Found<R> {
        let Self { location, file, landed, timer } = self;
        let basis = match landed {
            Some(landed) if landed.etag == announced.manifest.etag => Basis::Current(landed),
            Some(_) => Basis::Superseded,
            None => Basis::Gone,
        };
        Found { location, file, basis, announced, reprocessed, timer }
    }
}

impl<R: Rule> Found<R> {
    /// Whether nobody can have written an output of the file before it was announced.
    fn is_first(&self) -> bool {
        self.announced.is_first && matches!(self.basis, Basis::Current(_))
    }
}

type Outcome = (ObjectLocation, Result<Option<CurrentManifest>, Error>);

impl<R: Rule> ReadingFiles<R> {
    const SOURCE: Source = R::Reading::SOURCE;

    /// The landing files of `lake`, found by an index with these limits.
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

    /// Handles a batch: carries on the changes of the shards that it names, and lands its files, telling `landed` what
    /// is announced of each.
    ///
    /// In this order: what lands after the changes were carried on is derived from them, and once.
    pub async fn handle(&self, inputs: BTreeSet<Input>, mut landed: impl FnMut(FileName, CurrentManifest)) -> Failures {
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
            let error = Arc::new(error);
            failures.extend(shard_locations.into_iter().map(|location| (location, error.clone().into())));
            PendingCompaction::default()
        });
        for (location, outcome) in self.bring_up_to_date(files, false).await {
            match outcome {
                Ok(announced) => announced.into_iter().for_each(|announced| landed(FileName::of(&location), announced)),
                Err(error) => drop(failures.insert(location, error.into())),
            }
        }
        if let Err(error) = self.compact(pending).await {
            let error = store::with_causes(&error);
            tracing::warn!(error, "merging entries of the index failed; the next search reads them again");
        }
        failures
    }

    /// Brings everything that follows from the files at `locations` up to date, and registers their partitions. What is now
    /// announced of each; none of a file that is not there.
    ///
    /// If this is a propagation, outputs that were derived from older versions of the shards get a new version even if
    /// their rows stay the same.
    async fn bring_up_to_date(&self, locations: Vec<ObjectLocation>, reprocessed: bool) -> Vec<Outcome> {
        // Few files are worth a task each, many are not.
        let files_max = locations.len().div_ceil(store::TASKS_MAX).clamp(1, FILES_MAX);
        let groups = locations.chunks(files_max).map(|group| {
            let (files, group) = (self.clone(), group.to_vec());
            async move { files.group(group, reprocessed).await }
        });
        store::join_bounded(groups).await.into_iter().flatten().collect()
    }

    async fn group(&self, locations: Vec<ObjectLocation>, reprocessed: bool) -> Vec<Outcome> {
        let (mut outcomes, mut files) = (Vec::new(), Vec::new());
        for location in locations {
            match self.look(&location).await {
                Ok(file) => files.push(file),
                Err(error) => outcomes.push((location, Err(error))),
            }
            if files.iter().map(FileAtLocation::rows).sum::<usize>() > ROWS_MAX {
                self.write_manifests_and_materialize(std::mem::take(&mut files), reprocessed, &mut outcomes).await;
            }
        }
        self.write_manifests_and_materialize(files, reprocessed, &mut outcomes).await;
        outcomes
    }

    async fn write_manifests_and_materialize(
        &self,
        files: Vec<FileAtLocation<R>>,
        reprocessed: bool,
        outcomes: &mut Vec<Outcome>,
    ) {
        let announced = self.announce(&files, reprocessed).await;
        let (mut first, mut known): (Vec<Found<R>>, Vec<Found<R>>) = (Vec::new(), Vec::new());
        for (file, announced) in files.into_iter().zip(announced) {
            match announced {
                Ok(Some(announced)) => {
                    let found = file.found(announced, reprocessed);
                    let list = if found.is_first() { &mut first } else { &mut known };
                    list.push(found);
                }
                Ok(None) => outcomes.push((file.location, Ok(None))),
                Err(error) => outcomes.push((file.location, Err(error))),
            }
        }
        self.together(first, reprocessed, outcomes).await;
        self.together(known, reprocessed, outcomes).await;
    }

    /// Derives files together; if that fails, each by itself, so that one bad file does not hold up the others.
    async fn together(&self, found: Vec<Found<R>>, reprocessed: bool, outcomes: &mut Vec<Outcome>) {
        let error = match self.materialize(&found).await {
            Ok(()) => {
                outcomes.extend(found.into_iter().map(|found| (found.location, Ok(Some(found.announced)))));
                return;
            }
            Err(error) => error,
        };
        let outdated = matches!(error, Error::Outdated);
        if let ([_], false) = (found.as_slice(), outdated) {
            outcomes.extend(found.into_iter().map(|found| found.location).zip([Err(error)]));
            return;
        }
        if !outdated {
            let (files, error) = (found.len(), store::with_causes(&error));
            tracing::warn!(files, error, "deriving files together failed; now one by one");
        }
        // Their content is not kept while each is looked at again.
        let locations: Vec<ObjectLocation> = found.into_iter().map(|found| found.location).collect();
        for location in locations {
            let outcome = self.alone(&location, reprocessed).await;
            outcomes.push((location, outcome));
        }
    }

    async fn alone(&self, location: &ObjectLocation, reprocessed: bool) -> Result<Option<CurrentManifest>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let file = self.look(location).await?;
            let announced = self.announced(&file, reprocessed, false).await?;
            let Some(found) = announced.map(|announced| file.found(announced, reprocessed)) else { return Ok(None) };
            match self.materialize(std::slice::from_ref(&found)).await {
                Err(Error::Outdated) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(Some(found.announced)),
            }
        }
        Err(Error::Contended { location: location.clone() })
    }

    /// Reads what is at a file's location.
    async fn look(&self, location: &ObjectLocation) -> Result<FileAtLocation<R>, Error> {
        let timer = Timer::start();
        let landed = content::read::<R::Reading>(&self.lake.store, location).await?;
        Ok(FileAtLocation { location: location.clone(), file: FileName::of(location), landed, timer })
    }

    /// Announces files, if it is their own events that ask. What is now announced of each; none of a file that is not there.
    async fn announce(
        &self,
        files: &[FileAtLocation<R>],
        reprocessed: bool,
    ) -> Vec<Result<Option<CurrentManifest>, Error>> {
        let landed = files.iter().filter_map(|file| Some((&file.file, file.landed.as_ref()?)));
        let landed: Vec<_> = landed.filter(|_| !reprocessed).collect();
        let entered = manifest::enter_together(&self.lake, self.limits, &landed).await.unwrap_or_else(|error| {
            let (files, error) = (landed.len(), store::with_causes(&error));
            tracing::warn!(files, error, "entering files together failed; now one by one");
            false
        });
        let announced = files.iter().map(|file| self.announced(file, reprocessed, entered)).collect::<Vec<_>>();
        futures::stream::iter(announced).buffered(ANNOUNCED_AT_ONCE).collect().await
    }

    async fn announced(
        &self,
        file: &FileAtLocation<R>,
        reprocessed: bool,
        entered: bool,
    ) -> Result<Option<CurrentManifest>, Error> {
        let FileAtLocation { location, file, landed, .. } = file;
        match landed {
            #[cfg(feature = "broken")]
            Some(landed) if broken::is(Broken::ManifestLate) && !reprocessed => {
                let manifest = FileManifest::of(None, location, &landed.etag, &landed.readings);
                Ok(Some(CurrentManifest { manifest, version: Version::Absent, is_first: false }))
            }
            // Only a file's own event announces it. A propagation that was killed behind an manifest of a version
            // that is replaced meanwhile would leave it wrong, and nobody would come back to it.
            Some(landed) if !reprocessed => {
                manifest::write(&self.lake, self.limits, location, file, landed, entered).await.map(Some)
            }
            // A file that is gone is derived from what is left of it: its own event may have been cut short.
            Some(_) | None => {
                let key = layout::manifest(Self::SOURCE, file);
                let (version, manifest) = manifest::read(&self.lake, &key).await?;
                if manifest.is_none() {
                    tracing::info!(object = %location, "landing file is gone: nothing to do");
                }
                Ok(manifest.map(|manifest| CurrentManifest { manifest, version, is_first: false }))
            }
        }
    }

    /// Derives everything that follows from files that were found, and registers their partitions.
    async fn materialize(&self, found: &[Found<R>]) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let mut derivation = FilesMaterialization { files: self, found, first: found.iter().all(Found::is_first) };
        let committed = if derivation.first { commit_first(&self.lake, &derivation).await? } else { None };
        let committed = match committed {
            Some(committed) => committed,
            None => {
                derivation.first = false;
                commit(&self.lake, &derivation).await?
            }
        };
        #[cfg(feature = "broken")]
        for found in found.iter().filter(|found| broken::is(Broken::ManifestLate) && !found.reprocessed) {
            if let Basis::Current(landed) = &found.basis {
                manifest::write(&self.lake, self.limits, &found.location, &found.file, landed, false).await?;
            }
        }
        #[cfg(feature = "broken")]
        if committed.writes == 0 && broken::is(Broken::RegistersWritesOnly) {
            return Ok(());
        }
        let partitions = committed.report.iter().flat_map(|report| report.partitions.iter().copied()).collect();
        self.lake.catalog.register(R::Reading::TRUSTED, &partitions).await?;
        for (found, FileReport { receipt, writes, .. }) in found.iter().zip(committed.report) {
            let Some(receipt) = receipt else { continue };
            log::landing_file(&found.location, &receipt, found.reprocessed, writes, &found.timer);
            if let (false, Basis::Current(_)) = (found.reprocessed, &found.basis) {
                log::count_ingested(&self.lake.counters, &receipt);
            }
        }
        Ok(())
    }
}
