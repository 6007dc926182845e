//! The engine: publishes outputs that are pure functions of what their inputs hold now.
//!
//! It knows objects and versions, not customers. S3 delivers events at least once, in any order, minutes late, to many
//! functions at once; but its reads, lists and conditional writes are strongly consistent. So an event never carries
//! truth: it says where to look. [`commit`] then takes these steps, in this order:
//!
//! 1. Read each output's current version.
//! 2. *Then* read the inputs, remembering their versions. (The other way round, a slow writer could read old inputs,
//!    then the version of an output that somebody derived from newer ones, and replace it with older rows although its
//!    condition holds.)
//! 3. Derive. No clock, no randomness, nothing from the event.
//! 4. Where the stored rows are the same, write nothing: an event that is delivered again causes no write, and so no
//!    further event.
//! 5. Else put, on condition that the output is still as in 1. If it is not, start again. (The refusal may be the answer
//!    to our own put whose first response was lost: starting again finds the stored rows equal.)
//! 6. If anything was put, check that the inputs are still as in 2; if not, start again. (Without this, a slow writer
//!    could make an output that a newer state of its inputs says should not be there. Where nothing was put, there is
//!    nothing to take back, and the change that came meanwhile has an event of its own.)
//!
//! [`commit_first`] leaves out the first step for outputs that cannot be there yet.
//!
//! Starting again is bounded: after [`ATTEMPTS_MAX`] the event fails, and S3's delivery brings it again. Registering
//! partitions and acknowledging come after all this, and are the caller's.
//!
//! [`Cache`] keeps decoded objects by version in a warm function; [`Checkpoint`] remembers up to which version of an input
//! its changes were carried on.

#[cfg(feature = "broken")]
pub mod broken;
mod cache;
mod checkpoint;
mod inputs;
pub mod landing_file;
pub mod log;

pub use cache::{CACHE_BYTES_MAX, Cache, Start};
pub use checkpoint::Checkpoint;
pub use inputs::Inputs;

#[cfg(feature = "broken")]
use broken::Broken;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use std::time::Duration;
use store::lake::Lake;
use store::{Put, Read, Store, StoreError, Version};

/// How often outputs are derived anew before the event is given back.
pub const ATTEMPTS_MAX: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// Why outputs could not be committed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Glue failed.
    #[error(transparent)]
    Catalog(#[from] store::catalog::CatalogError),
    /// A stored object is damaged.
    #[error("{location}")]
    Corrupt {
        /// The object.
        location: ObjectLocation,
        /// What is wrong with it.
        source: Corrupt,
    },
    /// Others kept changing the outputs or the inputs.
    #[error("{location} and what it is derived from kept changing in {ATTEMPTS_MAX} attempts; deliver the event again")]
    Contended {
        /// The first of the outputs.
        location: ObjectLocation,
    },
    /// What the materialization set out from is no longer so; whoever called must look again. Never leaves a function.
    #[error("inputs changed; look again")]
    Outdated,
}

impl Error {
    /// `source` says that the object at `location` is damaged.
    pub fn corrupt(location: ObjectLocation) -> impl FnOnce(Corrupt) -> Self {
        move |source| Self::Corrupt { location, source }
    }
}

/// An output as it was stored when the materialization began.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub location: ObjectLocation,
    /// Its version.
    pub version: Version,
    /// Its body; none if there is none.
    pub body: Option<Bytes>,
}

/// What was derived: for each output, in order, a new body or none if the stored one is right; and a report.
#[derive(Debug)]
pub struct Materialized<T> {
    /// New bodies.
    pub bodies: Vec<Option<Bytes>>,
    /// What the caller wants to know of the materialization that is_committed.
    pub report: T,
}

/// Outputs that are derived together.
pub trait Materialize: Sync {
    /// What the caller wants to know of the materialization that is_committed.
    type Report: Send;

    /// The keys of the outputs in the lake's bucket. All must be known before any input is read.
    fn outputs(&self) -> Vec<String>;

