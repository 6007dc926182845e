//! The simulation would notice: each deliberately broken engine is caught, and the mended one passes the same seed.
//!
//! ```sh
//! tests/run simulation
//! ```
//!
//! Laws that only the simulator itself can see broken, quiescence and progress, are shown to fail here alone; `checks`
//! breaks the others by hand.

#![cfg(feature = "broken")]
#![allow(clippy::unwrap_used)]

use derivation::broken::{Broken, set};
use lake::policy::ConsentPolicy;
use simulation::checks::Violation;
use simulation::faults::Faults;
use simulation::scenario::{Content, Landing, Line, Motion, Record, Research, Scenario};
use simulation::{Case, simulate};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Within how many seeds, from 1 on, each must be caught.
const SEEDS_MAX: &[(Broken, Lands, u64)] = &[
    (Broken::Unconditional, Lands::Anything, 2000),
    (Broken::InputsFirst, Lands::Anything, 2000),
    (Broken::NoRecheck, Lands::Anything, 2000),
    (Broken::NoMark, Lands::Anything, 2000),
    (Broken::AnnounceLate, Lands::Anything, 2000),
    (Broken::EarlyCursor, Lands::Anything, 2000),
    (Broken::AcknowledgeFirst, Lands::Anything, 2000),
    (Broken::OwnWriteIsAnothers, Lands::Anything, 2000),
    (Broken::StaleAnnouncement, Lands::Anything, 2000),
    (Broken::PropagatesUnannounced, Lands::This(there_and_back), 4000),
    (Broken::NoMarkOfVersion, Lands::This(corrected), 4000),
    (Broken::RegistersWritesOnly, Lands::Anything, 2000),
    (Broken::NeverRecounts, Lands::Anything, 2000),
    (Broken::TrustsItsCache, Lands::Anything, 2000),
];

/// What lands. Most engines are caught by anything; where four things have to come together, only what happens is drawn.
#[derive(Clone, Copy)]
enum Lands {
    Anything,
    This(fn() -> Scenario),
}

fn record(name: &str, device: u8, since: i64) -> Line {
    let research = Research::Since(since);
    let (updated, registered) = (Some(-since), Some(0));
    Line::Customer(Record { name: name.into(), phone: 0, device: Some(device), registered, updated, research })
}

fn motion(name: &str, number: i32) -> Line {
    Line::Motion(Motion { name: name.into(), time: 14 * 3_600_000, number })
}

fn scenario(landings: Vec<(u64, &str, Vec<Line>)>) -> Scenario {
    let landing = |(at_ms, key, lines)| Landing { at_ms, key: String::from(key), content: Content::Lines(lines) };
    let phases = vec![landings.into_iter().map(landing).collect()];
    Scenario { policy: ConsentPolicy::AtReading, customer_shards: 1, phases }
}

/// A reading lands before its customer, and is corrected away while the customer's consent reaches it; another consent
/// moves the cursor on.
fn corrected() -> Scenario {
    scenario(vec![
        (0, "accelerometer/landing/a.json", vec![motion("ann", 1)]),
        (500, "customer/landing/c.json", vec![record("ann", 1, -1)]),
        (60_000, "accelerometer/landing/a.json", vec![motion("eve", 2)]),
        (60_100, "customer/landing/d.json", vec![record("bob", 2, -1)]),
    ])
}

/// A file is replaced and put back while a change of consent reaches it; another consent moves the cursor on.
fn there_and_back() -> Scenario {
    scenario(vec![
        (0, "customer/landing/c.json", vec![record("ann", 1, -1)]),
        (0, "accelerometer/landing/a.json", vec![motion("ann", 1)]),
        (20_000, "customer/landing/c.json", vec![record("ann", 1, -2)]),
        (20_000, "accelerometer/landing/a.json", vec![motion("ann", 1), motion("ann", 2)]),
        (80_000, "accelerometer/landing/a.json", vec![motion("ann", 1)]),
        (80_100, "customer/landing/d.json", vec![record("bob", 2, -1)]),
    ])
}

const THREADS: usize = 2;

fn violation(lands: Lands, seed: u64) -> Option<Violation> {
    let case = match lands {
        Lands::Anything => Case::of(seed, &Faults::all()),
        Lands::This(scenario) => Case { scenario: scenario(), faults: Faults::all(), schedule: seed },
    };
    simulate(&case).unwrap().violations.into_iter().next()
}

/// The first seed that catches a broken engine.
fn caught(broken: Broken, lands: Lands, seeds_max: u64) -> Option<(u64, Violation)> {
    set(Some(broken));
    let caught = (1..=seeds_max).find_map(|seed| Some((seed, violation(lands, seed)?)));
    set(None);
    caught
}

#[test]
fn all_broken_engines_have_a_maximum() {
    assert_eq!(SEEDS_MAX.iter().map(|(broken, ..)| *broken).collect::<Vec<_>>(), Broken::ALL);
}

#[test]
fn broken_engines_are_caught_and_the_mended_one_passes() {
    let (next, results) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (next, results) = (next.clone(), results.clone());
            // Which engine is broken is told by thread.
            let work = move || {
                while let Some((broken, lands, seeds_max)) = SEEDS_MAX.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (told, well) = judge(*broken, *lands, *seeds_max);
                    println!("{told}");
                    results.lock().unwrap().push((*broken, told, well));
                }
            };
            std::thread::Builder::new().spawn(work).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut results = results.lock().unwrap();
    results.sort_by_key(|(broken, ..)| SEEDS_MAX.iter().position(|(other, ..)| other == broken));
    println!("\n{}", results.iter().map(|(_, told, _)| told.as_str()).collect::<Vec<_>>().join("\n"));
    let wrong: Vec<_> = results.iter().filter(|(_, _, well)| !well).map(|(_, told, _)| told).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(results.len(), SEEDS_MAX.len());
}

/// What is to be told of a broken engine, and whether all is well.
fn judge(broken: Broken, lands: Lands, seeds_max: u64) -> (String, bool) {
    let Some((seed, Violation { law, .. })) = caught(broken, lands, seeds_max) else {
        return (format!("{broken:?}: not caught within {seeds_max} seeds"), false);
    };
    match violation(lands, seed) {
        None => (format!("{broken:?}: caught by seed {seed} (of {seeds_max} at most), {law}"), true),
        Some(also) => (format!("{broken:?}: seed {seed} breaks {law}, but when mended too: {also}"), false),
    }
}
