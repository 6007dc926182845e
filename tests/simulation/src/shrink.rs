//! Makes a failing case smaller: fewer landings, fewer lines, fewer kinds of faults.
//!
//! What is taken away changes everything that happens after it, so a smaller case may need another schedule to fail.
//! Each is tried with the schedule that failed last, and then with some new ones.

use crate::checks::{Invariant, Violation};
use crate::scenario::{Content, Landing};
use crate::{Case, simulate};
use fastrand::Rng;
use std::ops::{ControlFlow, Range};

/// How many runs are enough for a case to be read.
pub const RUNS_MAX: u32 = 1_000;
/// How many new schedules a smaller case is tried with.
const SCHEDULES: u32 = 8;

/// A case that fails, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk<F> {
    /// The smallest that was found.
    pub case: Case,
    /// How it fails.
    pub failure: F,
    /// How many runs it took.
    pub runs: u32,
}

/// How `case` breaks `invariant`, if it does; what [`shrink`] asks of each case.
pub fn breaks(case: &Case, invariant: Invariant) -> Option<Violation> {
    // Where this machine fails nothing is known of the case.
    simulate(case).ok()?.violations.into_iter().find(|violation| violation.invariant == invariant)
}

/// Makes a failing case smaller, as long as `fails` tells how it fails, with `runs_max` calls of it at most.
///
/// Before each call `go_on` is told what was reached; it may say that this will do.
pub fn shrink<F>(
    case: Case,
    failure: F,
    runs_max: u32,
    fails: impl FnMut(&Case) -> Option<F>,
    go_on: impl FnMut(&Shrunk<F>) -> ControlFlow<()>,
) -> Shrunk<F> {
    let rng = Rng::with_seed(case.schedule);
    let mut search = Search { best: Shrunk { case, failure, runs: 0 }, runs_max, rng, fails, go_on };
    // Whoever breaks off has what was found so far.
    while let ControlFlow::Continue(true) = search.round() {}
    search.best
}

struct Search<F, Fails, GoOn> {
    best: Shrunk<F>,
    runs_max: u32,
    rng: Rng,
    fails: Fails,
    go_on: GoOn,
}

/// Something that a case has many of.
struct Part {
    count: fn(&Case) -> usize,
    remove: fn(&mut Case, Range<usize>),
}

/// What is removed, in this order: what takes most with it comes first.
const PARTS: [Part; 4] = [
    Part { count: |case| case.scenario.phases.len(), remove: |case, range| drop(case.scenario.phases.drain(range)) },
    Part { count: |case| case.scenario.landings().count(), remove: remove_landings },
    Part { count: |case| case.scenario.landings().map(|l| l.content.lines().len()).sum(), remove: remove_lines },
    Part { count: |case| case.faults.0.len(), remove: remove_faults },
];

impl<F, Fails, GoOn> Search<F, Fails, GoOn>
where
    Fails: FnMut(&Case) -> Option<F>,
    GoOn: FnMut(&Shrunk<F>) -> ControlFlow<()>,
{
    /// Tries to remove everything once, in ever smaller chunks; whether something went.
    fn round(&mut self) -> ControlFlow<(), bool> {
        let mut smaller = false;
        for Part { count, remove } in PARTS {
            let mut chunk = count(&self.best.case);
            while chunk > 0 {
                let mut start = 0;
                while start < count(&self.best.case) {
                    let end = count(&self.best.case).min(start + chunk);
                    let mut case = self.best.case.clone();
                    remove(&mut case, start..end);
                    if self.try_schedules(case)? {
                        smaller = true;
                    } else {
                        start += chunk;
                    }
                }
                chunk /= 2;
            }
        }
        ControlFlow::Continue(smaller)
    }

    /// Whether a case fails with one of some schedules.
    fn try_schedules(&mut self, mut case: Case) -> ControlFlow<(), bool> {
        for _ in 0..=SCHEDULES {
            if self.best.runs == self.runs_max {
                return ControlFlow::Break(());
            }
            (self.go_on)(&self.best)?;
            self.best.runs += 1;
            if let Some(failure) = (self.fails)(&case) {
                self.best = Shrunk { case, failure, runs: self.best.runs };
                return ControlFlow::Continue(true);
            }
            case.schedule = self.rng.u64(..);
        }
        ControlFlow::Continue(false)
    }
}

