//! Kinds of faults, how often they occur in one run, and statistics.

use fastrand::Rng;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An event is delivered more than once, at the same time or hours later.
    Duplicate,
    /// Events overtake each other.
    Reorder,
    /// An event is hours late.
    Delay,
    /// A function is killed before or after one of its requests is carried out.
    Kill,
    /// A function stalls for minutes before one of its requests. After fifteen minutes in all it is killed.
    Stall,
    /// A request is carried out, but its response is lost, so the client sends it again.
    LostResponse,
    /// A request times out without being carried out.
    TimeOut,
    /// S3 answers 503 SlowDown.
    SlowDown,
    /// S3 answers a conditional put with 409 ConditionalRequestConflict.
    Conflict,
    /// Glue answers ThrottlingException.
    Throttle,
    /// Glue answers ConcurrentModificationException.
    ConcurrentModification,
    /// Glue answers 200, with an error for one of the partitions.
    PartitionError,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::Kill,
        Self::Stall,
        Self::LostResponse,
        Self::TimeOut,
        Self::SlowDown,
        Self::Conflict,
        Self::Throttle,
        Self::ConcurrentModification,
        Self::PartitionError,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::Kill => "kill",
            Self::Stall => "stall",
            Self::LostResponse => "lost-response",
            Self::TimeOut => "time-out",
            Self::SlowDown => "slow-down",
            Self::Conflict => "conflict",
            Self::Throttle => "throttle",
            Self::ConcurrentModification => "concurrent-modification",
            Self::PartitionError => "partition-error",
        }
    }

    /// When an injected fault counts as having made a difference.
    pub fn matters_when(self) -> &'static str {
        match self {
            Self::Duplicate => {
                "the second delivery wrote something, or another invocation of the function ran at the same time"
            }
            Self::Reorder => "the function used the object whose event was overtaken",
            Self::Delay => "the object was replaced before its event was delivered",
            Self::Kill => "the killed function had written something already",
            Self::Stall => "an object that the function had read, or was about to write, changed meanwhile",
            Self::LostResponse => "the repeated put was refused with 412 because of the function's own write",
            Self::TimeOut
            | Self::Conflict
            | Self::SlowDown
            | Self::Throttle
            | Self::ConcurrentModification
            | Self::PartitionError => "retries did not help, and the event was delivered again",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The kinds that may occur in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(pub BTreeSet<Kind>);

impl Faults {
    /// All kinds.
    pub fn all() -> Self {
        Self(Kind::ALL.into())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","))
    }
}

/// A text that does not name kinds of faults.
#[derive(Debug, thiserror::Error)]
#[error("{given:?} is not a kind of fault: expected all, none, or kinds separated by commas: {}", names())]
pub struct UnknownFault {
    given: String,
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self(BTreeSet::new())),
            _ => {}
        }
        let kind = |name: &str| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
            kind.ok_or_else(|| UnknownFault { given: name.to_owned() })
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

/// How often each fault occurs in one run. It is drawn once per run, so that runs differ in character.
#[derive(Clone, Debug)]
pub struct FaultProfile {
    faults: Faults,
    /// Faults of single requests: their probability, and how many may still occur.
    request: f64,
    request_left: u32,
    stall: f64,
    stalls_left: u32,
    /// Targeted stalls: each counts down the puts of derived objects until a function stalls before one.
    targeted_stalls: Vec<u32>,
    duplicate: f64,
    late: f64,
    jitter_ms: u64,
    slowness: &'static [u64],
    /// The most invocations of one function at a time.
    pub concurrency: usize,
    /// The most events of one invocation.
    pub batch: usize,
    /// The probability that an instance stays warm after an invocation.
    pub warm: f64,
}

impl FaultProfile {
    /// Draws the fault profile of a run.
    pub fn draw(rng: &mut Rng, faults: &Faults) -> Self {
        let has = |kind| faults.0.contains(&kind);
        let calm = rng.u8(..10) == 0;
        let scale = |value: f64| if calm { 0.0 } else { value };
        Self {
            request: scale(pick(rng, &[0.005, 0.02, 0.06])),
            request_left: rng.u32(1..=25),
            stall: if has(Kind::Stall) { scale(pick(rng, &[0.0, 0.01, 0.05])) } else { 0.0 },
            stalls_left: rng.u32(1..=8),
            targeted_stalls: if has(Kind::Stall) {
                (0..rng.usize(..=4)).map(|_| rng.u32(..25)).collect()
            } else {
                Vec::new()
            },
            duplicate: if has(Kind::Duplicate) { pick(rng, &[0.0, 0.1, 0.4]) } else { 0.0 },
            late: if has(Kind::Delay) { pick(rng, &[0.0, 0.03, 0.15]) } else { 0.0 },
            jitter_ms: if has(Kind::Reorder) { pick(rng, &[3, 100, 4_000]) } else { 0 },
            // With one speed, all invocations take turns. With several, fast ones overtake slow ones many times.
            slowness: pick(rng, &[&[1], &[1, 3, 10], &[1, 30, 1_000]]),
            concurrency: pick(rng, &[1, 4, 8]),
            batch: pick(rng, &[1, 3, 10]),
            warm: pick(rng, &[0.0, 0.7, 1.0]),
            faults: faults.clone(),
        }
    }

