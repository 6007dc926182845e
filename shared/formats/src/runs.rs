//! Sets of numbers, stored as runs of consecutive numbers.

use serde::{Deserialize, Serialize};

/// A set of numbers, as sorted pairs of the first and last number of each run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Runs(Vec<(u32, u32)>);

impl Runs {
    /// Whether all numbers are below `end`, and no run ends before it starts.
    pub(crate) fn are_below(&self, end: usize) -> bool {
        self.0.iter().all(|(first, last)| first <= last && (*last as usize) < end)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&id))
    }

    pub(crate) fn insert(&mut self, id: u32) {
        let at = self.0.partition_point(|(first, _)| *first <= id);
        if at > 0 && id <= self.0[at - 1].1 {
            return;
        }
        self.0.insert(at, (id, id));
        if at + 1 < self.0.len() && self.0[at + 1].0 == id + 1 {
            self.0[at].1 = self.0.remove(at + 1).1;
        }
        if at > 0 && self.0[at - 1].1 + 1 == id {
            self.0[at - 1].1 = self.0.remove(at).1;
        }
    }

    pub(crate) fn remove(&mut self, id: u32) {
        let Some(at) = self.0.iter().position(|(first, last)| (*first..=*last).contains(&id)) else { return };
        let (first, last) = self.0.remove(at);
        if id < last {
            self.0.insert(at, (id + 1, last));
        }
        if first < id {
            self.0.insert(at, (first, id - 1));
        }
    }
}

impl FromIterator<u32> for Runs {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut runs = Self::default();
        numbers.into_iter().for_each(|number| runs.insert(number));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn runs_behave_like_a_set() {
        let mut runs = Runs::default();
        let mut set = BTreeSet::new();
        // Walks over all residues, so that runs grow, split and join on both sides.
        for i in 0..400_u32 {
            let id = i * 37 % 50;
            if i * 7 % 3 == 0 {
                runs.remove(id);
                set.remove(&id);
            } else {
                runs.insert(id);
                set.insert(id);
            }
            assert_eq!(runs.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            assert!(runs.0.windows(2).all(|w| w[0].1 + 1 < w[1].0), "{runs:?}");
        }
    }
}
