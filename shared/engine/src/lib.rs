//! The engine: commits outputs that are pure functions of the current contents of their inputs.
//!
//! It knows objects and versions, not customers. S3 delivers events at least once, in any order and late, to many functions
//! at once. Its reads, lists and conditional writes are strongly consistent. So an event only says where to look. [`commit`]
//! takes these steps in this order:
//!
//! 1. Read the current version of each output.
//! 2. Then read the inputs, and record their versions. *Without this order*, a slow writer could read old inputs, then the
//!    version of an output that another function materialized from newer inputs. Its condition would hold, and it would
//!    replace newer rows with older ones.
//! 3. Materialize: compute the outputs without clock, randomness or event content. *Without this*, a repeated event could
//!    change an output.
//! 4. Skip outputs whose stored rows are equal. *Without this*, a repeated event would cause a write, and that write
//!    another event.
//! 5. Put each other output, on condition that it has the version of step 1. On a conflict, start again. *Without the
//!    condition*, a slow writer replaces newer rows. A conflict may be the answer to an own put whose response was lost; the
//!    next attempt then finds equal rows.
//! 6. After a put, check that the inputs have the versions of step 2. If not, start again. *Without this check*, an output
//!    could keep rows that the newer inputs exclude. Without a put there is nothing to take back, and the change of the
//!    input has its own event.
//!
//! After [`ATTEMPTS_MAX`] attempts the event fails, and is delivered again. The caller registers partitions after these
//! steps, and then acknowledges the event.
//!
//! These steps do not use [`store::compare_and_swap()`]: that loop changes one object from its own contents. Here one attempt
//! covers several outputs, and the inputs are read again as well.
//!
//! [`Cache`] keeps decoded objects by version while a function is warm. [`Checkpoint`] stores up to which version of an
//! input its changes were processed.

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
pub use log::Cause;

#[cfg(feature = "broken")]
use broken::Broken;
use bytes::Bytes;
use formats::Corrupt;
use model::layout::ObjectLocation;
use store::compare_and_swap::pause_after;
use store::lake::Lake;
use store::{Contended, ErrorKind, Failure, Put, Snapshot, Store, StoreError, Version};

/// How often outputs are materialized before the event fails.
pub const ATTEMPTS_MAX: u32 = store::compare_and_swap::ATTEMPTS_MAX;

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
    #[error("the stored object {location} is damaged; keep the event, and deliver it again after the repair")]
    Corrupt {
        /// The object.
        location: ObjectLocation,
        /// What is wrong with it.
        source: Corrupt,
    },
    /// Other functions kept changing the outputs or the inputs.
    #[error("{location} or its inputs changed during each of {ATTEMPTS_MAX} attempts; deliver the event again")]
    Contended {
        /// The first of the outputs.
        location: ObjectLocation,
    },
    /// A consent shard is older than work that was planned from it.
    #[error(
        "{location} is older than the work that was planned from it: it was put back to an earlier version; put the latest \
         version back, and deliver the event again"
    )]
    PutBack {
        /// The shard.
        location: ObjectLocation,
    },
    /// What the caller read before the commit has changed. The caller must read it again; this error never leaves a function.
    #[error("inputs changed during the commit; read them again")]
    Outdated,
}

impl Error {
    /// Wraps `source`: the object at `location` is damaged.
    pub fn corrupt(location: ObjectLocation) -> impl FnOnce(Corrupt) -> Self {
        move |source| Self::Corrupt { location, source }
    }
}

impl From<Contended> for Error {
    fn from(Contended { location }: Contended) -> Self {
        Self::Contended { location }
    }
}

impl Failure for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Catalog(error) => error.kind(),
            // The event is right and must not be thrown away: it may be a withdrawal.
            Self::Corrupt { .. } | Self::PutBack { .. } => ErrorKind::Misconfigured,
            Self::Contended { .. } | Self::Outdated => ErrorKind::Retry,
        }
    }
}

/// An output as it is stored before an attempt.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its location.
    pub location: ObjectLocation,
    /// Its version.
    pub version: Version,
    /// Its body; none if there is no object.
    pub body: Option<Bytes>,
}

/// The result of a materialization.
#[derive(Debug)]
pub struct Materialized<T> {
    /// For each output, in order: a new body, or none if the stored rows are equal.
    pub bodies: Vec<Option<Bytes>>,
    /// What the caller learns about the materialization once it is committed.
    pub report: T,
}

/// Outputs that are committed together.
pub trait Materialize: Sync {
    /// What the caller learns about the materialization once it is committed.
    type Report: Send;

    /// Lists the keys of the outputs in the lake's bucket. They must not depend on an input.
    fn outputs(&self) -> Vec<String>;

    /// Computes the outputs from `stored` and from what it reads through `inputs`, and from nothing else.
    fn materialize(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> impl Future<Output = Result<Materialized<Self::Report>, Error>> + Send;
}

/// The result of a commit.
#[derive(Debug)]
pub struct Committed<T> {
    /// The report of the materialization.
    pub report: T,
    /// How many objects were written in all attempts.
    pub writes: u32,
}

/// Commits outputs. The crate's documentation gives the steps and the reason for their order.
pub async fn commit<D: Materialize>(lake: &Lake, materialization: &D) -> Result<Committed<D::Report>, Error> {
    let outputs = locations(lake, materialization);
    let mut writes = 0;
    for failed in 0..ATTEMPTS_MAX {
        if failed > 0 {
            tokio::time::sleep(pause_after(failed)).await;
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

fn locations<D: Materialize>(lake: &Lake, materialization: &D) -> Vec<ObjectLocation> {
    materialization.outputs().into_iter().map(|key| lake.at(key)).collect()
}

struct Attempt<T> {
    report: T,
    writes: u32,
    /// Whether all puts succeeded and the inputs are unchanged.
    is_committed: bool,
}

/// Takes steps 2 to 6.
async fn attempt<D: Materialize>(
    lake: &Lake,
    materialization: &D,
    stored: &[Stored],
) -> Result<Attempt<D::Report>, Error> {
    // 2. Inputs, and 3. materialize.
    let inputs = Inputs::new(&lake.store);
    let Materialized { bodies, report } = materialization.materialize(stored, &inputs).await?;
    // 4. Skip equal outputs.
    let puts = stored.iter().zip(bodies).filter_map(|(stored, body)| {
        let Stored { location, version, .. } = stored;
        Some((lake.store.clone(), location.clone(), version.clone(), body?))
    });
    // 5. Put the others.
    let puts = puts.map(|(store, location, version, body)| async move { put(&store, &location, &version, body).await });
    let puts = store::join_at_most(store::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let writes = puts.iter().filter(|put| put.is_done()).count() as u32;
    let conflict = puts.iter().any(|put| !put.is_done());
    #[cfg(feature = "broken")]
    if broken::is(Broken::NoRecheck) && !conflict || broken::is(Broken::ConflictCountsAsSuccess) {
        return Ok(Attempt { report, writes, is_committed: true });
    }
    // 6. Check the inputs.
    let is_committed = !conflict && !inputs.differ() && (puts.is_empty() || inputs.unchanged().await?);
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
    let Snapshot { version, body } = Snapshot::read(&lake.store, location).await?;
    Ok(Stored { location: location.clone(), version, body })
}
