//! What was counted of a lake before: an object that still has its ETag need not be read again.
//!
//! It is kept in the stack's own folder, read and written only when everything is counted: where it is missing, damaged
//! or of another time, objects are read anew, and no count is wrong for it.

use crate::report::LandingCount;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Counts by key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// Of objects of derived tables, their rows.
    pub(crate) rows: Counted<u64>,
    /// Of receipts, what they say.
    pub(crate) receipts: Counted<LandingCount>,
}

/// Counts of objects, each with the ETag of the version that was counted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Counted<T>(HashMap<String, (String, T)>);

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Copy> Counted<T> {
    /// The count of this version of an object.
    pub(crate) fn of(&self, key: &str, etag: &str) -> Option<T> {
        self.0.get(key).filter(|(known, _)| known == etag).map(|(_, count)| *count)
    }

    /// Remembers a count.
    pub(crate) fn note(&mut self, key: String, etag: String, count: T) {
        self.0.insert(key, (etag, count));
    }
}

impl Remembered {
    /// What is remembered of the lake in `directory`.
    pub(crate) fn of(directory: &Path) -> Self {
        let read = std::fs::read(file(directory)).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps it for the next time. That it cannot be kept costs no more than that next time.
    pub(crate) fn keep(&self, directory: &Path) {
        let Ok(bytes) = serde_json::to_vec(self) else { return };
        let (file, new) = (file(directory), directory.join(".stedi/counted.new"));
        let _ = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &file));
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join(".stedi/counted")
}
