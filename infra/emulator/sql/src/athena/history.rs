//! The executions that there are: those under way in memory, the others in S3, so that they outlive the process.

use super::clock::Clock;
use super::execution::{Execution, State};
use super::fault::Fault;
use super::shelf::{Shelf, page};
use crate::answer::Scanned;
use emulator_client::{Store, Version};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The most executions that are remembered; the oldest are forgotten.
const EXECUTIONS_MAX: usize = 10_000;
/// The most tokens of clients that are remembered, so that a call sent twice starts one execution.
const TOKENS_MAX: usize = 1_000;
const UNDER_WAY: &str = "athena/underway/";
const OVER: &str = "athena/executions/";

/// All executions.
pub(super) struct History {
    store: Store,
    underway: Shelf,
    over: Shelf,
    clock: Clock,
    known: Mutex<Known>,
    /// How many are under way.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Known {
    live: HashMap<String, Live>,
    /// The names of those that are over, in order of time, and by id.
    names: BTreeSet<String>,
    by_id: HashMap<String, String>,
    tokens: HashMap<String, (String, String)>,
    tokens_in_order: VecDeque<String>,
}

/// An execution under way.
struct Live {
    execution: Execution,
    stop: watch::Sender<bool>,
    scanned: Option<Scanned>,
}

/// What became of an execution that was to begin.
pub(super) enum Begun {
    /// It is there now; the receiver hears when it is to stop.
    New(watch::Receiver<bool>),
    /// The same call began this one before.
    Before(String),
}

