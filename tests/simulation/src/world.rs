//! The world of one run: a lake, instances of the functions, uploads and events.

use crate::Case;
use crate::checks::{Invariant, Violation, at_rest};
use crate::delivery::{self, Deliveries, Delivery};
use crate::events;
use crate::faults::{FaultProfile, Kind};
use crate::functions::AnyFunction;
use crate::run::{Invocation, Run};
use crate::scenario::{Content, Files, Upload, Version};
use crate::wire::Wire;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use emulator::Cloud;
use fastrand::Rng;
use ingest::{LIMITS, Limits};
use model::hash::{HashKey, ShardCount};
use model::lake_config::LakeConfig;
use model::table::Table;
use runtime::function::Answer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::BoxError;
use store::lake::Lake;
use store::lake::LakeSettings;
use tokio::task::JoinSet;

const BUCKET: &str = "stedi";
/// Nearly every file has an index segment, and each segment that is read is compacted.
const SMALL_LIMITS: Limits = Limits { entries_max: 1, keys_max: 0, pending_max: 0, rows_max: 3, planned_max: 1 };
/// Lambda ends an invocation after fifteen minutes.
const INVOCATION_MAX: Duration = Duration::from_secs(15 * 60);
/// A run with more requests than this does not come to rest.
const REQUESTS_MAX: u64 = 40_000;
/// An event that is received more often than this fails for ever: a run has fewer faults.
const RECEIVES_MAX: u32 = 60;

pub(crate) struct World<'a> {
    case: &'a Case,
    pub(crate) run: Arc<Run>,
    cloud: Cloud,
    settings: LakeSettings,
    /// The lake, reached without faults.
    lake: Lake,
    deliveries: Deliveries,
    /// Idle warm instances.
    instances: BTreeMap<Table, Vec<Instance>>,
    /// Running invocations, by number.
    in_flight: BTreeMap<u64, InFlight>,
    running: JoinSet<Completion>,
    invocations: u64,
    files: Files<'a>,
}

/// An instance of a function and its wire.
struct Instance {
    function: AnyFunction,
    wire: Wire,
}

struct InFlight {
    invocation: Arc<Invocation>,
    taken: Vec<Delivery>,
    overtaken: BTreeSet<String>,
    /// Whether another invocation of the function was running when it began.
    concurrent: bool,
}

struct Completion {
    number: u64,
    instance: Instance,
    end: End,
}

enum End {
    Answered(Result<Answer, BoxError>),
    Killed,
    TimedOut,
}

impl<'a> World<'a> {
    /// Makes a new lake in the folder `directory`.
    pub(crate) async fn new(case: &'a Case, directory: &Path) -> Result<Self, BoxError> {
        let cloud = Cloud::open_with_clock(directory, Arc::new(|| SystemTime::UNIX_EPOCH))?;
        let config = LakeConfig {
            customer_shards: ShardCount::try_from(case.scenario.customer_shards)?,
            consent_policy: case.scenario.policy,
            pairs: case.scenario.pairs,
            slices_per_hour: case.scenario.slices_per_hour,
        };
        let settings = LakeSettings::local(BUCKET, config, HashKey::public());
        let lake = store::connect::over(cloud.http_client(), emulator::REGION, &settings);
        lake.store.create_bucket(BUCKET).await?;
        lake.catalog.create_tables().await?;
        let mut rng = Rng::with_seed(case.schedule);
        let fault_profile = FaultProfile::draw(&mut rng, &case.faults);
        Ok(Self {
            case,
            run: Arc::new(Run::new(rng, fault_profile)),
            cloud,
            settings,
            lake,
            deliveries: Deliveries::default(),
            instances: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            running: JoinSet::new(),
            invocations: 0,
            files: Files::new(),
        })
    }

    /// Runs all phases, until an invariant is violated.
    pub(crate) async fn run_phases(&mut self) -> Result<(), BoxError> {
        for (i, phase) in self.case.scenario.phases.iter().enumerate() {
            self.run.trace("phase", i + 1);
            let mut uploads: Vec<&'a Upload> = phase.iter().collect();
            uploads.sort_by_key(|upload| upload.at_ms);
            self.run_to_rest(uploads).await?;
            if self.is_violated() {
                return Ok(());
            }
            let snapshot = at_rest::snapshot(&self.lake).await?;
            let mut state = self.run.state();
            let mut violations = at_rest::check(&snapshot, self.settings.config, &self.files, &state.watch)?;
            state.statistics.comparisons += 1;
            state.violations.append(&mut violations);
            drop(state);
            if self.is_violated() {
                return Ok(());
            }
        }
        self.redeliver_all().await
    }

    fn is_violated(&self) -> bool {
        !self.run.state().violations.is_empty()
    }

