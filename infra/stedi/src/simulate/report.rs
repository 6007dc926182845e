//! The report of many runs of the simulation, as JSON and as text.

use crate::help;
use crate::report::{grouped, text_table};
use comfy_table::{ContentArrangement, Table as TextTable};
use serde::Serialize;
use simulation::checks::{Invariant, Violation};
use simulation::faults::{Faults, Kind, Statistics};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The runs and their results. Its JSON is part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The first seed.
    pub seed: u64,
    /// The number of runs.
    pub runs: u64,
    /// Invocations of functions.
    pub invocations: u64,
    /// Their requests to S3 and Glue.
    pub requests: u64,
    /// Their writes, each of which was checked.
    pub writes: u64,
    /// How often a run came to rest and the whole lake was compared.
    pub compared: u64,
    /// The kinds of faults that might occur.
    pub faults: BTreeMap<&'static str, FaultCounts>,
    /// The invariants that were checked.
    pub invariants: Vec<String>,
    /// The time from start to finish.
    pub seconds: f64,
    /// The violation of the smallest seed that violates an invariant.
    pub violation: Option<SeedViolation>,
}

/// A kind of fault.
#[derive(Debug, Serialize)]
pub(crate) struct FaultCounts {
    /// How often it was injected.
    pub injected: u64,
    /// How often it made a difference.
    pub mattered: u64,
}

/// A violation that a seed led to.
#[derive(Debug, Serialize)]
pub(crate) struct SeedViolation {
    /// The seed.
    pub seed: u64,
    /// The name of the invariant.
    pub invariant: String,
    /// Where and how it is violated.
    pub what: String,
    /// The command that repeats the run.
    pub command: String,
    /// The file with a smaller case.
    pub smaller: PathBuf,
}

impl Report {
    /// The report of `runs` seeds from `seed` on.
    pub(crate) fn new(seed: u64, runs: u64, faults: &Faults, statistics: &Statistics, seconds: f64) -> Self {
        let kinds = faults.0.iter().map(|kind| {
            let (injected, mattered) = statistics.faults.get(kind).copied().unwrap_or_default();
            (kind.name(), FaultCounts { injected, mattered })
        });
        Self {
            seed,
            runs,
            invocations: statistics.invocations,
            requests: statistics.requests,
            writes: statistics.writes,
            compared: statistics.comparisons,
            faults: kinds.collect(),
            invariants: Invariant::ALL.iter().map(ToString::to_string).collect(),
            seconds,
            violation: None,
        }
    }

    /// The report as text, of runs that violated no invariant.
    pub(crate) fn to_text(&self) -> String {
        let Self { seed, runs, invocations, requests, writes, compared, seconds, .. } = self;
        format!(
            "{faults}\n\n{invariants}\n\n{runs} runs from seed {seed} on, {rate:.1} a second: {invocations} invocations, \
             {requests} requests.\n{writes} writes checked, everything compared {compared} times. No invariant was violated",
            faults = self.faults_text(),
            invariants = invariants_text(),
            runs = grouped(*runs),
            rate = *runs as f64 / seconds,
            invocations = grouped(*invocations),
            requests = grouped(*requests),
            writes = grouped(*writes),
            compared = grouped(*compared),
        )
    }

    fn faults_text(&self) -> String {
        let rows = Kind::ALL.into_iter().filter_map(|kind| {
            let FaultCounts { injected, mattered } = self.faults.get(kind.name())?;
            let [injected, mattered] = [*injected, *mattered].map(grouped);
            Some([kind.name().to_owned(), injected, mattered, kind.matters_when().to_owned()].into_iter())
        });
        wrapped(text_table(["fault", "injected", "mattered", "it matters if"], 1..3, rows))
    }
}

fn invariants_text() -> String {
    let rows = Invariant::ALL.into_iter().map(|one| [one.to_string(), checked_when(one).to_owned()].into_iter());
    wrapped(text_table(["invariant", "checked"], 0..0, rows))
}

/// Wraps the sentences of the last column.
fn wrapped(mut table: TextTable) -> String {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(help::COLUMNS as u16);
    table.trim_fmt()
}

fn checked_when(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::Safety | Invariant::NoIdentifiers | Invariant::Determinism => "after every write",
        Invariant::Convergence | Invariant::Withdrawal | Invariant::RowCounts | Invariant::Catalog => {
            "at rest, when no event is pending"
        }
        Invariant::Quiescence => "at the end, when every event is delivered once more",
        Invariant::Access => "at every request of a function",
        Invariant::Progress => "always: the run comes to rest, and no event fails for ever",
    }
}

impl SeedViolation {
    /// Describes the violation that a seed led to.
    pub(crate) fn new(seed: u64, faults: &Faults, violation: &Violation) -> Self {
        let faults = if *faults == Faults::all() { String::new() } else { format!(" --faults {faults}") };
        Self {
            seed,
            invariant: violation.invariant.to_string(),
            what: violation.what.clone(),
            command: format!("stedi simulate --seed {seed} --runs 1 --trace{faults}"),
            smaller: format!("stedi-simulation-{seed}.json").into(),
        }
    }

    /// The command that replays the smaller case.
    pub(crate) fn replay(&self) -> String {
        format!("stedi simulate --replay {}", self.smaller.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_faults_unless_all_may_occur() {
        let violation = Violation { invariant: Invariant::Safety, what: "a row".to_owned() };
        let command = |faults: &str| SeedViolation::new(7, &faults.parse().unwrap(), &violation).command;
        assert_eq!(command("all"), "stedi simulate --seed 7 --runs 1 --trace");
        assert_eq!(command("kill,stall"), "stedi simulate --seed 7 --runs 1 --trace --faults kill,stall");
        assert_eq!(command("none"), "stedi simulate --seed 7 --runs 1 --trace --faults none");
    }
}
