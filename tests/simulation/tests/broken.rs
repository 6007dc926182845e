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

/// The seed from which each broken engine is searched, and the number of seeds by which it must be caught. A rare one is
/// searched shortly before the first seed that catches it.
const SEEDS: &[(Broken, u64, u64)] = &[
    (Broken::InputsFirst, 1, 500),
    (Broken::SkipEqual, 1, 600),
    (Broken::AcknowledgeFirst, 1, 50),
    (Broken::ConflictCountsAsSuccess, 1001, 500),
    (Broken::StaleCache, 1, 100),
    (Broken::EarlyCheckpoint, 1, 600),
    (Broken::IndexLate, 1, 100),
    (Broken::NoUnion, 1, 100),
    (Broken::NoLookAgain, 1, 1500),
    (Broken::NoVersionRule, 1, 600),
    (Broken::NoGeneration, 1, 600),
    (Broken::NoFence, 2001, 500),
    (Broken::NoFilterOfOwnRows, 1, 100),
    (Broken::RegistersWritesOnly, 1, 500),
    (Broken::ReadsOnlyCompacted, 1, 100),
    (Broken::WithdrawalNeedsValidRecord, 1, 100),
    (Broken::OwnersAmongEligibleOnly, 1, 600),
];
const THREADS: usize = 2;

fn violation(seed: u64) -> Option<Violation> {
    simulate(&Case::of(seed, &Faults::all())).unwrap().violations.into_iter().next()
}

/// The first seed that catches a broken engine, and the violation.
fn caught(broken: Broken, first: u64, count: u64) -> Option<(u64, Violation)> {
    set(Some(broken));
    let caught = (first..first + count).find_map(|seed| Some((seed, violation(seed)?)));
    set(None);
    caught
}

#[test]
fn every_broken_engine_has_its_seeds() {
    assert_eq!(SEEDS.iter().map(|(broken, ..)| *broken).collect::<Vec<_>>(), Broken::ALL);
}

#[test]
fn broken_engines_are_caught_and_the_intact_engine_passes() {
    let (next, results) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (next, results) = (next.clone(), results.clone());
            // The engine is broken per thread.
            let work = move || {
                while let Some((broken, first, count)) = SEEDS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (message, passed) = judge(*broken, *first, *count);
                    println!("{message}");
                    results.lock().unwrap().push((*broken, message, passed));
                }
            };
            std::thread::Builder::new().spawn(work).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut results = results.lock().unwrap();
    results.sort_by_key(|(broken, ..)| SEEDS.iter().position(|(other, ..)| other == broken));
    println!("\n{}", results.iter().map(|(_, message, _)| message.as_str()).collect::<Vec<_>>().join("\n"));
    let wrong: Vec<_> = results.iter().filter(|(_, _, passed)| !passed).map(|(_, message, _)| message).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(results.len(), SEEDS.len());
}

/// Tests one broken engine: a message, and whether the test passes.
fn judge(broken: Broken, first: u64, count: u64) -> (String, bool) {
    let Some((seed, Violation { invariant, .. })) = caught(broken, first, count) else {
        return (format!("{broken:?}: not caught within {count} seeds from {first} on"), false);
    };
    match violation(seed) {
        None => (format!("{broken:?}: caught by seed {seed} (within {count} from {first} on), {invariant}"), true),
        Some(also) => {
            (format!("{broken:?}: seed {seed} violates {invariant}, but the intact engine fails too: {also}"), false)
        }
    }
}
