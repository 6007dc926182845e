//! What `accelerometer_trusted` and `step_trainer_trusted` share: the life of a landing file of readings.
//!
//! A file is *landed*: read, announced, derived. When the trust in a key changes, the change is *propagated*: the files
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
//! "Announce, then read": either a change of trust finds the announcement, or the function that announced sees the
//! change.

pub mod announce;
pub mod content;
pub mod derive;
pub mod index;
pub mod propagate;

use announce::Announced;
use aws::function::{Failures, Input};
use aws::lake::Lake;
use aws::logging::{self, Timer};
#[cfg(feature = "broken")]
use aws::store::Version;
use bytes::Bytes;
use content::{Basis, Landed};
#[cfg(feature = "broken")]
use derivation::broken::{self, Broken};
use derivation::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Error, Start, publish, publish_first};
use derive::{FileReport, FilesDerivation};
use futures::stream::StreamExt;
use index::{Limits, Unmerged};
use lake::Corrupt;
#[cfg(feature = "broken")]
use lake::announcement::Announcement;
use lake::bulk_entry::BulkEntry;
use lake::hash::{KeyHash, Shard, ShardCount};
use lake::layout::{self, FileName, Object, Place, Source};
use lake::merged_entries::MergedEntries;
use lake::reading::{Key, Reading};
use lake::table::Table;
use lake::trust::{Owner, Versions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whose readings are let through.
pub trait Rule: Send + Sync + 'static {
    /// The readings.
    type Reading: Reading;
    /// A shard of the customers who are trusted.
    type Shard: Send + Sync + 'static;
    /// The table of those customers.
    const TRUST: Table;
    /// Why a reading is excluded that belongs to none of them.
    const NOT_TRUSTED: &'static str;

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
    bulk: Arc<Cache<BulkEntry>>,
    merged: Arc<Cache<MergedEntries>>,
}

impl<R: Rule> Clone for ReadingFiles<R> {
    fn clone(&self) -> Self {
        let Self { lake, limits, shards, bulk, merged } = self;
        let (shards, bulk, merged) = (shards.clone(), bulk.clone(), merged.clone());
        Self { lake: lake.clone(), limits: *limits, shards, bulk, merged }
    }
}

/// Files of a batch are derived together up to this many,
const FILES_MAX: usize = 16;
/// and up to this many readings, so that they fit into memory.
const ROWS_MAX: usize = 200_000;
/// So many of them are announced at once, each with an entry in the index for each of its keys if it has few.
const ANNOUNCED_AT_ONCE: usize = 4;

/// What is at a landing file's place.
struct AtPlace<R: Rule> {
    place: Place,
    file: FileName,
    /// None if it is gone.
    landed: Option<Landed<R::Reading>>,
    timer: Timer,
}

/// A landing file as it was found: what is at its place, and what is announced of it.
struct Found<R: Rule> {
    place: Place,
    file: FileName,
    basis: Basis<R::Reading>,
    announced: Announced,
    propagated: bool,
    timer: Timer,
}

impl<R: Rule> AtPlace<R> {
    fn rows(&self) -> usize {
        self.landed.as_ref().map_or(0, |landed| landed.readings.rows().len())
    }

    fn found(self, announced: Announced, propagated: bool) -> Found<R> {
        let Self { place, file, landed, timer } = self;
        let basis = match landed {
            Some(landed) if landed.etag == announced.announcement.etag => Basis::Landed(landed),
            Some(_) => Basis::Unannounced,
            None => Basis::Gone,
        };
        Found { place, file, basis, announced, propagated, timer }
    }
}

impl<R: Rule> Found<R> {
    /// Whether nobody can have written an output of the file before it was announced.
    fn is_first(&self) -> bool {
        self.announced.is_first && matches!(self.basis, Basis::Landed(_))
    }
}

type Outcome = (Place, Result<Option<Announced>, Error>);

impl<R: Rule> ReadingFiles<R> {
    const SOURCE: Source = R::Reading::SOURCE;

