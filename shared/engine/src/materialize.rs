//! Materializes an object that is a pure function of a few others.
//!
//! The object names the versions of its inputs, so a function sees whether it is *up to date*: whether it was computed from
//! the current ones. [`materialize`] takes these steps in this order:
//!
//! 1. Read the output. 2. Then read the inputs. *Without this order*, a slow function could read old inputs, then the version
//!    of an output that another function computed from newer inputs. Its condition would hold, and it would replace newer
//!    rows with older ones.
//! 3. If the output names these versions, it is up to date. Otherwise compute it, without clock, randomness or event content.
//! 4. Put it on condition that it has the version of step 1, even if its rows are equal. On a conflict, start again.
//!    *Without the put of equal rows*, a slow function that holds older inputs would find the output as it read it.
//!
//! No check of the inputs follows: a change of an input has its own event, and the function that handles it takes these
//! steps.

use crate::{ATTEMPTS_MAX, Error};
use bytes::Bytes;
use std::future::Future;
use store::compare_and_swap::pause_after;
use store::lake::Lake;
use store::{Change, Snapshot};

/// An object that is a pure function of a few others.
pub trait Materialize: Sync {
    /// What the object then means to the caller.
    type Report: Send;

    /// Returns the key of the output in the lake's bucket.
    fn output(&self) -> String;

    /// Reads the inputs, and computes the output from them. Keeps `stored` if that names the versions of the inputs.
    fn compute(&self, stored: Option<Bytes>) -> impl Future<Output = Result<Change<Self::Report>, Error>> + Send;
}

/// Materializes an object.
pub async fn materialize<M: Materialize>(lake: &Lake, materialization: &M) -> Result<M::Report, Error> {
    let location = lake.at(materialization.output());
    for attempt in 1..=ATTEMPTS_MAX {
        let Snapshot { version, body } = Snapshot::read(&lake.store, &location).await?;
        match materialization.compute(body).await? {
            Change::Keep(report) => return Ok(report),
            Change::Put(body, report) => {
                #[cfg(feature = "broken")]
                let version = crate::broken::condition(&lake.store, &location, version).await?;
                let put = lake.store.put(&location, body.clone(), &version).await?;
                #[cfg(feature = "broken")]
                let put = crate::broken::outcome(put);
                if put.is_done() {
                    return Ok(report);
                }
                tokio::time::sleep(pause_after(attempt, &body)).await;
            }
        }
    }
    Err(Error::Contended { location })
}
