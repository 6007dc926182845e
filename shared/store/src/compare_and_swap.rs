//! The compare-and-swap loop over one object. It knows objects and versions, and nothing of lakes.

use crate::error_kind::{ErrorKind, Failure};
use crate::objects::{Put, Read, Store, StoreError, Version};
use bytes::Bytes;
use model::layout::ObjectLocation;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How often the loop tries to put the object.
pub const ATTEMPTS_MAX: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// The pause before the next attempt to put `body`, after `failed` attempts of at most [`ATTEMPTS_MAX`] met a conflict. The
/// writer that was faster needs some time to finish.
///
/// Writers with other bodies pause for other times, from half of the full pause up to all of it, so that they do not meet again. No
/// randomness is needed for that.
pub fn pause_after(failed: u32, body: &[u8]) -> Duration {
    let mut hasher = DefaultHasher::new();
    (failed, body).hash(&mut hasher);
    let part = 0.5 + f64::from(hasher.finish() as u16) / f64::from(u16::MAX) / 2.0;
    (FIRST_PAUSE * 2_u32.pow(failed.min(ATTEMPTS_MAX))).mul_f64(part)
}

/// An object in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The version.
    pub version: Version,
    /// The body; none if there is no object.
    pub body: Option<Bytes>,
}

impl Snapshot {
    /// The snapshot of a location without an object.
    pub const ABSENT: Self = Self { version: Version::Absent, body: None };

    /// Reads the object at `location`.
    pub async fn read(store: &Store, location: &ObjectLocation) -> Result<Self, StoreError> {
        Ok(match store.read(location, None).await? {
            Read::Found { etag, body } => Self { version: Version::Etag(etag), body: Some(body) },
            Read::Absent | Read::Unchanged => Self::ABSENT,
        })
    }
}

/// What to do with the object, given a snapshot of it. The value is what the object then means to the caller.
#[derive(Debug)]
pub enum Change<T> {
    /// Leave the object as it is.
    Keep(T),
    /// Put this body, on condition that the object still has the version of the snapshot.
    Put(Bytes, T),
}

/// Other writers were faster in every attempt.
#[derive(Debug, thiserror::Error)]
#[error("{location} changed during each of {ATTEMPTS_MAX} attempts to write it; try again")]
pub struct Contended {
    /// The object.
    pub location: ObjectLocation,
}

impl Failure for Contended {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }
}

/// Reads the object at `location`, lets `change` decide, and puts what it decides. On a conflict it reads the object again
/// and starts over, at most [`ATTEMPTS_MAX`] times. Returns the version that is stored then, and the value of `change`.
///
/// A caller that expects no object passes [`Snapshot::ABSENT`] as `first`; that saves the first read, and the put detects
/// the error. A caller that has read the object passes its snapshot. A conflict with `first` causes no pause: it says that
/// the expectation was wrong, not that another writer is busy.
///
/// A conflict may be the answer to an own put whose first response was lost. Then `change` gets its own body back, and must
/// keep it.
pub async fn compare_and_swap<T, E: From<StoreError> + From<Contended>>(
    store: &Store,
    location: &ObjectLocation,
    first: Option<Snapshot>,
    mut change: impl FnMut(Snapshot) -> Result<Change<T>, E>,
) -> Result<(Version, T), E> {
    let (mut is_expected, mut first, mut pause) = (first.is_some(), first, None);
    for attempt in 1..=ATTEMPTS_MAX {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let snapshot = match first.take() {
            Some(snapshot) => snapshot,
            None => {
                is_expected = false;
                Snapshot::read(store, location).await?
            }
        };
        let version = snapshot.version.clone();
        match change(snapshot)? {
            Change::Keep(value) => return Ok((version, value)),
            Change::Put(body, value) => {
                if let Put::Done(version) = store.put(location, body.clone(), &version).await? {
                    return Ok((version, value));
                }
                pause = (!is_expected).then(|| pause_after(attempt, &body));
            }
        }
    }
    Err(Contended { location: location.clone() }.into())
}