    /// The landing files of `lake`, found by an index with these limits.
    pub fn new(lake: Lake, limits: Limits) -> Self {
        let shards = match R::START {
            Some(start) => Cache::of_starts(CACHE_BYTES_MAX, start),
            None => Cache::new(CACHE_BYTES_MAX),
        };
        let (bulk, merged) = (Cache::new(CACHE_BYTES_MAX), Cache::new(CACHE_BYTES_MAX));
        Self { lake, limits, shards: Arc::new(shards), bulk: Arc::new(bulk), merged: Arc::new(merged) }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Handles a batch: carries on the changes of the shards that it names, and lands its files, telling `landed` what
    /// is announced of each.
    ///
    /// In this order: what lands after the changes were carried on is derived from them, and once.
    pub async fn handle(&self, inputs: BTreeSet<Input>, mut landed: impl FnMut(FileName, Announced)) -> Failures {
        let mut failures = Failures::new();
        let mut shards = BTreeSet::new();
        let (mut shard_places, mut files) = (Vec::new(), Vec::new());
        for (place, object) in inputs {
            match object {
                Object::Landing(_) => files.push(place),
                Object::CustomerTrusted(shard) | Object::CustomerCurated(shard) => {
                    shards.insert(shard);
                    shard_places.push(place);
                }
                Object::Readers(_) | Object::AccelerometerTrusted(_) | Object::StepTrainerTrusted(_) => {}
            }
        }
        let unmerged = self.propagate(&shards).await.unwrap_or_else(|error| {
            let error = Arc::new(error);
            failures.extend(shard_places.into_iter().map(|place| (place, error.clone().into())));
            Unmerged::default()
        });
        for (place, outcome) in self.bring_up_to_date(files, false).await {
            match outcome {
                Ok(announced) => announced.into_iter().for_each(|announced| landed(FileName::of(&place), announced)),
                Err(error) => drop(failures.insert(place, error.into())),
            }
        }
        if let Err(error) = self.merge(unmerged).await {
            let error = aws::with_causes(&error);
            tracing::warn!(error, "merging entries of the index failed; the next search reads them again");
        }
        failures
    }

    /// Brings everything that follows from the files at `places` up to date, and registers their partitions. What is now
    /// announced of each; none of a file that is not there.
    ///
    /// If this is a propagation, outputs that were derived from older versions of the shards get a new version even if
    /// their rows stay the same.
    async fn bring_up_to_date(&self, places: Vec<Place>, propagated: bool) -> Vec<Outcome> {
        // Few files are worth a task each, many are not.
        let files_max = places.len().div_ceil(aws::TASKS_MAX).clamp(1, FILES_MAX);
        let groups = places.chunks(files_max).map(|group| {
            let (files, group) = (self.clone(), group.to_vec());
            async move { files.group(group, propagated).await }
        });
        aws::spread(groups).await.into_iter().flatten().collect()
    }

    async fn group(&self, places: Vec<Place>, propagated: bool) -> Vec<Outcome> {
        let (mut outcomes, mut files) = (Vec::new(), Vec::new());
        for place in places {
            match self.look(&place).await {
                Ok(file) => files.push(file),
                Err(error) => outcomes.push((place, Err(error))),
            }
            if files.iter().map(AtPlace::rows).sum::<usize>() > ROWS_MAX {
                self.announce_and_derive(std::mem::take(&mut files), propagated, &mut outcomes).await;
            }
        }
        self.announce_and_derive(files, propagated, &mut outcomes).await;
        outcomes
    }

    async fn announce_and_derive(&self, files: Vec<AtPlace<R>>, propagated: bool, outcomes: &mut Vec<Outcome>) {
        let announced = self.announce(&files, propagated).await;
        let (mut first, mut known): (Vec<Found<R>>, Vec<Found<R>>) = (Vec::new(), Vec::new());
        for (file, announced) in files.into_iter().zip(announced) {
            match announced {
                Ok(Some(announced)) => {
                    let found = file.found(announced, propagated);
                    let list = if found.is_first() { &mut first } else { &mut known };
                    list.push(found);
                }
                Ok(None) => outcomes.push((file.place, Ok(None))),
                Err(error) => outcomes.push((file.place, Err(error))),
            }
        }
        self.together(first, propagated, outcomes).await;
        self.together(known, propagated, outcomes).await;
    }

    /// Derives files together; if that fails, each by itself, so that one bad file does not hold up the others.
    async fn together(&self, found: Vec<Found<R>>, propagated: bool, outcomes: &mut Vec<Outcome>) {
        let error = match self.derive(&found).await {
            Ok(()) => {
                outcomes.extend(found.into_iter().map(|found| (found.place, Ok(Some(found.announced)))));
                return;
            }
            Err(error) => error,
        };
        let outdated = matches!(error, Error::Outdated);
        if let ([_], false) = (found.as_slice(), outdated) {
            outcomes.extend(found.into_iter().map(|found| found.place).zip([Err(error)]));
            return;
        }
        if !outdated {
            let (files, error) = (found.len(), aws::with_causes(&error));
            tracing::warn!(files, error, "deriving files together failed; now one by one");
        }
        // Their content is not kept while each is looked at again.
        let places: Vec<Place> = found.into_iter().map(|found| found.place).collect();
        for place in places {
            let outcome = self.alone(&place, propagated).await;
            outcomes.push((place, outcome));
        }
    }

    async fn alone(&self, place: &Place, propagated: bool) -> Result<Option<Announced>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let file = self.look(place).await?;
            let announced = self.announced(&file, propagated, false).await?;
            let Some(found) = announced.map(|announced| file.found(announced, propagated)) else { return Ok(None) };
            match self.derive(std::slice::from_ref(&found)).await {
                Err(Error::Outdated) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(Some(found.announced)),
            }
        }
        Err(Error::Contended { place: place.clone() })
    }

    /// Reads what is at a file's place.
    async fn look(&self, place: &Place) -> Result<AtPlace<R>, Error> {
        let timer = Timer::start();
        let landed = content::read::<R::Reading>(&self.lake.store, place).await?;
        Ok(AtPlace { place: place.clone(), file: FileName::of(place), landed, timer })
    }

    /// Announces files, if it is their own events that ask. What is now announced of each; none of a file that is not there.
    async fn announce(&self, files: &[AtPlace<R>], propagated: bool) -> Vec<Result<Option<Announced>, Error>> {
        let landed = files.iter().filter_map(|file| Some((&file.file, file.landed.as_ref()?)));
        let landed: Vec<_> = landed.filter(|_| !propagated).collect();
        let entered = announce::enter_together(&self.lake, self.limits, &landed).await.unwrap_or_else(|error| {
            let (files, error) = (landed.len(), aws::with_causes(&error));
            tracing::warn!(files, error, "entering files together failed; now one by one");
            false
        });
        let announced = files.iter().map(|file| self.announced(file, propagated, entered)).collect::<Vec<_>>();
        futures::stream::iter(announced).buffered(ANNOUNCED_AT_ONCE).collect().await
    }

    async fn announced(&self, file: &AtPlace<R>, propagated: bool, entered: bool) -> Result<Option<Announced>, Error> {
        let AtPlace { place, file, landed, .. } = file;
        match landed {
            #[cfg(feature = "broken")]
            Some(landed) if broken::is(Broken::AnnounceLate) && !propagated => {
                let announcement = Announcement::of(None, place, &landed.etag, &landed.readings);
                Ok(Some(Announced { announcement, version: Version::Absent, is_first: false }))
            }
            // Only a file's own event announces it. A propagation that was killed behind an announcement of a version
            // that is replaced meanwhile would leave it wrong, and nobody would come back to it.
            Some(landed) if !propagated => {
                announce::announce(&self.lake, self.limits, place, file, landed, entered).await.map(Some)
            }
            // A file that is gone is derived from what is left of it: its own event may have been cut short.
            Some(_) | None => {
                let key = layout::announcement(Self::SOURCE, file);
                let (version, announcement) = announce::read(&self.lake, &key).await?;
                if announcement.is_none() {
                    tracing::info!(object = %place, "landing file is gone: nothing to do");
                }
                Ok(announcement.map(|announcement| Announced { announcement, version, is_first: false }))
            }
        }
    }

    /// Derives everything that follows from files that were found, and registers their partitions.
    async fn derive(&self, found: &[Found<R>]) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let mut derivation = FilesDerivation { files: self, found, first: found.iter().all(Found::is_first) };
        let published = if derivation.first { publish_first(&self.lake, &derivation).await? } else { None };
        let published = match published {
            Some(published) => published,
            None => {
                derivation.first = false;
                publish(&self.lake, &derivation).await?
            }
        };
        #[cfg(feature = "broken")]
        for found in found.iter().filter(|found| broken::is(Broken::AnnounceLate) && !found.propagated) {
            if let Basis::Landed(landed) = &found.basis {
                announce::announce(&self.lake, self.limits, &found.place, &found.file, landed, false).await?;
            }
        }
        #[cfg(feature = "broken")]
        if published.writes == 0 && broken::is(Broken::RegistersWritesOnly) {
            return Ok(());
        }
        let partitions = published.report.iter().flat_map(|report| report.partitions.iter().copied()).collect();
        self.lake.catalog.register(R::Reading::TRUSTED, &partitions).await?;
        for (found, FileReport { receipt, writes, .. }) in found.iter().zip(published.report) {
            let Some(receipt) = receipt else { continue };
            logging::landing_file(&found.place, &receipt, found.propagated, writes, &found.timer);
            if let (false, Basis::Landed(_)) = (found.propagated, &found.basis) {
                self.lake.counters.landed(&receipt);
            }
        }
        Ok(())
    }
}
