//! The same seed gives the same run, also beside other runs, and no seed violates an invariant.

#![allow(clippy::unwrap_used)]

use model::table::Table;
use simulation::faults::{Faults, Kind, Statistics};
use simulation::{Case, Outcome, simulate};
use std::collections::BTreeSet;
use topology::access::Access;

fn run(seed: u64, faults: &Faults) -> Outcome {
    simulate(&Case::of(seed, faults)).unwrap()
}

fn in_thread(work: impl FnOnce() -> Vec<Outcome> + Send + 'static) -> std::thread::JoinHandle<Vec<Outcome>> {
    std::thread::Builder::new().spawn(work).unwrap()
}

#[test]
fn same_seed_gives_the_same_run() {
    const SEEDS: std::ops::Range<u64> = 1..9;
    let faults = Faults::all();
    let first: Vec<Outcome> = SEEDS.map(|seed| run(seed, &faults)).collect();
    // In two other threads at the same time; one of them runs the seeds backwards, with other seeds in between.
    let forwards = in_thread(|| SEEDS.map(|seed| run(seed, &Faults::all())).collect());
    let backwards = in_thread(|| {
        let among_others = |seed| {
            run(1_000 + seed, &Faults::all());
            run(seed, &Faults::all())
        };
        SEEDS.rev().map(among_others).collect()
    });
    let forwards = forwards.join().unwrap();
    let mut backwards = backwards.join().unwrap();
    backwards.reverse();
    for (i, outcome) in first.iter().enumerate() {
        let seed = SEEDS.start + i as u64;
        assert!(outcome.trace.lines().len() > 100, "seed {seed} does very little");
        for other in [&forwards[i], &backwards[i]] {
            let both = outcome.trace.lines().iter().zip(other.trace.lines());
            if let Some((line, other)) = both.into_iter().find(|(line, other)| line != other) {
                panic!("seed {seed}: the traces differ\n{line}\n{other}");
            }
            assert_eq!(outcome.trace.digest(), other.trace.digest(), "seed {seed}");
            assert_eq!(outcome, other, "seed {seed}");
        }
    }
}

#[test]
fn other_seeds_give_other_runs() {
    let digests = (1..20).map(|seed| run(seed, &Faults::all()).trace.digest());
    assert_eq!(digests.collect::<BTreeSet<_>>().len(), 19);
}

/// Asserts that some run needs every permission of a role. The invariant `access` shows that none is missing.
fn assert_roles_grant_only_needed_permissions(statistics: &Statistics) {
    for table in Table::DERIVED {
        let access = Access::of(table);
        let named = |action, what: &BTreeSet<String>| what.iter().map(|w| (action, w.clone())).collect::<BTreeSet<_>>();
        let mut granted = named("read", &(&access.reads | &access.landing));
        granted.append(&mut named("write", &access.writes));
        granted.append(&mut named("list", &access.lists));
        granted.append(&mut named("delete", &access.deletes));
        if access.registers_partitions {
            granted.insert(("register", table.name().to_owned()));
        }
        let mut needed = statistics.permissions[&table].clone();
        if table == Table::StepTrainerTrusted {
            // The two functions for readings share the code for their state, and few step trainer files are large
            // enough to need all of it.
            let others = &statistics.permissions[&Table::AccelerometerTrusted];
            let is_needed_by_other = |(action, what): &(&'static str, String)| {
                let other = (*action, what.replace("step_trainer", "accelerometer"));
                what.starts_with("_state/") && others.contains(&other)
            };
            needed.extend(granted.iter().filter(|permission| is_needed_by_other(permission)).cloned());
        }
        assert_eq!(needed, granted, "{table}");
    }
}

#[test]
fn no_invariant_is_violated_in_200_runs() {
    // In two threads, because it takes long.
    let half = |seeds: std::ops::RangeInclusive<u64>| {
        in_thread(move || {
            let checked = |seed| {
                let outcome = run(seed, &Faults::all());
                assert_eq!(outcome.violations, [], "stedi simulate --seed {seed} --runs 1 --trace");
                outcome
            };
            seeds.map(checked).collect()
        })
    };
    let halves = [half(1..=100), half(101..=200)];
    let mut statistics = Statistics::default();
    for outcome in halves.into_iter().flat_map(|half| half.join().unwrap()) {
        statistics.add(&outcome.statistics);
    }
    for kind in Kind::ALL {
        assert!(statistics.faults.contains_key(&kind), "{kind} never occurs");
    }
    assert_roles_grant_only_needed_permissions(&statistics);
    assert!(statistics.comparisons >= 200 && statistics.writes > statistics.comparisons, "{statistics:?}");
}

#[test]
fn no_invariant_is_violated_without_faults() {
    let none: Faults = "none".parse().unwrap();
    for seed in 1..=30 {
        let outcome = run(seed, &none);
        assert_eq!(outcome.violations, [], "stedi simulate --seed {seed} --runs 1 --trace --faults none");
        assert!(outcome.statistics.faults.is_empty(), "seed {seed}: {:?}", outcome.statistics);
    }
}

#[test]
fn only_selected_kinds_occur() {
    for kind in Kind::ALL {
        for seed in 1..=10 {
            let outcome = run(seed, &Faults([kind].into()));
            assert_eq!(outcome.violations, [], "stedi simulate --seed {seed} --runs 1 --trace --faults {kind}");
            assert!(
                outcome.statistics.faults.keys().all(|other| *other == kind),
                "{kind}: {:?}",
                outcome.statistics.faults
            );
        }
    }
}

#[test]
fn faults_round_trip_as_text() {
    for text in ["all", "none", "kill", "duplicate,stall"] {
        assert_eq!(text.parse::<Faults>().unwrap().to_string(), text);
    }
    for text in ["", "kill,", "kil", "All"] {
        let message = text.parse::<Faults>().unwrap_err().to_string();
        assert!(Kind::ALL.iter().all(|kind| message.contains(kind.name())), "{text:?}: {message}");
    }
}

#[test]
fn cases_round_trip_as_json() {
    for seed in 1..=50 {
        let case = Case::of(seed, &Faults::all());
        let json = serde_json::to_string_pretty(&case).unwrap();
        assert_eq!(serde_json::from_str::<Case>(&json).unwrap(), case);
    }
}