fn remove_landings(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    for phase in &mut case.scenario.phases {
        phase.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
    }
    // In a phase where nothing lands nothing happens.
    case.scenario.phases.retain(|phase| !phase.is_empty());
}

/// The files stay: one that is replaced by an empty one is another case than one that stays as it is.
fn remove_lines(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    for Landing { content, .. } in case.scenario.phases.iter_mut().flatten() {
        if let Content::Lines(lines) = content {
            lines.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
        }
    }
}

fn remove_faults(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    case.faults.0.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Faults, Kind};
    use crate::scenario::{Line, Scenario};
    use model::lake_config::ConsentPolicy;

    /// Nine landings in three phases, with lines "0" to "44".
    fn case() -> Case {
        let landing = |i: u64| {
            let lines = (5 * i..5 * i + 5).map(|line| Line::Broken(line.to_string())).collect();
            Landing { at_ms: i, key: format!("customer/landing/{i}.json"), content: Content::Lines(lines) }
        };
        let phases = (0..3).map(|phase| (3 * phase..3 * phase + 3).map(landing).collect()).collect();
        let scenario = Scenario { policy: ConsentPolicy::Ever, customer_shards: 1, small_index: false, phases };
        Case { scenario, faults: Faults::all(), schedule: 7 }
    }

    fn lines(case: &Case) -> Vec<String> {
        case.scenario.landings().flat_map(|landing| landing.content.lines()).map(Line::text).collect()
    }

    /// Fails where both lines land, functions may be killed, and the schedule is an unlucky one.
    fn fails(case: &Case) -> Option<usize> {
        let lines = lines(case);
        let has = |line: &str| lines.iter().any(|other| other == line);
        let unlucky = case.schedule % 3 == 1;
        (has("13") && has("31") && case.faults.0.contains(&Kind::Kill) && unlucky).then_some(lines.len())
    }

    #[test]
    fn what_does_not_matter_goes() {
        let shrunk = shrink(case(), 45, RUNS_MAX, fails, |_| ControlFlow::Continue(()));
        assert_eq!(lines(&shrunk.case), ["13", "31"]);
        assert_eq!(shrunk.case.scenario.landings().count(), 2);
        assert_eq!(shrunk.case.scenario.phases.len(), 2);
        assert_eq!(shrunk.case.faults, Faults([Kind::Kill].into()));
        assert_eq!(shrunk.failure, 2, "the failure is that of the smallest case");
        assert_eq!(fails(&shrunk.case), Some(2));
        assert!(shrunk.runs < RUNS_MAX, "{} runs", shrunk.runs);
    }

    #[test]
    fn same_case_is_shrunk_in_the_same_way() {
        let shrunk = || shrink(case(), 45, RUNS_MAX, fails, |_| ControlFlow::Continue(()));
        assert_eq!(shrunk(), shrunk());
    }

    #[test]
    fn runs_are_bounded_and_what_is_found_by_then_fails() {
        for runs_max in [0, 1, 20, 60] {
            let mut runs = 0;
            let counted = |case: &Case| {
                runs += 1;
                fails(case)
            };
            let shrunk = shrink(case(), 45, runs_max, counted, |_| ControlFlow::Continue(()));
            assert_eq!((shrunk.runs, runs), (runs_max, runs_max));
            assert_eq!(fails(&shrunk.case), Some(shrunk.failure));
        }
    }

    #[test]
    fn whoever_is_told_may_stop() {
        let mut told = Vec::new();
        let shrunk = shrink(case(), 45, RUNS_MAX, fails, |best| {
            told.push(best.runs);
            if best.runs == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(shrunk.runs, 10);
        assert_eq!(told, (0..=10).collect::<Vec<_>>());
    }

    #[test]
    fn case_that_needs_all_it_has_stays() {
        let whole = case();
        let shrunk =
            shrink(whole.clone(), (), RUNS_MAX, |case| (*case == whole).then_some(()), |_| ControlFlow::Continue(()));
        assert_eq!(shrunk.case, whole);
    }
}
