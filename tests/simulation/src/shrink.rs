//! Makes a failing case smaller: fewer uploads, fewer lines, plainer records, fewer kinds of faults.
//!
//! Removing a part changes everything that happens afterwards, so a smaller case may need another schedule to fail.
//! Each case is tried with the schedule that failed last, and then with some new ones.

use crate::checks::{Invariant, Violation};
use crate::scenario::{Content, Line, Research, Upload};
use crate::{Case, simulate};
use fastrand::Rng;
use model::lake_config::Pairs;
use model::slice::SlicesPerHour;
use std::ops::{ControlFlow, Range};

/// How many runs a search takes at most.
pub const RUNS_MAX: u32 = 1_000;
/// With how many new schedules a smaller case is tried.
const SCHEDULES: u32 = 8;

/// A failing case and its failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk<F> {
    /// The smallest failing case that was found.
    pub case: Case,
    /// How it fails.
    pub failure: F,
    /// How many runs the search took.
    pub runs: u32,
}

/// Runs `case` and returns its violation of `invariant`, if there is one. [`shrink`] calls this for each case.
pub fn violation_of(case: &Case, invariant: Invariant) -> Option<Violation> {
    // An error of this machine says nothing about the case.
    simulate(case).ok()?.violations.into_iter().find(|violation| violation.invariant == invariant)
}

