//! The events of stored objects: delivered at least once, in any order, some of them late.

use crate::events::{event, triggered_by};
use crate::faults::{FaultProfile, Kind};
use crate::run::State;
use fastrand::Rng;
use model::table::Table;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A pending event for a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    /// When it is delivered, in milliseconds since the run began.
    pub(crate) due_ms: u64,
    pub(crate) id: u64,
    pub(crate) function: Table,
    pub(crate) key: String,
    /// The version of the object that it reports.
    pub(crate) version: u64,
    pub(crate) late: bool,
    pub(crate) duplicate: bool,
    /// How often it was delivered before.
    pub(crate) receives: u32,
}

/// All pending events.
#[derive(Default)]
pub(crate) struct Deliveries {
    pending: BTreeSet<Delivery>,
    next_id: u64,
}

impl Deliveries {
    /// Adds the events of an object that was just stored.
    pub(crate) fn add_events_of(&mut self, state: &mut State, key: &str, now_ms: u64) {
        let version = state.versions.get(key).copied().unwrap_or_default();
        for function in triggered_by(key) {
            for arrival in state.fault_profile.deliveries(&mut state.rng) {
                for (kind, occurs) in [(Kind::Duplicate, arrival.duplicate), (Kind::Delay, arrival.late)] {
                    if occurs {
                        state.statistics.injected(kind);
                    }
                }
                let due_ms = now_ms + arrival.after_ms;
                let (late, duplicate) = (arrival.late, arrival.duplicate);
                self.push(Delivery { due_ms, id: 0, function, key: key.into(), version, late, duplicate, receives: 0 });
            }
        }
    }

    /// Adds an event for its first or a further delivery.
    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.next_id += 1;
        self.pending.insert(Delivery { id: self.next_id, ..delivery });
    }

    /// When the next event is due for a function that `may` accepts.
    pub(crate) fn next_ms(&self, may: impl Fn(Table) -> bool) -> Option<u64> {
        self.pending.iter().find(|delivery| may(delivery.function)).map(|delivery| delivery.due_ms)
    }

    /// Takes the due events of one function that `may` accepts: up to `batch` of them.
    pub(crate) fn take(&mut self, now_ms: u64, batch: usize, may: impl Fn(Table) -> bool) -> Vec<Delivery> {
        let due = || self.pending.iter().take_while(|delivery| delivery.due_ms <= now_ms);
        let Some(function) = due().map(|delivery| delivery.function).find(|function| may(*function)) else {
            return Vec::new();
        };
        let taken: Vec<Delivery> =
            due().filter(|delivery| delivery.function == function).take(batch).cloned().collect();
        for delivery in &taken {
            self.pending.remove(delivery);
        }
        taken
    }

    /// The objects with a pending event, for the same function, that is older than the newest of these.
    pub(crate) fn overtaken(&self, taken: &[Delivery]) -> BTreeSet<String> {
        let Some(newest) = taken.iter().map(|delivery| delivery.version).max() else { return BTreeSet::new() };
        let function = taken.first().map(|delivery| delivery.function);
        let older = |other: &&Delivery| Some(other.function) == function && other.version < newest && !other.duplicate;
        self.pending.iter().filter(older).map(|delivery| delivery.key.clone()).collect()
    }
}

/// The delay until a failed event is delivered again.
pub(crate) fn redelivery_delay_ms(rng: &mut Rng, fault_profile: &FaultProfile) -> u64 {
    match (fault_profile.has(Kind::Delay), rng.u8(..3)) {
        (true, 0) => rng.u64(60_000..90 * 60_000),
        _ => rng.u64(100..60_000),
    }
}

/// The payload of an invocation, in one of the shapes that AWS uses.
pub(crate) fn payload(rng: &mut Rng, bucket: &str, deliveries: &[Delivery]) -> Value {
    let wrapped = rng.bool();
    let record = |delivery: &Delivery| {
        let body = event(bucket, &delivery.key).to_string();
        let body = if wrapped { json!({"Type": "Notification", "Message": body}).to_string() } else { body };
        json!({"messageId": delivery.id.to_string(), "eventSource": "aws:sqs", "body": body})
    };
    match deliveries {
        [one] if rng.u8(..4) == 0 => event(bucket, &one.key),
        many => json!({"Records": many.iter().map(record).collect::<Vec<_>>()}),
    }
}
