//! `stedi simulate`: many seeds of the deterministic simulation, or one stored case.

mod description;
mod report;

use crate::args::Simulate;
use crate::progress;
use crate::terminal::{print, print_table};
use report::{Report, SeedViolation};
use simulation::checks::Violation;
use simulation::faults::{Faults, Statistics};
use simulation::shrink::{self, Shrunk};
use simulation::trace::Trace;
use simulation::{Case, Outcome};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use store::BoxError;
use tokio::task::{JoinHandle, JoinSet};

/// How many lines of a long trace are shown, from its end.
const LINES_SHOWN: usize = 60;

/// Why a simulation fails.
#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("seed {seed} violates an invariant: {violation}")]
    SeedViolates { seed: u64, violation: Violation },
    #[error("{} violates an invariant: {violation}", file.display())]
    FileViolates { file: PathBuf, violation: Violation },
    #[error("{what} cannot be run")]
    Unrunnable { what: String, source: BoxError },
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{} is not a case of the simulation: expected a file that `stedi simulate` wrote", .0.display())]
    InvalidCase(PathBuf, #[source] serde_json::Error),
    #[error("cannot write {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

/// Runs `stedi simulate`.
pub(crate) async fn simulate(args: Simulate, quiet: bool) -> Result<(), BoxError> {
    match &args.replay {
        Some(file) => replay(file).await,
        None => seeds(&args, quiet).await,
    }
}

/// Runs many seeds.
#[expect(clippy::disallowed_methods, reason = "the duration is only shown to the user")]
async fn seeds(args: &Simulate, quiet: bool) -> Result<(), BoxError> {
    let started = Instant::now();
    let mut statistics = Statistics::default();
    let (runs, violation) = run_all(args, quiet, &mut statistics).await?;
    let report = |seconds| Report::new(args.seed, runs, &args.faults, &statistics, seconds);
    let Some((seed, violation)) = violation else {
        let report = report(started.elapsed().as_secs_f64());
        return match args {
            Simulate { json: true, .. } => print(&serde_json::to_string(&report)?),
            // Two processes must print the same.
            Simulate { trace: true, .. } => Ok(()),
            _ if quiet => Ok(()),
            _ => print_table(&report.to_text()),
        };
    };
    let mut report = report(started.elapsed().as_secs_f64());
    let found = SeedViolation::new(seed, &args.faults, &violation);
    if !args.json {
        print(&format!("seed {seed} violates an invariant: {violation}\nrepeat it: {}", found.command))?;
    }
    let shrunk = shrink(Case::of(seed, &args.faults), violation.clone(), quiet).await?;
    let json = serde_json::to_string_pretty(&shrunk.case)?;
    std::fs::write(&found.smaller, json + "\n")
        .map_err(|error| SimulateError::Unwritable(found.smaller.clone(), error))?;
    if args.json {
        report.violation = Some(found);
        print(&serde_json::to_string(&report)?)?;
    } else {
        print_smaller(&shrunk, &found, args.trace).await?;
    }
    Err(SimulateError::SeedViolates { seed, violation }.into())
}

/// Runs the seeds up to the first that violates an invariant. Returns how many runs it took, and the violation.
///
/// Results are taken in the order of the seeds, so they do not depend on the number of threads.
async fn run_all(
    args: &Simulate,
    quiet: bool,
    statistics: &mut Statistics,
) -> Result<(u64, Option<(u64, Violation)>), BoxError> {
    let Simulate { seed: first, runs, trace, .. } = *args;
    let seed_of = |i: u64| first.wrapping_add(i);
    let jobs = args.jobs.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    // A run that has begun ends, also if this is dropped: an aborted run would leave its folder behind.
    let mut running = JoinSet::new();
    let start = |running: &mut JoinSet<_>, i| {
        let (seed, faults) = (seed_of(i), args.faults.clone());
        running.spawn_blocking(move || (i, run_seed(seed, &faults)));
    };
    let mut waiting = 0..runs;
    waiting.by_ref().take(jobs).for_each(|i| start(&mut running, i));
    // A progress bar would garble the lines of a trace.
    let bar = (!trace).then(|| progress::bar(runs, "runs", quiet));
    let (mut early, mut done) = (BTreeMap::new(), 0);
    while let Some(ended) = running.join_next().await {
        let (i, outcome) = ended?;
        early.insert(i, outcome);
        waiting.next().into_iter().for_each(|i| start(&mut running, i));
        while let Some(outcome) = early.remove(&done) {
            let Outcome { mut violations, trace: lines, statistics: more } = outcome?;
            statistics.add(&more);
            if trace {
                let digest = lines.digest();
                print(&if runs == 1 { traced(&lines) } else { format!("{} {digest}", seed_of(done)) })?;
            }
            if !violations.is_empty() {
                return Ok((done + 1, Some((seed_of(done), violations.swap_remove(0)))));
            }
            done += 1;
            if let Some(bar) = &bar {
                bar.inc(1);
            }
        }
    }
    Ok((runs, None))
}

fn run_seed(seed: u64, faults: &Faults) -> Result<Outcome, SimulateError> {
    run(&Case::of(seed, faults), || format!("seed {seed}"))
}

/// Does `work` in a thread of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "each simulated run has a runtime with one thread; these threads only hold it"
)]
fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

