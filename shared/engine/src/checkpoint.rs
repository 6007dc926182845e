//! Checkpoints: how far the changes of an input were processed.

use crate::Error;
use bytes::Bytes;
use formats::Corrupt;
use model::hash::KeyHash;
use model::layout::ObjectLocation;
use std::fmt;
use store::lake::Lake;
use store::{Put, Snapshot, Version};

/// How far the changes of an input were processed, in the order of their versions, and of their keys in one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The changes of all earlier versions were processed.
    pub version: u64,
    /// Of this version only those up to this key were processed, if there is one.
    pub up_to: Option<KeyHash>,
}

impl Progress {
    /// Whether a change of `key` in `version` was processed.
    pub fn has(self, key: KeyHash, version: u64) -> bool {
        version < self.version || version == self.version && self.up_to.is_none_or(|up_to| key <= up_to)
    }

    fn parse(text: &str) -> Result<Self, Corrupt> {
        let corrupt = |error: &dyn fmt::Display| Corrupt::new("checkpoint", error);
        let (version, up_to) = text.trim().split_once(' ').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let up_to = up_to.map(str::parse).transpose().map_err(|error| corrupt(&error))?;
        Ok(Self { version: version.parse().map_err(|error| corrupt(&error))?, up_to })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        self.up_to.map_or(Ok(()), |up_to| write!(f, " {up_to}"))
    }
}

/// A checkpoint: the progress of a function, in an object. The function reads it before the work and advances it after the
/// work. If the function is killed between the two, the next one repeats the work.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    location: ObjectLocation,
    version: Version,
    processed: Progress,
}

impl Checkpoint {
    /// Reads the checkpoint at `key`; version 0 if there is none yet.
    pub async fn read(lake: &Lake, key: String) -> Result<Self, Error> {
        let location = lake.at(key);
        let Snapshot { version, body } = Snapshot::read(&lake.store, &location).await?;
        let parse = |body: Bytes| Progress::parse(&String::from_utf8_lossy(&body));
        let processed = body.map(parse).transpose().map_err(Error::corrupt(location.clone()))?.unwrap_or_default();
        Ok(Self { location, version, processed })
    }

    /// How far the changes of the input were processed.
    pub fn processed(&self) -> Progress {
        self.processed
    }

    /// Checks that the input, which was read after the checkpoint, is not in a version before it. Versions only grow, so it would
    /// have been put back, and a writer would give the next version a number that other changes had.
    ///
    /// An input that was put back before its changes were processed is not detected.
    pub fn check(&self, version: u64, input: &ObjectLocation) -> Result<(), Error> {
        match version < self.processed.version {
            true => Err(Error::PutBack { location: input.clone() }),
            false => Ok(()),
        }
    }

    /// Advances each checkpoint. Returns false if another function moved one of them; then read
    /// them again.
    ///
    /// This is one conditional put for each checkpoint and not [`store::compare_and_swap()`]: after a conflict, the caller must
    /// repeat the work before it puts again.
    pub async fn advance_all(lake: &Lake, checkpoints: Vec<(Self, Progress)>) -> Result<bool, Error> {
        let puts =
            checkpoints.into_iter().map(|(checkpoint, progress)| {
                let store = lake.store.clone();
                async move {
                    store.put(&checkpoint.location, Bytes::from(format!("{progress}\n")), &checkpoint.version).await
                }
            });
        let puts = store::join_at_most(store::REQUESTS_MAX, puts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(puts.iter().all(Put::is_done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_its_text() {
        let up_to = Some(KeyHash::from_bytes([7; 16]));
        for progress in [Progress::default(), Progress { version: 12, up_to: None }, Progress { version: 12, up_to }] {
            assert_eq!(Progress::parse(&format!("{progress}\n")).unwrap(), progress);
        }
        for wrong in ["", "x", "1 2", "-1"] {
            assert!(Progress::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn changes_are_ordered_by_version_and_then_by_key() {
        let key = |n| KeyHash::from_bytes([n; 16]);
        let progress = Progress { version: 5, up_to: Some(key(7)) };
        assert!(progress.has(key(9), 4) && progress.has(key(7), 5));
        assert!(!progress.has(key(8), 5) && !progress.has(key(1), 6));
        assert!(Progress { version: 5, up_to: None }.has(key(9), 5));
    }
}
