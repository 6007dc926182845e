//! What can go wrong, and how often it does in one run.

use fastrand::Rng;
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A kind of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An event is delivered more than once, perhaps hours later, perhaps at the same time.
    Duplicate,
    /// Events overtake each other.
    Reorder,
    /// An event is hours late.
    Delay,
    /// A function is killed before or after one of its requests is carried out.
    Kill,
    /// A function stands still for minutes before one of its requests; after fifteen minutes in all it is killed.
    Stall,
    /// A request is carried out, but its response is lost: the client sends it again.
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

    /// When one that was injected counts as having mattered.
    pub fn matters_when(self) -> &'static str {
        match self {
            Self::Duplicate => "the second delivery wrote something, or ran beside another of its function",
            Self::Reorder => "the function then looked at the very object whose event was overtaken",
            Self::Delay => "the object had been replaced before its event came",
            Self::Kill => "the killed function had written something already",
            Self::Stall => "an object that the function had looked at, or was to write, changed meanwhile",
            Self::LostResponse => "the put sent again met the function's own write: 412",
            Self::TimeOut
            | Self::Conflict
            | Self::SlowDown
            | Self::Throttle
            | Self::ConcurrentModification
            | Self::PartitionError => "trying again did not help, and the event had to be delivered again",
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

/// A text that names no kinds of faults.
#[derive(Debug, thiserror::Error)]
#[error("{given:?} is no kind of fault; expected all, none, or some of {}, with commas between them", names())]
pub struct NoFaults {
    given: String,
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl FromStr for Faults {
    type Err = NoFaults;

    fn from_str(text: &str) -> Result<Self, NoFaults> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self(BTreeSet::new())),
            _ => {}
        }
        let kind = |name: &str| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
            kind.ok_or_else(|| NoFaults { given: name.to_owned() })
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

/// How often what happens in one run: drawn once, so that runs differ in kind and not only in luck.
#[derive(Clone, Debug)]
pub struct FaultProfile {
    faults: Faults,
    /// Faults of single requests: how likely, and how many may still come.
    request: f64,
    request_left: u32,
    stall: f64,
    stalls_left: u32,
    /// After how many puts of derived objects a function stands still before one, while others go on.
    ambushes: Vec<u32>,
    duplicate: f64,
    late: f64,
    spread_ms: u64,
    slowness: &'static [u64],
    /// The most invocations of one function at a time.
    pub concurrency: usize,
    /// The most events of one invocation.
    pub batch: usize,
    /// How likely an instance stays warm after an invocation.
    pub warm: f64,
}

impl FaultProfile {
    /// Draws the fault_profile of a run.
    pub fn draw(rng: &mut Rng, faults: &Faults) -> Self {
        let has = |kind| faults.0.contains(&kind);
        let calm = rng.u8(..10) == 0;
        let scale = |value: f64| if calm { 0.0 } else { value };
        Self {
            request: scale(pick(rng, &[0.005, 0.02, 0.06])),
            request_left: rng.u32(1..=25),
            stall: if has(Kind::Stall) { scale(pick(rng, &[0.0, 0.01, 0.05])) } else { 0.0 },
            stalls_left: rng.u32(1..=8),
            ambushes: if has(Kind::Stall) { (0..rng.usize(..=4)).map(|_| rng.u32(..25)).collect() } else { Vec::new() },
            duplicate: if has(Kind::Duplicate) { pick(rng, &[0.0, 0.1, 0.4]) } else { 0.0 },
            late: if has(Kind::Delay) { pick(rng, &[0.0, 0.03, 0.15]) } else { 0.0 },
            spread_ms: if has(Kind::Reorder) { pick(rng, &[3, 100, 4_000]) } else { 0 },
            // With one speed all invocations take turns; with many, some are overtaken again and again.
            slowness: pick(rng, &[&[1], &[1, 3, 10], &[1, 30, 1_000]]),
            concurrency: pick(rng, &[1, 4, 8]),
            batch: pick(rng, &[1, 3, 10]),
            warm: pick(rng, &[0.0, 0.7, 1.0]),
            faults: faults.clone(),
        }
    }

    /// No faults, and events in order.
    pub fn calm() -> Self {
        Self {
            faults: Faults(BTreeSet::new()),
            request: 0.0,
            request_left: 0,
            stall: 0.0,
            stalls_left: 0,
            ambushes: Vec::new(),
            duplicate: 0.0,
            late: 0.0,
            spread_ms: 0,
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

    /// How much slower than others an invocation is for now.
    pub fn slowness(&self, rng: &mut Rng) -> u64 {
        pick(rng, self.slowness)
    }

    /// What befalls a request of which `possible` may; `weight` says how interesting it is.
    pub fn fault(&mut self, rng: &mut Rng, possible: &[Kind], weight: f64) -> Option<Kind> {
        let possible: Vec<Kind> = possible.iter().copied().filter(|kind| self.has(*kind)).collect();
        if possible.is_empty() || self.request_left == 0 || rng.f64() >= self.request * weight {
            return None;
        }
        self.request_left -= 1;
        Some(pick(rng, &possible))
    }

    /// For how many milliseconds the function stands still before a request.
    pub fn stall_ms(&mut self, rng: &mut Rng, weight: f64) -> Option<u64> {
        if self.stalls_left == 0 || rng.f64() >= self.stall * weight {
            return None;
        }
        self.stalls_left -= 1;
        Some(pick(rng, &[1_000, 60_000, 400_000, 840_000]))
    }

    /// For how many milliseconds a function stands still before a put of a derived object: long enough for others to
    /// finish what they do about whatever lands meanwhile.
    pub fn ambush_ms(&mut self, rng: &mut Rng) -> Option<u64> {
        let due = self.ambushes.iter().position(|left| *left == 0);
        self.ambushes.iter_mut().for_each(|left| *left = left.saturating_sub(1));
        self.ambushes.swap_remove(due?);
        Some(pick(rng, &[100_000, 300_000, 800_000]))
    }

    /// After how many milliseconds the event of a stored object comes; more than once, if it is duplicated.
    pub fn deliveries(&self, rng: &mut Rng) -> Vec<Arrival> {
        let mut arrivals = vec![self.arrival(rng)];
        while arrivals.len() < 3 && rng.f64() < self.duplicate {
            arrivals.push(Arrival { duplicate: true, ..self.arrival(rng) });
        }
        arrivals
    }

    fn arrival(&self, rng: &mut Rng) -> Arrival {
        let late = rng.f64() < self.late;
        let after_ms = if late { rng.u64(3_600_000..5 * 3_600_000) } else { 1 + rng.u64(0..=self.spread_ms) };
        Arrival { after_ms, late, duplicate: false }
    }
}

/// When an event comes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Milliseconds after the object was stored.
    pub after_ms: u64,
    /// Hours late.
    pub late: bool,
    /// Not the first time.
    pub duplicate: bool,
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// How often each kind was injected, and how often it mattered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Kind → injected, mattered.
    pub faults: BTreeMap<Kind, (u64, u64)>,
    /// Invocations of functions.
    pub invocations: u64,
    /// Requests of functions.
    pub requests: u64,
    /// Objects stored by functions; safety and anonymity were looked at after each.
    pub writes: u64,
    /// How often nothing was left to deliver, and everything was compared.
    pub settled: u64,
    /// Function → what of its role it needed: the action, and the prefix, key or table.
    pub permissions: BTreeMap<Table, BTreeSet<(&'static str, String)>>,
}

impl Statistics {
    /// A fault was injected.
    pub fn injected(&mut self, kind: Kind) {
        self.faults.entry(kind).or_default().0 += 1;
    }

    /// A fault mattered.
    pub fn mattered(&mut self, kind: Kind) {
        self.faults.entry(kind).or_default().1 += 1;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, (injected, mattered)) in &other.faults {
            let sum = self.faults.entry(*kind).or_default();
            sum.0 += injected;
            sum.1 += mattered;
        }
        self.invocations += other.invocations;
        self.requests += other.requests;
        self.writes += other.writes;
        self.settled += other.settled;
        for (function, used) in &other.permissions {
            self.permissions.entry(*function).or_default().extend(used.iter().cloned());
        }
    }
}
