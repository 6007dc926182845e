//! The engine: publishes outputs that are pure functions of what their inputs hold now.
//!
//! It knows objects and versions, not customers. S3 delivers events at least once, in any order, minutes late, to many
//! functions at once; but its reads, lists and conditional writes are strongly consistent. So an event never carries
//! truth: it says where to look. [`publish`] then takes these steps, in this order:
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
//! [`publish_first`] leaves out the first step for outputs that cannot be there yet.
//!
//! Starting again is bounded: after [`ATTEMPTS_MAX`] the event fails, and S3's delivery brings it again. Registering
//! partitions and acknowledging come after all this, and are the caller's.
//!
//! [`Cache`] keeps decoded objects by version in a warm function; [`Cursor`] remembers up to which version of an input
//! its changes were carried on.

#[cfg(feature = "broken")]
pub mod broken;
mod cache;
mod cursor;
mod inputs;

pub use cache::{CACHE_BYTES_MAX, Cache, Start};
pub use cursor::Cursor;
pub use inputs::Inputs;

use aws::lake::Lake;
use aws::store::{Put, Read, Store, StoreError, Version};
#[cfg(feature = "broken")]
use broken::Broken;
use bytes::Bytes;
use lake::Corrupt;
use lake::layout::Place;
use std::time::Duration;

/// How often outputs are derived anew before the event is given back.
pub const ATTEMPTS_MAX: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// Why outputs could not be published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// S3 failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Glue failed.
    #[error(transparent)]
    Catalog(#[from] aws::catalog::CatalogError),
    /// A stored object is damaged.
    #[error("{place}")]
    Corrupt {
        /// The object.
        place: Place,
        /// What is wrong with it.
        source: Corrupt,
    },
    /// Others kept changing the outputs or the inputs.
    #[error("{place} and what it is derived from kept changing in {ATTEMPTS_MAX} attempts; deliver the event again")]
    Contended {
        /// The first of the outputs.
        place: Place,
    },
    /// What the derivation set out from is no longer so; whoever called must look again. Never leaves a function.
    #[error("inputs changed; look again")]
    Outdated,
}

impl Error {
    /// `source` says that the object at `place` is damaged.
    pub fn corrupt(place: Place) -> impl FnOnce(Corrupt) -> Self {
        move |source| Self::Corrupt { place, source }
    }
}

/// An output as it was stored when the derivation began.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub place: Place,
    /// Its version.
    pub version: Version,
    /// Its body; none if there is none.
    pub body: Option<Bytes>,
}

/// What was derived: for each output, in order, a new body or none if the stored one is right; and a report.
#[derive(Debug)]
pub struct Derived<T> {
    /// New bodies.
    pub bodies: Vec<Option<Bytes>>,
    /// What the caller wants to know of the derivation that stands.
    pub report: T,
}

/// Outputs that are derived together.
pub trait Derivation: Sync {
    /// What the caller wants to know of the derivation that stands.
    type Report: Send;

    /// The keys of the outputs in the lake's bucket. All must be known before any input is read.
    fn outputs(&self) -> Vec<String>;

    /// Derives the outputs, given what is stored, from what is read through `inputs` and nothing else.
    fn derive(
        &self,
        stored: &[Stored],
        inputs: &Inputs<'_>,
    ) -> impl Future<Output = Result<Derived<Self::Report>, Error>> + Send;
}

/// What was published.
#[derive(Debug)]
pub struct Published<T> {
    /// The report of the derivation that stands.
    pub report: T,
    /// How many objects were written, attempts included.
    pub writes: u32,
}

/// Publishes outputs: see the crate's documentation for the steps and why they come in this order.
pub async fn publish<D: Derivation>(lake: &Lake, derivation: &D) -> Result<Published<D::Report>, Error> {
    let outputs = places(lake, derivation);
    let mut writes = 0;
    for failed in 0..ATTEMPTS_MAX {
        if failed > 0 {
            // Whoever got ahead is to finish first.
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(failed)).await;
        }
        // 1. Outputs before inputs.
        let stored = aws::all(outputs.iter().map(|place| stored(lake, place))).await?;
        let attempt = attempt(lake, derivation, &stored).await?;
        writes += attempt.writes;
        if attempt.stands {
            return Ok(Published { report: attempt.report, writes });
        }
    }
    let place = outputs.into_iter().next().unwrap_or_else(|| lake.at(""));
    Err(Error::Contended { place })
}

/// Publishes outputs of which the caller knows that none was there when it set out, before any input was read. So they
/// need not be read: a put on condition that there still is none says the same. None if the derivation does not stand;
/// then call [`publish`].
pub async fn publish_first<D: Derivation>(lake: &Lake, derivation: &D) -> Result<Option<Published<D::Report>>, Error> {
    let absent = |place| Stored { place, version: Version::Absent, body: None };
    let stored: Vec<Stored> = places(lake, derivation).into_iter().map(absent).collect();
    let Attempt { report, writes, stands } = attempt(lake, derivation, &stored).await?;
    Ok(stands.then_some(Published { report, writes }))
}

fn places<D: Derivation>(lake: &Lake, derivation: &D) -> Vec<Place> {
    derivation.outputs().into_iter().map(|key| lake.at(key)).collect()
}

struct Attempt<T> {
    report: T,
    writes: u32,
    /// Whether it was derived from what the inputs still hold, and all that was to be put was.
    stands: bool,
}

/// Steps 2 to 6.
async fn attempt<D: Derivation>(lake: &Lake, derivation: &D, stored: &[Stored]) -> Result<Attempt<D::Report>, Error> {
    // 2. and 3.
    let inputs = Inputs::new(&lake.store, lake.bucket());
    let Derived { bodies, report } = derivation.derive(stored, &inputs).await?;
    // 4.
    let puts = stored.iter().zip(bodies).filter_map(|(stored, body)| {
        let Stored { place, version, .. } = stored;
        Some((lake.store.clone(), place.clone(), version.clone(), body?))
    });
    // 5.
    let puts = puts.map(|(store, place, version, body)| async move { put(&store, &place, &version, body).await });
    let puts = aws::spread_over(aws::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let writes = puts.iter().filter(|put| put.is_done()).count() as u32;
    let lost = puts.iter().any(|put| !put.is_done());
    #[cfg(feature = "broken")]
    if broken::is(Broken::NoRecheck) && !lost || broken::is(Broken::OwnWriteIsAnothers) {
        return Ok(Attempt { report, writes, stands: true });
    }
    // 6.
    let stands = !lost && !inputs.torn() && (puts.is_empty() || inputs.unchanged().await?);
    Ok(Attempt { report, writes, stands })
}

async fn put(store: &Store, place: &Place, version: &Version, body: Bytes) -> Result<Put, StoreError> {
    #[cfg(feature = "broken")]
    if broken::is(Broken::InputsFirst) || broken::is(Broken::Unconditional) {
        return broken::put(store, place, body).await;
    }
    store.put(place, body, version).await
}

async fn stored(lake: &Lake, place: &Place) -> Result<Stored, Error> {
    let (version, body) = match lake.store.read(place, None).await? {
        Read::Found { etag, body } => (Version::Etag(etag), Some(body)),
        Read::Absent | Read::Unchanged => (Version::Absent, None),
    };
    Ok(Stored { place: place.clone(), version, body })
}
