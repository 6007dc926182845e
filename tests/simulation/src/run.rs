//! The state that the wires and the world of one run share: random numbers, the trace, and the stored versions.

use crate::checks::watch::Watch;
use crate::checks::{Invariant, Violation};
use crate::faults::{FaultProfile, Kind, Statistics};
use crate::operation::Operation;
use crate::scenario::{MIDNIGHT_MS, START_MS};
use crate::trace::Trace;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use fastrand::Rng;
use model::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;
use topology::access::Access;

/// One run.
pub(crate) struct Run {
    /// Notified when an object is stored or a function stalls.
    pub(crate) changed: Notify,
    began: Instant,
    state: Mutex<State>,
}

/// The state of a run.
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) fault_profile: FaultProfile,
    pub(crate) trace: Trace,
    pub(crate) watch: Watch,
    pub(crate) statistics: Statistics,
    pub(crate) violations: Vec<Violation>,
    /// The keys of stored objects whose events are not yet sent.
    pub(crate) stored: Vec<String>,
    /// The last version of each object; versions are numbered across all objects.
    pub(crate) versions: BTreeMap<String, u64>,
    /// When the last version of each object was stored.
    stored_ms: BTreeMap<String, i64>,
    next_version: u64,
    /// How many of the next uploads happen at once, so that objects change while a function stalls.
    pub(crate) early_uploads: u32,
}

/// One invocation of a function.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) name: String,
    pub(crate) function: Table,
    access: Access,
    pub(crate) killed: Notify,
    state: Mutex<InvocationState>,
}

#[derive(Debug, Default)]
pub(crate) struct InvocationState {
    slowness: u64,
    pub(crate) writes: u64,
    /// The objects that it read or wrote.
    pub(crate) touched: BTreeSet<String>,
    /// The keys of puts whose responses were lost.
    lost_responses: BTreeSet<String>,
    /// The faults that a retry may overcome.
    pub(crate) transient_faults: Vec<Kind>,
}