/// Makes a failing case smaller. `fails` returns the failure of a case; it is called `runs_max` times at most.
///
/// `go_on` gets the best case before each call, and may stop the search.
pub fn shrink<F>(
    case: Case,
    failure: F,
    runs_max: u32,
    fails: impl FnMut(&Case) -> Option<F>,
    go_on: impl FnMut(&Shrunk<F>) -> ControlFlow<()>,
) -> Shrunk<F> {
    let rng = Rng::with_seed(case.schedule);
    let mut search = Search { best: Shrunk { case, failure, runs: 0 }, runs_max, rng, fails, go_on };
    // A search that is stopped returns the best case so far.
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

/// A kind of part of which a case has several.
struct Part {
    count: fn(&Case) -> usize,
    remove: fn(&mut Case, Range<usize>),
}

/// The parts to remove, largest first.
const PARTS: [Part; 9] = [
    Part { count: |case| case.scenario.phases.len(), remove: |case, range| drop(case.scenario.phases.drain(range)) },
    Part { count: |case| case.scenario.uploads().count(), remove: remove_uploads },
    Part { count: |case| case.scenario.uploads().map(|l| l.content.lines().len()).sum(), remove: remove_lines },
    Part { count: |case| count(case, respell), remove: |case, range| replace(case, range, respell) },
    Part { count: |case| count(case, repair), remove: |case, range| replace(case, range, repair) },
    Part { count: |case| count(case, say_plainly), remove: |case, range| replace(case, range, say_plainly) },
    Part { count: |case| case.faults.0.len(), remove: remove_faults },
    // The default is the plainer rule.
    Part {
        count: |case| usize::from(case.scenario.pairs != Pairs::SameInstant),
        remove: |case, _| case.scenario.pairs = Pairs::SameInstant,
    },
    Part {
        count: |case| usize::from(case.scenario.slices_per_hour != SlicesPerHour::default()),
        remove: |case, _| case.scenario.slices_per_hour = SlicesPerHour::default(),
    },
];

impl<F, Fails, GoOn> Search<F, Fails, GoOn>
where
    Fails: FnMut(&Case) -> Option<F>,
    GoOn: FnMut(&Shrunk<F>) -> ControlFlow<()>,
{
    /// Tries to remove every part once, in ever smaller chunks. Returns whether it removed any.
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

fn remove_uploads(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    for phase in &mut case.scenario.phases {
        phase.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
    }
    // A phase without uploads does nothing.
    case.scenario.phases.retain(|phase| !phase.is_empty());
}

/// Removes lines, but keeps the files: an empty version replaces the version before.
fn remove_lines(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    for Upload { content, .. } in case.scenario.phases.iter_mut().flatten() {
        if let Content::Lines(lines) = content {
            lines.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
        }
    }
}

/// Returns a plainer line; none if it is plain already.
type Plainer = fn(&Line) -> Option<Line>;

/// How many lines could be plainer.
fn count(case: &Case, plainer: Plainer) -> usize {
    case.scenario.uploads().flat_map(|upload| upload.content.lines()).filter_map(plainer).count()
}

/// Makes those of the lines plainer that could be plainer.
fn replace(case: &mut Case, range: Range<usize>, plainer: Plainer) {
    let mut number = 0..;
    for Upload { content, .. } in case.scenario.phases.iter_mut().flatten() {
        let Content::Lines(lines) = content else { continue };
        for line in lines {
            if let Some(plain) = plainer(line)
                && number.next().is_some_and(|n| range.contains(&n))
            {
                *line = plain;
            }
        }
    }
}

/// Spells email and serial number as they are.
fn respell(line: &Line) -> Option<Line> {
    let mut plain = line.clone();
    let spelling = match &mut plain {
        Line::Customer(record) => &mut record.spelling,
        Line::Motion(motion) => &mut motion.spelling,
        Line::Step(step) => &mut step.spelling,
        Line::Broken(_) => return None,
    };
    (std::mem::take(spelling) != 0).then_some(plain)
}

/// Makes all fields but the consent valid.
fn repair(line: &Line) -> Option<Line> {
    let mut plain = line.clone();
    let Line::Customer(record) = &mut plain else { return None };
    record.spoiled.take().map(|_| plain)
}

/// Says in the plainest way that there is no consent, or that it cannot be read.
fn say_plainly(line: &Line) -> Option<Line> {
    let mut plain = line.clone();
    let Line::Customer(record) = &mut plain else { return None };
    record.research = match record.research {
        Research::Null | Research::Zero | Research::ZeroText | Research::False | Research::Empty | Research::Blank => {
            Research::Absent
        }
        Research::Twice | Research::Ahead | Research::Seconds => Research::Text,
        Research::Absent | Research::Since(_) | Research::Text => return None,
    };
    Some(plain)
}

fn remove_faults(case: &mut Case, range: Range<usize>) {
    let mut number = 0..;
    case.faults.0.retain(|_| !number.next().is_some_and(|n| range.contains(&n)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Faults, Kind};
    use crate::scenario::{Record, Scenario, Spoiled};
    use model::lake_config::ConsentPolicy;

    /// Nine uploads in three phases, with lines "0" to "44".
    fn case() -> Case {
        let upload = |i: u64| {
            let lines = (5 * i..5 * i + 5).map(|line| Line::Broken(line.to_string())).collect();
            Upload { at_ms: i, key: format!("customer/landing/{i}.json"), content: Content::Lines(lines) }
        };
        let phases = (0..3).map(|phase| (3 * phase..3 * phase + 3).map(upload).collect()).collect();
        let (policy, pairs) = (ConsentPolicy::Ever, Pairs::SameCustomer);
        let slices_per_hour = SlicesPerHour::try_from(4).unwrap();
        let scenario = Scenario { policy, pairs, slices_per_hour, customer_shards: 1, small_index: false, phases };
        Case { scenario, faults: Faults::all(), schedule: 7 }
    }

    fn lines(case: &Case) -> Vec<String> {
        case.scenario.uploads().flat_map(|upload| upload.content.lines()).map(Line::text).collect()
    }

    /// Fails if both lines are uploaded, functions may be killed, and the schedule is unlucky.
    fn fails(case: &Case) -> Option<usize> {
        let lines = lines(case);
        let has = |line: &str| lines.iter().any(|other| other == line);
        let unlucky = case.schedule % 3 == 1;
        (has("13") && has("31") && case.faults.0.contains(&Kind::Kill) && unlucky).then_some(lines.len())
    }

    #[test]
    fn irrelevant_parts_are_removed() {
        let shrunk = shrink(case(), 45, RUNS_MAX, fails, |_| ControlFlow::Continue(()));
        assert_eq!(lines(&shrunk.case), ["13", "31"]);
        assert_eq!(shrunk.case.scenario.uploads().count(), 2);
        assert_eq!(shrunk.case.scenario.phases.len(), 2);
        assert_eq!(shrunk.case.faults, Faults([Kind::Kill].into()));
        assert_eq!(shrunk.case.scenario.pairs, Pairs::SameInstant);
        assert_eq!(shrunk.case.scenario.slices_per_hour, SlicesPerHour::default());
        assert_eq!(shrunk.failure, 2, "the failure is that of the smallest case");
        assert_eq!(fails(&shrunk.case), Some(2));
        assert!(shrunk.runs < RUNS_MAX, "{} runs", shrunk.runs);
    }

    #[test]
    fn records_become_plain_unless_the_failure_needs_it() {
        let record = Record {
            name: "ann".to_owned(),
            spelling: 3,
            phone: 0,
            device: None,
            registered: None,
            updated: None,
            research: Research::Twice,
            spoiled: Some(Spoiled::Phone),
        };
        let mut whole = case();
        let content = Content::Lines(vec![Line::Customer(record.clone())]);
        whole.scenario.phases = vec![vec![Upload { at_ms: 0, key: "customer/landing/0.json".to_owned(), content }]];
        let records = |case: &Case| -> Vec<Record> {
            let lines = case.scenario.uploads().flat_map(|upload| upload.content.lines());
            let records = lines.filter_map(|line| match line {
                Line::Customer(record) => Some(record.clone()),
                _ => None,
            });
            records.collect()
        };
        let fails = |case: &Case| records(case).iter().any(|record| record.spoiled.is_some()).then_some(());
        let shrunk = shrink(whole, (), RUNS_MAX, fails, |_| ControlFlow::Continue(()));
        let plain = Record { spelling: 0, research: Research::Text, ..record };
        assert_eq!(records(&shrunk.case), [plain]);
    }

    #[test]
    fn search_is_deterministic() {
        let shrunk = || shrink(case(), 45, RUNS_MAX, fails, |_| ControlFlow::Continue(()));
        assert_eq!(shrunk(), shrunk());
    }

    #[test]
    fn number_of_runs_is_bounded_and_the_result_fails() {
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
    fn callback_may_stop_the_search() {
        let mut progress = Vec::new();
        let shrunk = shrink(case(), 45, RUNS_MAX, fails, |best| {
            progress.push(best.runs);
            if best.runs == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(shrunk.runs, 10);
        assert_eq!(progress, (0..=10).collect::<Vec<_>>());
    }

    #[test]
    fn minimal_case_stays_as_it_is() {
        let whole = case();
        let shrunk =
            shrink(whole.clone(), (), RUNS_MAX, |case| (*case == whole).then_some(()), |_| ControlFlow::Continue(()));
        assert_eq!(shrunk.case, whole);
    }
}