    /// Delivers the events of all objects once more, to cold instances, which must write nothing.
    async fn redeliver_all(&mut self) -> Result<(), BoxError> {
        self.run.trace("redelivery", "of every event");
        self.instances.clear();
        let written = {
            let mut state = self.run.state();
            state.fault_profile = FaultProfile::calm();
            state.statistics.writes
        };
        let now_ms = self.run.now_ms();
        for (key, _) in self.lake.store.list(BUCKET, "", true).await?.objects {
            for function in events::triggered_by(&key) {
                let key = key.clone();
                let (late, duplicate) = (false, false);
                self.deliveries.push(Delivery {
                    due_ms: now_ms,
                    id: 0,
                    function,
                    key,
                    version: 0,
                    late,
                    duplicate,
                    receives: 0,
                });
            }
        }
        self.run_to_rest(Vec::new()).await?;
        let mut state = self.run.state();
        let more = state.statistics.writes - written;
        if more > 0 {
            let what = format!("delivering every event once more made {more} writes; see the end of the trace");
            state.violations.push(Violation { invariant: Invariant::Quiescence, what });
        }
        Ok(())
    }

    /// Uploads files and delivers events until none is left, or an invariant is violated.
    async fn run_to_rest(&mut self, uploads: Vec<&'a Upload>) -> Result<(), BoxError> {
        let began_ms = self.run.now_ms();
        let mut uploads = uploads.into_iter().peekable();
        loop {
            let now_ms = self.run.now_ms();
            let mut early_uploads = std::mem::take(&mut self.run.state().early_uploads);
            while let Some(upload) = uploads.next_if(|upload| began_ms + upload.at_ms <= now_ms || early_uploads > 0) {
                early_uploads = early_uploads.saturating_sub(1);
                self.upload(upload).await?;
            }
            self.send_events();
            while self.start_one() {}
            if self.is_violated() {
                return Ok(());
            }
            let next_upload = uploads.peek().map(|upload| began_ms + upload.at_ms);
            let next_event = self.deliveries.next_ms(|function| self.has_room(function));
            let next = next_upload.into_iter().chain(next_event).min();
            if next.is_none() && self.running.is_empty() {
                return Ok(());
            }
            let wait = Duration::from_millis(next.unwrap_or(u64::MAX).saturating_sub(self.run.now_ms()));
            tokio::select! {
                biased;
                Some(finished) = self.running.join_next() => self.finish(finished?),
                () = self.run.changed.notified() => {}
                () = tokio::time::sleep(wait), if next.is_some() => {}
            }
            if self.run.state().statistics.requests > REQUESTS_MAX {
                self.violation(Invariant::Progress, format!("no rest after {REQUESTS_MAX} requests"));
            }
        }
    }

    fn violation(&self, invariant: Invariant, what: String) {
        self.run.state().violations.push(Violation { invariant, what });
    }

    /// Puts a version of a landing file over any other: clients that upload do not know versions.
    async fn upload(&mut self, upload: &'a Upload) -> Result<(), BoxError> {
        let stored_ms = self.run.last_modified_ms();
        self.run.state().watch.add_upload(upload, stored_ms);
        self.files.insert(&upload.key, Version { content: &upload.content, stored_ms });
        let location = self.lake.at(upload.key.as_str());
        let body = Bytes::from(upload.content.bytes());
        let version = self.lake.store.version(&location).await?;
        self.lake.store.put(&location, body.clone(), &version).await?;
        let what = match &upload.content {
            Content::Lines(lines) => format!("{} lines", lines.len()),
            Content::Damaged => "damaged".to_owned(),
        };
        self.run.trace("upload", format_args!("{} {what}", upload.key));
        self.run.record_object(&upload.key, &body);
        Ok(())
    }

    /// Adds the events of all objects that were stored since the last call.
    fn send_events(&mut self) {
        let now_ms = self.run.now_ms();
        let mut state = self.run.state();
        for key in std::mem::take(&mut state.stored) {
            self.deliveries.add_events_of(&mut state, &key, now_ms);
        }
    }

    fn has_room(&self, function: Table) -> bool {
        let running = self.in_flight.values().filter(|other| other.invocation.function == function).count();
        running < self.run.state().fault_profile.concurrency
    }

    /// Starts one invocation, if an event is due for a function below its maximum concurrency.
    fn start_one(&mut self) -> bool {
        let now_ms = self.run.now_ms();
        let batch = self.run.state().fault_profile.batch;
        let room: Vec<Table> = Table::DERIVED.into_iter().filter(|function| self.has_room(*function)).collect();
        let taken = self.deliveries.take(now_ms, batch, |function| room.contains(&function));
        let Some(function) = taken.first().map(|delivery| delivery.function) else { return false };
        let reorders = self.run.state().fault_profile.has(Kind::Reorder);
        let overtaken = if reorders { self.deliveries.overtaken(&taken) } else { BTreeSet::new() };
        self.invocations += 1;
        let number = self.invocations;
        let invocation = Invocation::new(format!("{function}#{number}"), function);
        let Some(instance) = self.instance(function, &invocation) else { return false };
        let payload = {
            let mut state = self.run.state();
            state.statistics.invocations += 1;
            if !overtaken.is_empty() {
                state.statistics.injected(Kind::Reorder);
            }
            delivery::payload(&mut state.rng, BUCKET, &taken)
        };
        let keys: Vec<&str> = taken.iter().map(|delivery| delivery.key.as_str()).collect();
        self.run.trace_invocation(&invocation, format_args!("begins with {}", keys.join(", ")));
        let concurrent = self.in_flight.values().any(|other| other.invocation.function == function);
        self.running.spawn(invoke(number, instance, invocation.clone(), payload));
        self.in_flight.insert(number, InFlight { invocation, taken, overtaken, concurrent });
        true
    }

