//! Counts what is done through a lake, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counts. Module `runtime::metrics` says what each means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `rows_read`
    pub rows_read: u64,
    /// `rows_kept`
    pub rows_kept: u64,
    /// `rows_excluded`, by reason.
    pub rows_excluded: BTreeMap<String, u64>,
    /// `rows_quarantined`
    pub rows_quarantined: u64,
    /// `objects_written`
    pub objects_written: u64,
    /// `conflicts`
    pub conflicts: u64,
    /// `retries`
    pub retries: u64,
    /// `s3_requests`
    pub s3_requests: u64,
    /// `glue_requests`
    pub glue_requests: u64,
}

/// Counts what is done through one lake.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

impl Counters {
    /// Returns the counts since the last call, and resets them. A Lambda process handles one invocation at a time, so these are
    /// the counts of one invocation.
    pub fn drain(&self) -> Counts {
        std::mem::take(&mut self.counts())
    }

    /// Adds to the counts.
    pub fn add(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts());
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_resets_the_counts() {
        let counters = Counters::default();
        counters.add(|counts| counts.retries += 2);
        assert_eq!(counters.drain(), Counts { retries: 2, ..Counts::default() });
        assert_eq!(counters.drain(), Counts::default());
    }
}