    /// Derives the outputs, given what is stored, from what is read through `inputs` and nothing else.
    fn materialize(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> impl Future<Output = Result<Materialized<Self::Report>, Error>> + Send;
}

/// What was committed.
#[derive(Debug)]
pub struct Committed<T> {
    /// The report of the materialization that is_committed.
    pub report: T,
    /// How many objects were written, attempts included.
    pub writes: u32,
}

/// Publishes outputs: see the crate's documentation for the steps and why they come in this order.
pub async fn commit<D: Materialize>(lake: &Lake, materialization: &D) -> Result<Committed<D::Report>, Error> {
    let outputs = locations(lake, materialization);
    let mut writes = 0;
    for failed in 0..ATTEMPTS_MAX {
        if failed > 0 {
            // Whoever got ahead is to finish first.
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(failed)).await;
        }
        // 1. Outputs before inputs.
        let stored = store::try_join_bounded(outputs.iter().map(|location| stored(lake, location))).await?;
        let attempt = attempt(lake, materialization, &stored).await?;
        writes += attempt.writes;
        if attempt.is_committed {
            return Ok(Committed { report: attempt.report, writes });
        }
    }
    let location = outputs.into_iter().next().unwrap_or_else(|| lake.at(""));
    Err(Error::Contended { location })
}

/// Publishes outputs of which the caller knows that none was there when it set out, before any input was read. So they
/// need not be read: a put on condition that there still is none says the same. None if the materialization does not stand;
/// then call [`commit`].
pub async fn commit_first<D: Materialize>(
    lake: &Lake,
    materialization: &D,
) -> Result<Option<Committed<D::Report>>, Error> {
    let absent = |location| Stored { location, version: Version::Absent, body: None };
    let stored: Vec<Stored> = locations(lake, materialization).into_iter().map(absent).collect();
    let Attempt { report, writes, is_committed } = attempt(lake, materialization, &stored).await?;
    Ok(is_committed.then_some(Committed { report, writes }))
}

fn locations<D: Materialize>(lake: &Lake, materialization: &D) -> Vec<ObjectLocation> {
    materialization.outputs().into_iter().map(|key| lake.at(key)).collect()
}

struct Attempt<T> {
    report: T,
    writes: u32,
    /// Whether it was derived from what the inputs still hold, and all that was to be put was.
    is_committed: bool,
}

/// Steps 2 to 6.
async fn attempt<D: Materialize>(
    lake: &Lake,
    materialization: &D,
    stored: &[Stored],
) -> Result<Attempt<D::Report>, Error> {
    // 2. and 3.
    let inputs = Inputs::new(&lake.store, lake.bucket());
    let Materialized { bodies, report } = materialization.materialize(stored, &inputs).await?;
    // 4.
    let puts = stored.iter().zip(bodies).filter_map(|(stored, body)| {
        let Stored { location, version, .. } = stored;
        Some((lake.store.clone(), location.clone(), version.clone(), body?))
    });
    // 5.
    let puts = puts.map(|(store, location, version, body)| async move { put(&store, &location, &version, body).await });
    let puts = store::join_at_most(store::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let writes = puts.iter().filter(|put| put.is_done()).count() as u32;
    let conflict = puts.iter().any(|put| !put.is_done());
    #[cfg(feature = "broken")]
    if broken::is(Broken::NoRecheck) && !conflict || broken::is(Broken::OwnWriteIsAnothers) {
        return Ok(Attempt { report, writes, is_committed: true });
    }
    // 6.
    let is_committed = !conflict && !inputs.torn() && (puts.is_empty() || inputs.unchanged().await?);
    Ok(Attempt { report, writes, is_committed })
}

async fn put(store: &Store, location: &ObjectLocation, version: &Version, body: Bytes) -> Result<Put, StoreError> {
    #[cfg(feature = "broken")]
    if broken::is(Broken::InputsFirst) || broken::is(Broken::Unconditional) {
        return broken::put(store, location, body).await;
    }
    store.put(location, body, version).await
}

async fn stored(lake: &Lake, location: &ObjectLocation) -> Result<Stored, Error> {
    let (version, body) = match lake.store.read(location, None).await? {
        Read::Found { etag, body } => (Version::Etag(etag), Some(body)),
        Read::Absent | Read::Unchanged => (Version::Absent, None),
    };
    Ok(Stored { location: location.clone(), version, body })
}
