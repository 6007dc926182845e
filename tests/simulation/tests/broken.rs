//! The simulation catches each deliberately broken engine, and the intact engine passes the same seed.
//!
//! ```sh
//! tests/run simulation
//! ```
//!
//! Only these tests show that the checks of quiescence and progress can fail. `checks` violates the other invariants by
//! hand.

#![cfg(feature = "broken")]
#![allow(clippy::unwrap_used)]

use engine::broken::{Broken, set};
use simulation::checks::Violation;
use simulation::faults::Faults;
use simulation::{Case, simulate};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The last seed, from seed 1 on, by which each broken engine must be caught.
const SEEDS_MAX: &[(Broken, u64)] = &[
    (Broken::InputsFirst, 500),
    (Broken::SkipEqual, 600),
    (Broken::AcknowledgeFirst, 50),
    (Broken::ConflictCountsAsSuccess, 3000),
    (Broken::StaleCache, 100),
    (Broken::EarlyCheckpoint, 600),
    (Broken::IndexLate, 100),
    (Broken::NoUnion, 100),
    (Broken::NoLookAgain, 1500),
    (Broken::NoVersionRule, 600),
    (Broken::NoGeneration, 600),
    (Broken::NoFence, 1000),
    (Broken::NoFilterOfOwnRows, 100),
    (Broken::RegistersWritesOnly, 500),
    (Broken::ReadsOnlyCompacted, 100),
    (Broken::WithdrawalNeedsValidRecord, 100),
    (Broken::OwnersAmongEligibleOnly, 600),
];
const THREADS: usize = 2;

fn violation(seed: u64) -> Option<Violation> {
    simulate(&Case::of(seed, &Faults::all())).unwrap().violations.into_iter().next()
}

/// The first seed that catches a broken engine, and the violation.
fn caught(broken: Broken, seeds_max: u64) -> Option<(u64, Violation)> {
    set(Some(broken));
    let caught = (1..=seeds_max).find_map(|seed| Some((seed, violation(seed)?)));
    set(None);
    caught
}

#[test]
fn every_broken_engine_has_a_seed_limit() {
    assert_eq!(SEEDS_MAX.iter().map(|(broken, ..)| *broken).collect::<Vec<_>>(), Broken::ALL);
}

#[test]
fn broken_engines_are_caught_and_the_intact_engine_passes() {
    let (next, results) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (next, results) = (next.clone(), results.clone());
            // The engine is broken per thread.
            let work = move || {
                while let Some((broken, seeds_max)) = SEEDS_MAX.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (message, passed) = judge(*broken, *seeds_max);
                    println!("{message}");
                    results.lock().unwrap().push((*broken, message, passed));
                }
            };
            std::thread::Builder::new().spawn(work).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut results = results.lock().unwrap();
    results.sort_by_key(|(broken, ..)| SEEDS_MAX.iter().position(|(other, ..)| other == broken));
    println!("\n{}", results.iter().map(|(_, message, _)| message.as_str()).collect::<Vec<_>>().join("\n"));
    let wrong: Vec<_> = results.iter().filter(|(_, _, passed)| !passed).map(|(_, message, _)| message).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(results.len(), SEEDS_MAX.len());
}

/// Tests one broken engine: a message, and whether the test passes.
fn judge(broken: Broken, seeds_max: u64) -> (String, bool) {
    let Some((seed, Violation { invariant, .. })) = caught(broken, seeds_max) else {
        return (format!("{broken:?}: not caught within {seeds_max} seeds"), false);
    };
    match violation(seed) {
        None => (format!("{broken:?}: caught by seed {seed} (of {seeds_max} at most), {invariant}"), true),
        Some(also) => {
            (format!("{broken:?}: seed {seed} violates {invariant}, but the intact engine fails too: {also}"), false)
        }
    }
}