fn run(case: &Case, what: impl Fn() -> String) -> Result<Outcome, SimulateError> {
    // The error of a panic names the case.
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation::simulate(case)));
    outcome
        .unwrap_or_else(|_| Err("it panicked".into()))
        .map_err(|source| SimulateError::Unrunnable { what: what(), source })
}

/// Searches for a smaller case that violates the same invariant.
async fn shrink(case: Case, violation: Violation, quiet: bool) -> Result<Shrunk<Violation>, BoxError> {
    let bar = progress::bar(shrink::RUNS_MAX.into(), "runs to find a smaller case", quiet);
    let wanted = Arc::new(());
    let search = Arc::downgrade(&wanted);
    let shrunk = in_thread(move || {
        let invariant = violation.invariant;
        let fails = |case: &Case| shrink::violation_of(case, invariant);
        let go_on = |best: &Shrunk<Violation>| {
            bar.set_position(best.runs.into());
            // An interruption drops this future, and the command ends when this thread has.
            if search.strong_count() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let shrunk = shrink::shrink(case, violation, shrink::RUNS_MAX, fails, go_on);
        bar.finish_and_clear();
        shrunk
    });
    let shrunk = shrunk.await?;
    drop(wanted);
    Ok(shrunk)
}

/// Prints a smaller case and the end of its trace.
async fn print_smaller(shrunk: &Shrunk<Violation>, found: &SeedViolation, whole: bool) -> Result<(), BoxError> {
    let Shrunk { case, failure, runs } = shrunk;
    let again = case.clone();
    let trace = in_thread(move || run(&again, || "the smaller case".to_owned())).await??.trace;
    let lines = trace.lines();
    let from = if whole { 0 } else { lines.len().saturating_sub(LINES_SHOWN) };
    let omission =
        if from > 0 { format!("... {from} earlier lines; the command above shows them\n") } else { String::new() };
    print(&format!(
        "\na smaller case that violates the same invariant, found in {runs} more runs, is in {}\nreplay it: {}\n\n{}\n\n{omission}{}\n\n{failure}",
        found.smaller.display(),
        found.replay(),
        description::describe(case),
        lines[from..].join("\n"),
    ))
}

/// Runs the case in a file.
async fn replay(file: &Path) -> Result<(), BoxError> {
    let json = std::fs::read(file).map_err(|error| SimulateError::Unreadable(file.to_owned(), error))?;
    let case: Case =
        serde_json::from_slice(&json).map_err(|error| SimulateError::InvalidCase(file.to_owned(), error))?;
    print(&format!("{}\n", description::describe(&case)))?;
    let what = file.display().to_string();
    let outcome = in_thread(move || run(&case, || what.clone())).await??;
    print(&traced(&outcome.trace))?;
    match outcome.violations.into_iter().next() {
        Some(violation) => Err(SimulateError::FileViolates { file: file.to_owned(), violation }.into()),
        None => print("no invariant is violated"),
    }
}

/// All lines of a trace, and its digest.
fn traced(trace: &Trace) -> String {
    format!("{}\ntrace {}", trace.lines().join("\n"), trace.digest())
}
