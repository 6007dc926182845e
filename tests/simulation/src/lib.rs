//! Deterministic simulation: the five functions on bad days, held against the definitions of the tables.
//!
//! The real handlers run with the real SDK clients against the embedded S3 and Glue, in one thread, on a clock that
//! only moves when nobody has anything to do. Everything that happens is drawn from a seed: what lands and when, which
//! event comes late, twice or out of order, which request fails, whose response is lost, who is killed and who stands
//! still while others go on. The same seed gives the same run, in every process.
//!
//! | module | what it holds |
//! |---|---|
//! | [`scenario`] | what lands |
//! | [`faults`] | what can go wrong, and how often it did |
//! | `world` | the lake, the instances of the functions, and what happens when |
//! | `delivery` | the events of stored objects |
//! | `wire` | where requests meet bad luck |
//! | `run` | what the wires and the world share |
//! | [`oracle`] | the definitions of the tables once more, plain and slow |
//! | [`checks`] | the invariants, looked at after each write and at rest |
//! | [`shrink`] | a smaller case that fails as well |
//! | [`functions`], [`tables`], [`events`] | the functions by name, rows as texts, S3 events: for other tests, too |
//!
//! # What it does not cover
//!
//! - S3 and Glue are ours, strongly consistent, and as the documentation says AWS's are; the conformance tests hold
//!   them against that. Neither a region that fails nor an eventually consistent answer occurs.
//! - A request is carried out at one instant. Bodies come whole: an upload or download does not break off half-way.
//! - Time passes only between requests; memory, CPU time and Lambda's own limits are not simulated.
//! - Landing files are small, and their broken lines few and simple: the parsers have tests of their own.
//! - Landing files are not deleted, and all are in the lake's bucket.
//! - One lake is not upgraded from one version of the software to the next.

pub mod checks;
mod delivery;
pub mod events;
pub mod faults;
pub mod functions;
mod operation;
pub mod oracle;
mod run;
pub mod scenario;
pub mod shrink;
pub mod tables;
pub mod trace;
mod wire;
mod world;

use checks::Violation;
use fastrand::Rng;
use faults::{Faults, Statistics};
use scenario::Scenario;
use serde::{Deserialize, Serialize};
use store::BoxError;
use trace::Trace;
use world::World;

/// All that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// What lands.
    pub scenario: Scenario,
    /// What may go wrong.
    pub faults: Faults,
    /// The seed of everything that happens.
    pub schedule: u64,
}

impl Case {
    /// The case of a seed.
    pub fn of(seed: u64, faults: &Faults) -> Self {
        Self { scenario: Scenario::draw(&mut Rng::with_seed(seed)), faults: faults.clone(), schedule: seed }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The invariants that were broken; the run ends with the first.
    pub violations: Vec<Violation>,
    /// What happened.
    pub trace: Trace,
    /// How much of it.
    pub statistics: Statistics,
}

/// Runs a case. Fails only if this machine does, for instance if no temporary folder can be made.
pub fn simulate(case: &Case) -> Result<Outcome, BoxError> {
    // The SDK draws its pauses from here.
    fastrand::seed(case.schedule);
    let folder = tempfile::Builder::new().prefix("stedi-simulation-").tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut world = World::new(case, folder.path()).await?;
        world.live().await?;
        let mut state = world.run.state();
        Ok(Outcome {
            violations: std::mem::take(&mut state.violations),
            trace: std::mem::take(&mut state.trace),
            statistics: std::mem::take(&mut state.statistics),
        })
    })
}
