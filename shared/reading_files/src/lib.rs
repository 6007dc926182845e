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
use bytes::Bytes;
use content::Basis;
#[cfg(feature = "broken")]
use derivation::broken::{self, Broken};
use derivation::{ATTEMPTS_MAX, CACHE_BYTES_MAX, Cache, Error, publish, publish_first};
use derive::FileDerivation;
use index::BulkEntry;
use lake::Corrupt;
use lake::announcement::Announcement;
use lake::customer::Customer;
use lake::hash::{KeyHash, Shard, ShardCount};
use lake::layout::{self, FileName, Object, Place, Source};
use lake::reading::{Key, Reading};
use lake::table::Table;
use lake::trust::Versions;
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

    /// Reads a shard's object.
    fn decode(bytes: Bytes) -> Result<Self::Shard, Corrupt>;

    /// Which keys of a shard changed when.
    fn versions(shard: &Self::Shard) -> &Versions;

    /// The shards that can tell whose readings those of `keys` are.
    fn shards_of(keys: &mut dyn Iterator<Item = KeyHash>, count: ShardCount) -> BTreeSet<Shard>;

    /// The customer whose readings those of `key` are, if it is one to trust.
    fn owner<'a>(customers: &'a Customers<Self::Shard>, key: &Key) -> Option<&'a Customer>;
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
    pub fn shards(&self) -> impl Iterator<Item = &S> {
        self.shards.values().map(AsRef::as_ref)
    }
}

/// The landing files of one kind of readings.
pub struct ReadingFiles<R: Rule> {
    lake: Lake,
    shards: Cache<R::Shard>,
    bulk: Cache<BulkEntry>,
}

impl<R: Rule> ReadingFiles<R> {
    const SOURCE: Source = R::Reading::SOURCE;

    /// The landing files of `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, shards: Cache::new(CACHE_BYTES_MAX), bulk: Cache::new(CACHE_BYTES_MAX) }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Handles a batch: lands each file, telling `landed` what is announced of it, and carries on the changes of the
    /// shards that the batch names.
    pub async fn handle(&self, inputs: BTreeSet<Input>, mut landed: impl FnMut(FileName, Announcement)) -> Failures {
        let mut failures = Failures::new();
        let mut shards = BTreeSet::new();
        let mut shard_places = Vec::new();
        for (place, object) in inputs {
            match object {
                Object::Landing(_) => match self.land(&place).await {
                    Ok(announcement) => {
                        if let Some(announcement) = announcement {
                            landed(FileName::of(&place), announcement);
                        }
                    }
                    Err(error) => drop(failures.insert(place, error.into())),
                },
                Object::CustomerTrusted(shard) | Object::CustomerCurated(shard) => {
                    shards.insert(shard);
                    shard_places.push(place);
                }
                Object::Readers(_) | Object::AccelerometerTrusted(_) | Object::StepTrainerTrusted(_) => {}
            }
        }
        if let Err(error) = self.propagate(&shards).await {
            let error = Arc::new(error);
            failures.extend(shard_places.into_iter().map(|place| (place, error.clone().into())));
        }
        failures
    }

    /// Brings everything that follows from the file at `place` up to date, and registers its partitions. What is now
    /// announced of it; none if there is no such file.
    pub async fn land(&self, place: &Place) -> Result<Option<Announcement>, Error> {
        self.bring_up_to_date(place, false).await
    }

    /// If this is a propagation, outputs that were derived from older versions of the shards get a new version even if
    /// their rows stay the same.
    async fn bring_up_to_date(&self, place: &Place, propagated: bool) -> Result<Option<Announcement>, Error> {
        let file = FileName::of(place);
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(place, &file, propagated).await {
                Err(Error::Outdated) => {}
                result => return result,
            }
        }
        Err(Error::Contended { place: place.clone() })
    }

    async fn attempt(&self, place: &Place, file: &FileName, propagated: bool) -> Result<Option<Announcement>, Error> {
        let timer = Timer::start();
        let landed = content::read::<R::Reading>(&self.lake.store, place).await?;
        #[cfg(feature = "broken")]
        let late = broken::is(Broken::AnnounceLate) && !propagated;
        #[cfg(not(feature = "broken"))]
        let late = false;
        let Announced { announcement, first } = match &landed {
            Some(landed) if late => {
                let announcement = Announcement::of(None, place, &landed.etag, &landed.readings);
                Announced { announcement, first: None }
            }
            // Only a file's own event announces it. A propagation that was killed behind an announcement of a version
            // that is replaced meanwhile would leave it wrong, and nobody would come back to it.
            Some(landed) if !propagated => announce::announce(&self.lake, place, file, landed).await?,
            // A file that is gone is derived from what is left of it: its own event may have been cut short.
            Some(_) | None => {
                let key = layout::announcement(Self::SOURCE, file);
                let Some(announcement) = announce::read(&self.lake, &key).await?.1 else {
                    tracing::info!(object = %place, "landing file is gone: nothing to do");
                    return Ok(None);
                };
                Announced { announcement, first: None }
            }
        };
        let basis = match landed {
            Some(landed) if landed.etag == announcement.etag => Basis::Landed(landed),
            Some(_) => Basis::Unannounced,
            None => Basis::Gone,
        };
        let mut derivation =
            FileDerivation { files: self, place, file, basis: &basis, announcement: &announcement, first, propagated };
        let published = match derivation.first {
            Some(_) => publish_first(&self.lake, &derivation).await?,
            None => None,
        };
        let published = match published {
            Some(published) => published,
            None => {
                derivation.first = None;
                publish(&self.lake, &derivation).await?
            }
        };
        #[cfg(feature = "broken")]
        if let (true, Basis::Landed(landed)) = (late, &basis) {
            announce::announce(&self.lake, place, file, landed).await?;
        }
        #[cfg(feature = "broken")]
        if published.writes == 0 && broken::is(Broken::RegistersWritesOnly) {
            return Ok(Some(announcement));
        }
        self.lake.catalog.register(R::Reading::TRUSTED, &published.report.partitions).await?;
        if let Some(receipt) = &published.report.receipt {
            logging::landing_file(place, receipt, propagated, published.writes, &timer);
            if let (false, Basis::Landed(_)) = (propagated, &basis) {
                self.lake.counters.landed(receipt);
            }
        }
        Ok(Some(announcement))
    }
}
