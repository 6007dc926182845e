//! What happened, line by line: the same for the same case, in every process.

use sha2::{Digest, Sha256};
use std::fmt;

/// The lines of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Adds a line: when, in milliseconds since the run began, who and what.
    pub(crate) fn add(&mut self, at_ms: u64, who: &str, what: impl fmt::Display) {
        self.0.push(format!("{:>6}.{:03} {who:<30} {what}", at_ms / 1000, at_ms % 1000));
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// Tells this trace from others.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for line in &self.0 {
            hasher.update(line);
            hasher.update("\n");
        }
        hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