impl History {
    pub(super) fn new(store: Store, bucket: &str, clock: Clock) -> Self {
        let shelf = |prefix: &str| Shelf::new(store.clone(), bucket, prefix.to_owned(), 2 * EXECUTIONS_MAX);
        let (underway, over) = (shelf(UNDER_WAY), shelf(OVER));
        Self { store, underway, over, clock, known: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Finds what there is. What was under way when the process ended has failed.
    pub(super) async fn recover(&self) -> Result<(), Fault> {
        for name in self.underway.names().await? {
            if let Some((mut execution, _)) = self.underway.get::<Execution>(&name).await? {
                execution.state = State::Failed;
                execution.reason = Some("GENERIC_INTERNAL_ERROR: the process that ran the query has ended".to_owned());
                execution.error_category = Some(1);
                execution.completed_ms = Some((self.clock)().max(execution.submitted_ms));
                // If it is there already, the process ended just before it would have removed the other.
                self.over.put(&name, &execution, &Version::Absent).await?;
            }
            self.underway.remove(&name).await?;
        }
        let names = self.over.names().await?;
        let mut known = self.known();
        for name in names {
            if let Some(id) = name.rsplit('/').next() {
                known.by_id.insert(id.to_owned(), name.clone());
                known.names.insert(name);
            }
        }
        Ok(())
    }

    /// Takes an execution in, unless more than `live_max` are under way. `token` is the client's, with the whole call.
    pub(super) async fn begin(
        &self,
        execution: &Execution,
        token: Option<(String, String)>,
        live_max: usize,
    ) -> Result<Begun, Fault> {
        let stopped = {
            let mut known = self.known();
            if let Some((token, call)) = &token
                && let Some((before, id)) = known.tokens.get(token)
            {
                return match before == call {
                    true => Ok(Begun::Before(id.clone())),
                    false => Err(Fault::invalid("Idempotent parameters do not match")),
                };
            }
            let live = known.live.values().filter(|live| !live.execution.state.is_over()).count();
            if live >= live_max {
                let told =
                    format!("{live} queries are running or waiting, which is the most: try again when one is over");
                return Err(Fault::too_many(told));
            }
            let (stop, stopped) = watch::channel(false);
            let live = Live { execution: execution.clone(), stop, scanned: None };
            known.live.insert(execution.id.clone(), live);
            if let Some((token, call)) = token {
                known.tokens_in_order.push_back(token.clone());
                known.tokens.insert(token, (call, execution.id.clone()));
                if known.tokens.len() > TOKENS_MAX
                    && let Some(oldest) = known.tokens_in_order.pop_front()
                {
                    known.tokens.remove(&oldest);
                }
            }
            stopped
        };
        if let Err(fault) = self.underway.put(&execution.name(), execution, &Version::Absent).await {
            let mut known = self.known();
            known.live.remove(&execution.id);
            known.tokens.retain(|_, (_, id)| *id != execution.id);
            let Known { tokens, tokens_in_order, .. } = &mut *known;
            tokens_in_order.retain(|token| tokens.contains_key(token));
            return Err(fault);
        }
        self.count.send_modify(|count| *count += 1);
        Ok(Begun::New(stopped))
    }

    /// It runs now.
    pub(super) fn run(&self, execution: &Execution) {
        if let Some(live) = self.known().live.get_mut(&execution.id) {
            live.execution = execution.clone();
        }
    }

    /// It reads now, and counts what in `scanned`.
    pub(super) fn reads(&self, id: &str, scanned: &Scanned) {
        if let Some(live) = self.known().live.get_mut(id) {
            live.scanned = Some(scanned.clone());
        }
    }

    /// It is over.
    pub(super) async fn end(&self, execution: Execution) {
        let name = execution.name();
        // First where it stays, so that whoever asks finds it at any time.
        let kept = self.over.put(&name, &execution, &Version::Absent).await;
        let oldest = {
            let mut known = self.known();
            match kept {
                Ok(_) => {
                    known.live.remove(&execution.id);
                    known.by_id.insert(execution.id.clone(), name.clone());
                    known.names.insert(name.clone());
                }
                // It is told from memory while the process lives, and has failed afterwards.
                Err(fault) => {
                    tracing::error!(?fault, id = execution.id, "an execution cannot be kept");
                    if let Some(live) = known.live.get_mut(&execution.id) {
                        live.execution = execution;
                    }
                }
            }
            (known.names.len() > EXECUTIONS_MAX).then(|| known.names.first().cloned()).flatten()
        };
        let removed = self.underway.remove(&name).await;
        let forgotten = match oldest {
            Some(oldest) => self.forget(&oldest).await,
            None => Ok(()),
        };
        if let Err(fault) = removed.and(forgotten) {
            tracing::warn!(?fault, "what is left of an execution cannot be removed");
        }
        self.count.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// An execution.
    pub(super) async fn get(&self, id: &str) -> Result<Execution, Fault> {
        let missing = || Fault::invalid(format!("QueryExecution {id} was not found"));
        let name = {
            let known = self.known();
            if let Some(live) = known.live.get(id) {
                let mut execution = live.execution.clone();
                if let Some(scanned) = live.scanned.as_ref().filter(|_| !execution.state.is_over()) {
                    execution.scanned_bytes = scanned.bytes();
                }
                return Ok(execution);
            }
            known.by_id.get(id).cloned().ok_or_else(missing)?
        };
        self.over.get(&name).await?.map(|(execution, _)| execution).ok_or_else(missing)
    }

    /// A page of the ids of a work group, the newest first, and the token of the next.
    pub(super) fn list(
        &self,
        work_group: &str,
        token: Option<&str>,
        length_max: usize,
    ) -> (Vec<String>, Option<String>) {
        let mut names: Vec<_> = {
            let known = self.known();
            let live = known.live.values().map(|live| live.execution.name());
            live.chain(known.names.iter().cloned()).filter(|name| name.split('/').nth(1) == Some(work_group)).collect()
        };
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.dedup();
        // Backwards: a page holds what comes before its token.
        names.retain(|name| token.is_none_or(|token| name.as_str() < token));
        let (names, next) = page(names, None, length_max);
        let id = |name: String| name.rsplit('/').next().unwrap_or_default().to_owned();
        (names.into_iter().map(id).collect(), next)
    }

    /// Asks an execution to stop. One that is over is no error, as on AWS.
    pub(super) async fn stop(&self, id: &str) -> Result<(), Fault> {
        if let Some(live) = self.known().live.get(id) {
            live.stop.send_replace(true);
            return Ok(());
        }
        self.get(id).await.map(|_| ())
    }

    /// Asks all to stop, and waits until they have.
    pub(super) async fn stop_all(&self) {
        for live in self.known().live.values() {
            live.stop.send_replace(true);
        }
        // The sender is in `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Forgets what was submitted before `before_ms`, with what it left where nothing stays; how many there were.
    pub(super) async fn expire(&self, before_ms: i64) -> Result<usize, Fault> {
        let end = format!("{:014}/", before_ms.max(0));
        let names: Vec<_> = self.known().names.range(..end).cloned().collect();
        for name in &names {
            self.forget(name).await?;
        }
        Ok(names.len())
    }

    /// Results first: what is forgotten is not found again.
    async fn forget(&self, name: &str) -> Result<(), Fault> {
        if let Some((execution, _)) = self.over.get::<Execution>(name).await?
            && execution.expires
        {
            for place in [execution.output(), execution.metadata(), execution.manifest()] {
                self.store.remove(&place).await?;
            }
        }
        self.over.remove(name).await?;
        let mut known = self.known();
        known.names.remove(name);
        if let Some(id) = name.rsplit('/').next() {
            known.by_id.remove(id);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