impl Invocation {
    pub(crate) fn new(name: String, function: Table) -> Arc<Self> {
        let access = Access::of(function);
        Arc::new(Self { name, function, access, killed: Notify::new(), state: Mutex::default() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, InvocationState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The plan for a request: how long it waits, and its fault.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) wait_ms: u64,
    pub(crate) fault: Option<Kind>,
    /// Whether a kill happens before the request is carried out, not after.
    pub(crate) kill_before: bool,
    /// The number of the last version when the stall began.
    stalled_at: Option<u64>,
}

/// How much more likely a put has a fault than a read: faults between a read and a write reveal most.
const WEIGHT_OF_PUT: f64 = 3.0;
/// The same for Glue, which is called seldom.
const WEIGHT_OF_GLUE: f64 = 10.0;
/// The probability that a function that stalled before a put is killed after it.
const KILL_AFTER_STALL: f64 = 0.4;
/// The probability that an invocation's speed changes before a request.
const CHANGE_OF_SPEED: f64 = 0.05;

impl Run {
    #[expect(clippy::disallowed_methods, reason = "the simulated clock, for the trace")]
    pub(crate) fn new(rng: Rng, fault_profile: FaultProfile) -> Self {
        let state = State {
            rng,
            fault_profile,
            trace: Trace::default(),
            watch: Watch::default(),
            statistics: Statistics::default(),
            violations: Vec::new(),
            stored: Vec::new(),
            versions: BTreeMap::new(),
            stored_ms: BTreeMap::new(),
            next_version: 0,
            early_uploads: 0,
        };
        Self { changed: Notify::new(), began: Instant::now(), state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the run began.
    #[expect(clippy::disallowed_methods, reason = "the simulated clock, for the trace")]
    pub(crate) fn now_ms(&self) -> u64 {
        // A run takes days, not millions of years.
        (Instant::now() - self.began).as_millis() as u64
    }

    /// The Last-Modified of an object that is stored now, in milliseconds since 1970. S3 rounds it to seconds.
    pub(crate) fn last_modified_ms(&self) -> i64 {
        // A run takes days, not millions of years.
        MIDNIGHT_MS + START_MS + (self.now_ms() / 1000 * 1000) as i64
    }

    /// The Last-Modified of an object by the simulated clock. The emulator's is the time of its file.
    pub(crate) fn last_modified_of(&self, key: &str) -> Option<i64> {
        self.state().stored_ms.get(key).copied()
    }

    pub(crate) fn trace(&self, actor: &str, what: impl fmt::Display) {
        let now_ms = self.now_ms();
        self.state().trace.add(now_ms, actor, what);
    }

    pub(crate) fn trace_invocation(&self, invocation: &Invocation, what: impl fmt::Display) {
        self.trace(&invocation.name, what);
    }

    /// Checks a request against the role that its function has on AWS.
    pub(crate) fn check_role(&self, invocation: &Invocation, operation: &Operation) {
        let Invocation { function, access, .. } = invocation;
        let permission = match operation {
            Operation::Get { key } | Operation::Head { key } => access.to_read(key).map(|what| ("read", what)),
            Operation::Put { key, .. } => access.to_write(key).map(|what| ("write", what)),
            Operation::List { prefix } => access.to_list(prefix).map(|what| ("list", what)),
            Operation::Delete { key } => access.to_delete(key).map(|what| ("delete", what)),
            Operation::Glue { call } if access.registers_partitions && call == "BatchCreatePartition" => {
                Some(("register", function.name()))
            }
            Operation::Glue { .. } | Operation::Other { .. } => None,
        };
        let mut state = self.state();
        match permission {
            Some((action, what)) => {
                let used = &mut state.statistics.permissions;
                if !used.get(function).is_some_and(|used| used.contains(&(action, what.to_owned()))) {
                    used.entry(*function).or_default().insert((action, what.to_owned()));
                }
            }
            None => {
                let what = format!("{function} may not {operation}");
                state.violations.push(Violation { invariant: Invariant::Access, what });
            }
        }
    }

    /// Draws the plan for a request.
    pub(crate) fn plan(&self, invocation: &Invocation, operation: &Operation) -> Plan {
        let mut state = self.state();
        let State { rng, fault_profile, statistics, .. } = &mut *state;
        let mut of = invocation.state();
        statistics.requests += 1;
        if of.slowness == 0 || rng.f64() < CHANGE_OF_SPEED {
            of.slowness = fault_profile.slowness(rng);
        }
        let possible: &[Kind] = if operation.is_put() {
            &[Kind::Kill, Kind::LostResponse, Kind::TimeOut, Kind::SlowDown, Kind::Conflict]
        } else if operation.is_glue() {
            &[
                Kind::Kill,
                Kind::LostResponse,
                Kind::TimeOut,
                Kind::Throttle,
                Kind::ConcurrentModification,
                Kind::PartitionError,
            ]
        } else {
            &[Kind::Kill, Kind::TimeOut, Kind::SlowDown]
        };
        let weight = match operation {
            Operation::Put { .. } => WEIGHT_OF_PUT,
            Operation::Glue { .. } => WEIGHT_OF_GLUE,
            _ => 1.0,
        };
        let mut fault = fault_profile.fault(rng, possible, weight);
        let mut kill_before = rng.bool();
        let derived = operation.is_put() && operation.key().is_some_and(|key| !key.starts_with("_state/"));
        let targeted_stall_ms = if derived { fault_profile.targeted_stall_ms(rng) } else { None };
        let stall_ms = targeted_stall_ms.or_else(|| fault_profile.stall_ms(rng, weight));
        // The worst case: write what was read long ago, and be killed before checking the inputs again.
        if stall_ms.is_some() && operation.is_put() && fault_profile.has(Kind::Kill) && rng.f64() < KILL_AFTER_STALL {
            (fault, kill_before) = (Some(Kind::Kill), false);
        }
        if let Some(fault) = fault {
            statistics.injected(fault);
            match fault {
                Kind::LostResponse => of.lost_responses.extend(operation.key().map(str::to_owned)),
                Kind::Kill => {}
                other => of.transient_faults.push(other),
            }
        }
        if stall_ms.is_some() {
            statistics.injected(Kind::Stall);
            let early_uploads = rng.u32(..=2);
            state.early_uploads += early_uploads;
            self.changed.notify_one();
        }
        Plan {
            wait_ms: state.rng.u64(1..=4) * of.slowness + stall_ms.unwrap_or(0),
            fault,
            kill_before,
            stalled_at: stall_ms.map(|_| state.next_version),
        }
    }

    /// Records that a request is about to be carried out, after its wait.
    pub(crate) fn record_start(&self, invocation: &Invocation, operation: &Operation, plan: &Plan) {
        let mut of = invocation.state();
        of.touched.extend(operation.key().map(str::to_owned));
        let Some(since) = plan.stalled_at else { return };
        let mut state = self.state();
        let changed = of.touched.iter().any(|key| state.versions.get(key).is_some_and(|version| *version > since));
        if changed {
            state.statistics.mattered(Kind::Stall);
        }
        drop(state);
        self.trace_invocation(
            invocation,
            format_args!("stalled before {operation}{}", if changed { ", outdated" } else { "" }),
        );
    }

    /// Records that a request was carried out.
    pub(crate) fn record_response(
        &self,
        invocation: &Invocation,
        operation: &Operation,
        body: Option<Bytes>,
        response: &HttpResponse,
    ) {
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").map(|etag| etag.trim_matches('"')).unwrap_or_default();
        self.trace_invocation(invocation, format_args!("{operation} → {status} {}", etag.get(..6).unwrap_or(etag)));
        let (Some(key), Some(body)) = (operation.key(), body) else { return };
        let mut of = invocation.state();
        if status == 412 && of.lost_responses.remove(key) {
            self.state().statistics.mattered(Kind::LostResponse);
        }
        if (200..300).contains(&status) {
            of.writes += 1;
            drop(of);
            self.state().statistics.writes += 1;
            self.record_object(key, &body);
        }
    }

    /// Records and checks an object that a function or an upload stored.
    pub(crate) fn record_object(&self, key: &str, body: &Bytes) {
        let stored_ms = self.last_modified_ms();
        let mut state = self.state();
        state.next_version += 1;
        let version = state.next_version;
        state.versions.insert(key.to_owned(), version);
        state.stored_ms.insert(key.to_owned(), stored_ms);
        state.stored.push(key.to_owned());
        let mut violations = state.watch.check_object(key, body);
        state.violations.append(&mut violations);
        self.changed.notify_one();
    }

    pub(crate) fn kill(&self, invocation: &Invocation) {
        if invocation.state().writes > 0 {
            self.state().statistics.mattered(Kind::Kill);
        }
        invocation.killed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;

    #[tokio::test]
    async fn request_beyond_the_role_violates_access() {
        let mut rng = Rng::with_seed(1);
        let fault_profile = FaultProfile::draw(&mut rng, &Faults::all());
        let run = Run::new(rng, fault_profile);
        let invocation = Invocation::new("one".into(), Table::StepTrainerTrusted);
        run.check_role(&invocation, &Operation::List { prefix: "_state/index/step_trainer/".into() });
        assert_eq!(run.state().violations, []);
        for (beyond, what) in [
            (Operation::Get { key: "customer/trusted/01.parquet".into() }, "may not GET customer/trusted/01.parquet"),
            (Operation::List { prefix: String::new() }, "may not LIST"),
            (Operation::Glue { call: "DeleteTable".into() }, "may not GLUE DeleteTable"),
            (Operation::Delete { key: "_state/lake.json".into() }, "may not DELETE _state/lake.json"),
        ] {
            run.check_role(&invocation, &beyond);
            let violation = run.state().violations.pop();
            assert!(violation.is_some_and(|v| v.invariant == Invariant::Access && v.what.contains(what)), "{beyond}");
        }
    }
}
