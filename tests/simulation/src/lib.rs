//! Deterministic simulation: the five functions under faults, compared with the definitions of the tables.
//!
//! The real handlers run with the real SDK clients against the emulator of S3 and Glue, in one thread. The clock is
//! simulated: it moves only when no task can run. The seed decides everything: which files are uploaded and when, which
//! event is late, delivered twice or out of order, which request fails, whose response is lost, and which function is
//! killed or stalls. The same seed gives the same run in every process.
//!
//! | module | content |
//! |---|---|
//! | [`scenario`] | which files are uploaded |
//! | [`faults`] | the kinds of faults, how often they occur in a run, and statistics |
//! | `world` | the lake, the instances of the functions, and the main loop |
//! | `delivery` | the events of stored objects |
//! | `wire` | injects faults into requests |
//! | `run` | the state that the wires and the world share |
//! | [`oracle`] | the definitions of the tables, implemented a second time, plain and slow |
//! | [`checks`] | the invariants, checked after each write and at rest |
//! | [`shrink`] | searches for a smaller case that fails too |
//! | [`functions`], [`tables`], [`events`] | functions by name, rows as texts, S3 events; other tests use them too |
//!
//! # What is not covered
//!
//! - S3 and Glue are emulated: strongly consistent, as AWS documents. The conformance tests hold the emulator to that.
//!   No region fails, and no answer is eventually consistent.
//! - A request is carried out at one instant, and bodies arrive whole.
//! - Time passes only between requests. Memory, CPU time and Lambda's limits are not simulated.
//! - Landing files are small and have few, simple broken lines. The parsers have tests of their own.
//! - Landing files are all in the lake's bucket, and none is deleted.
//! - No lake is upgraded from one stored format to the next.

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

/// Everything that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Which files are uploaded.
    pub scenario: Scenario,
    /// The kinds of faults that may occur.
    pub faults: Faults,
    /// The seed of the schedule and of the faults.
    pub schedule: u64,
}

impl Case {
    /// Draws the case of a seed.
    pub fn of(seed: u64, faults: &Faults) -> Self {
        Self { scenario: Scenario::draw(&mut Rng::with_seed(seed)), faults: faults.clone(), schedule: seed }
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The violated invariants; the run ends with the first.
    pub violations: Vec<Violation>,
    /// What happened, line by line.
    pub trace: Trace,
    /// How often it happened.
    pub statistics: Statistics,
}

/// Runs a case. An error comes from this machine, for instance if it cannot make a temporary folder.
pub fn simulate(case: &Case) -> Result<Outcome, BoxError> {
    // The SDK draws its retry delays from this generator.
    fastrand::seed(case.schedule);
    let folder = tempfile::Builder::new().prefix("stedi-simulation-").tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut world = World::new(case, folder.path()).await?;
        world.run_phases().await?;
        let mut state = world.run.state();
        Ok(Outcome {
            violations: std::mem::take(&mut state.violations),
            trace: std::mem::take(&mut state.trace),
            statistics: std::mem::take(&mut state.statistics),
        })
    })
}
