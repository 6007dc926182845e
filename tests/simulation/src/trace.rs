//! What happened in a run, line by line. The same case gives the same trace in every process.

use sha2::{Digest, Sha256};
use std::fmt;

/// The lines of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Adds a line: milliseconds since the run began, actor and action.
    pub(crate) fn add(&mut self, at_ms: u64, actor: &str, what: impl fmt::Display) {
        self.0.push(format!("{:>6}.{:03} {actor:<30} {what}", at_ms / 1000, at_ms % 1000));
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// A hash that distinguishes this trace from others.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for line in &self.0 {
            hasher.update(line);
            hasher.update("\n");
        }
        hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