    /// Takes a warm instance, or makes a cold one.
    fn instance(&mut self, function: Table, invocation: &Arc<Invocation>) -> Option<Instance> {
        if let Some(instance) = self.instances.get_mut(&function).and_then(Vec::pop) {
            instance.wire.serve(invocation.clone());
            return Some(instance);
        }
        let wire = Wire::new(self.cloud.http_client(), self.run.clone(), invocation.clone());
        let client: SharedHttpClient = wire.client();
        let lake = store::connect::over(client, emulator::REGION, &self.settings);
        let limits = if self.case.scenario.small_index { SMALL_LIMITS } else { LIMITS };
        Some(Instance { function: AnyFunction::with_limits(function, lake, limits)?, wire })
    }

    fn finish(&mut self, Completion { number, instance, end }: Completion) {
        let Some(InFlight { invocation, taken, overtaken, concurrent }) = self.in_flight.remove(&number) else {
            return;
        };
        let (failed, why) = match &end {
            End::Answered(Ok(answer)) => (failures(&answer.response, &taken), "ends".to_owned()),
            End::Answered(Err(error)) => (taken.clone(), format!("fails: {error}")),
            End::Killed => (taken.clone(), "is killed".to_owned()),
            End::TimedOut => (taken.clone(), "is killed after fifteen minutes".to_owned()),
        };
        let why = match failed.len() {
            0 => why,
            n => format!("{why}, {n} of {} to be delivered again", taken.len()),
        };
        self.run.trace_invocation(&invocation, &why);
        let now_ms = self.run.now_ms();
        let mut state = self.run.state();
        let of = invocation.state();
        let replaced = |delivery: &Delivery| {
            delivery.late && state.versions.get(&delivery.key).is_some_and(|version| *version > delivery.version)
        };
        let late = taken.iter().filter(|delivery| replaced(delivery)).count();
        let duplicates = taken.iter().filter(|delivery| delivery.duplicate && (of.writes > 0 || concurrent)).count();
        let reordered = usize::from(overtaken.intersection(&of.touched).next().is_some());
        for (kind, times) in [(Kind::Delay, late), (Kind::Duplicate, duplicates), (Kind::Reorder, reordered)] {
            (0..times).for_each(|_| state.statistics.mattered(kind));
        }
        if !failed.is_empty() {
            of.transient_faults.iter().for_each(|kind| state.statistics.mattered(*kind));
        }
        if matches!(end, End::Answered(_)) && state.rng.f64() < state.fault_profile.warm {
            self.instances.entry(invocation.function).or_default().push(instance);
        }
        #[cfg(feature = "broken")]
        if engine::broken::is(engine::broken::Broken::AcknowledgeFirst) {
            return;
        }
        for delivery in failed {
            if delivery.receives == RECEIVES_MAX {
                let what = format!("{} on {} fails for ever: {why}", invocation.function, delivery.key);
                state.violations.push(Violation { invariant: Invariant::Progress, what });
                continue;
            }
            let crate::run::State { rng, fault_profile, .. } = &mut *state;
            let due_ms = now_ms + delivery::redelivery_delay_ms(rng, fault_profile);
            // A late or duplicated event was counted at its first delivery.
            self.deliveries.push(Delivery {
                due_ms,
                receives: delivery.receives + 1,
                late: false,
                duplicate: false,
                ..delivery
            });
        }
    }
}

async fn invoke(number: u64, instance: Instance, invocation: Arc<Invocation>, payload: Value) -> Completion {
    let end = tokio::select! {
        biased;
        () = invocation.killed.notified() => End::Killed,
        () = tokio::time::sleep(INVOCATION_MAX) => End::TimedOut,
        answer = instance.function.invoke(&payload, None) => End::Answered(answer),
    };
    Completion { number, instance, end }
}

/// The events that the answer reports as failed, which SQS would deliver again.
fn failures(response: &Value, taken: &[Delivery]) -> Vec<Delivery> {
    let failed = response["batchItemFailures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed: BTreeSet<u64> =
        failed.iter().filter_map(|item| item["itemIdentifier"].as_str()?.parse().ok()).collect();
    taken.iter().filter(|delivery| failed.contains(&delivery.id)).cloned().collect()
}