    /// The profile without faults, with events in order.
    pub fn calm() -> Self {
        Self {
            faults: Faults(BTreeSet::new()),
            request: 0.0,
            request_left: 0,
            stall: 0.0,
            stalls_left: 0,
            targeted_stalls: Vec::new(),
            duplicate: 0.0,
            late: 0.0,
            jitter_ms: 0,
            slowness: &[1],
            concurrency: 4,
            batch: 10,
            warm: 1.0,
        }
    }

    /// Whether a kind may occur at all.
    pub fn has(&self, kind: Kind) -> bool {
        self.faults.0.contains(&kind)
    }

    /// Draws the factor by which an invocation is slower than others for now.
    pub fn slowness(&self, rng: &mut Rng) -> u64 {
        pick(rng, self.slowness)
    }

    /// Draws a fault for a request, one of `possible`. A higher `weight` makes a fault more likely.
    pub fn fault(&mut self, rng: &mut Rng, possible: &[Kind], weight: f64) -> Option<Kind> {
        let possible: Vec<Kind> = possible.iter().copied().filter(|kind| self.has(*kind)).collect();
        if possible.is_empty() || self.request_left == 0 || rng.f64() >= self.request * weight {
            return None;
        }
        self.request_left -= 1;
        Some(pick(rng, &possible))
    }

    /// Draws for how many milliseconds the function stalls before a request.
    pub fn stall_ms(&mut self, rng: &mut Rng, weight: f64) -> Option<u64> {
        if self.stalls_left == 0 || rng.f64() >= self.stall * weight {
            return None;
        }
        self.stalls_left -= 1;
        Some(pick(rng, &[1_000, 60_000, 400_000, 840_000]))
    }

    /// Draws for how many milliseconds a function stalls before a put of a derived object: long enough for other
    /// functions to finish their work on files that are uploaded meanwhile.
    pub fn targeted_stall_ms(&mut self, rng: &mut Rng) -> Option<u64> {
        let due = self.targeted_stalls.iter().position(|left| *left == 0);
        self.targeted_stalls.iter_mut().for_each(|left| *left = left.saturating_sub(1));
        self.targeted_stalls.swap_remove(due?);
        Some(pick(rng, &[100_000, 300_000, 800_000]))
    }

    /// Draws when the event of a stored object is delivered: several times, if it is duplicated.
    pub fn deliveries(&self, rng: &mut Rng) -> Vec<Arrival> {
        let mut arrivals = vec![self.arrival(rng)];
        while arrivals.len() < 3 && rng.f64() < self.duplicate {
            arrivals.push(Arrival { duplicate: true, ..self.arrival(rng) });
        }
        arrivals
    }

    fn arrival(&self, rng: &mut Rng) -> Arrival {
        let late = rng.f64() < self.late;
        let after_ms = if late { rng.u64(3_600_000..5 * 3_600_000) } else { 1 + rng.u64(0..=self.jitter_ms) };
        Arrival { after_ms, late, duplicate: false }
    }
}

/// When an event is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Milliseconds after the object was stored.
    pub after_ms: u64,
    /// Whether it is hours late.
    pub late: bool,
    /// Whether it is a further delivery of the same event.
    pub duplicate: bool,
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// The statistics of a run, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Kind → how often it was injected, and how often it made a difference.
    pub faults: BTreeMap<Kind, (u64, u64)>,
    /// Invocations of functions.
    pub invocations: u64,
    /// Requests of functions.
    pub requests: u64,
    /// Objects stored by functions; the invariants of single objects were checked after each.
    pub writes: u64,
    /// How often the run came to rest and the whole lake was compared.
    pub comparisons: u64,
    /// Function → the permissions that it used: the action, and the prefix, key or table.
    pub permissions: BTreeMap<Table, BTreeSet<(&'static str, String)>>,
}

impl Statistics {
    /// Counts a fault that was injected.
    pub fn injected(&mut self, kind: Kind) {
        self.faults.entry(kind).or_default().0 += 1;
    }

    /// Counts a fault that made a difference.
    pub fn mattered(&mut self, kind: Kind) {
        self.faults.entry(kind).or_default().1 += 1;
    }

    /// Adds the statistics of another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, (injected, mattered)) in &other.faults {
            let sum = self.faults.entry(*kind).or_default();
            sum.0 += injected;
            sum.1 += mattered;
        }
        self.invocations += other.invocations;
        self.requests += other.requests;
        self.writes += other.writes;
        self.comparisons += other.comparisons;
        for (function, used) in &other.permissions {
            self.permissions.entry(*function).or_default().extend(used.iter().cloned());
        }
    }
}
