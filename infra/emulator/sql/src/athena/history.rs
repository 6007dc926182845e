//! All executions: running and waiting ones in memory, ended ones in S3, so that they outlive the process.

use super::clock::Clock;
use super::documents::Documents;
use super::execution::{Execution, State};
use super::fault::Fault;
use crate::answer::Scanned;
use emulator_client::{Store, Version};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The most executions that are kept; the oldest are removed.
const EXECUTIONS_MAX: usize = 10_000;
/// The most client tokens that are kept. A call that is sent twice with one token starts one execution.
const TOKENS_MAX: usize = 1_000;
const LIVE: &str = "athena/underway/";
const ENDED: &str = "athena/executions/";

/// All executions.
pub(super) struct History {
    store: Store,
    live: Documents,
    ended: Documents,
    clock: Clock,
    index: Mutex<Index>,
    /// The number of executions that run or wait.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Index {
    live: HashMap<String, LiveExecution>,
    /// The names of ended executions: in order of time, and by id.
    names: BTreeSet<String>,
    by_id: HashMap<String, String>,
    /// The tokens of clients, each with its call and the id of its execution, the oldest first.
    tokens: VecDeque<(String, String, String)>,
}

/// An execution that runs or waits.
struct LiveExecution {
    execution: Execution,
    stop: watch::Sender<bool>,
    scanned: Option<Scanned>,
}

/// The outcome of the start of an execution.
pub(super) enum Admission {
    /// The execution is new. The receiver is notified when it must stop.
    New(watch::Receiver<bool>),
    /// The same call started this execution before.
    Duplicate(String),
}

impl History {
    pub(super) fn new(store: Store, bucket: &str, clock: Clock) -> Self {
        let documents = |prefix: &str| Documents::new(store.clone(), bucket, prefix.to_owned(), 2 * EXECUTIONS_MAX);
        let (live, ended) = (documents(LIVE), documents(ENDED));
        Self { store, live, ended, clock, index: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Reads the executions in S3. Executions that ran or waited when the process ended have failed.
    pub(super) async fn recover(&self) -> Result<(), Fault> {
        for name in self.live.names().await? {
            if let Some((mut execution, _)) = self.live.get::<Execution>(&name).await? {
                execution.state = State::Failed;
                execution.reason = Some("GENERIC_INTERNAL_ERROR: the process that ran the query has ended".to_owned());
                execution.error_category = Some(1);
                execution.completed_ms = Some((self.clock)().max(execution.submitted_ms));
                // If it exists already, the process ended between the writing of it and the removal below.
                self.ended.put(&name, &execution, &Version::Absent).await?;
            }
            self.live.remove(&name).await?;
        }
        let names = self.ended.names().await?;
        let mut index = self.index();
        for name in names {
            if let Some(id) = name.rsplit('/').next() {
                index.by_id.insert(id.to_owned(), name.clone());
                index.names.insert(name);
            }
        }
        Ok(())
    }

    /// Admits an execution unless `live_max` run or wait. `token` is the client's token with the whole call.
    pub(super) async fn begin(
        &self,
        execution: &Execution,
        token: Option<(String, String)>,
        live_max: usize,
    ) -> Result<Admission, Fault> {
        let stopped = {
            let mut index = self.index();
            if let Some((token, call)) = &token
                && let Some((_, before, id)) = index.tokens.iter().find(|(known, ..)| known == token)
            {
                return match before == call {
                    true => Ok(Admission::Duplicate(id.clone())),
                    false => Err(Fault::invalid("Idempotent parameters do not match")),
                };
            }
            let live = index.live.values().filter(|live| !live.execution.state.has_ended()).count();
            if live >= live_max {
                let message = format!(
                    "{live} queries are running or waiting, expected at most {live_max}: try again when one has ended"
                );
                return Err(Fault::too_many(message));
            }
            let (stop, stopped) = watch::channel(false);
            let live = LiveExecution { execution: execution.clone(), stop, scanned: None };
            index.live.insert(execution.id.clone(), live);
            if let Some((token, call)) = token {
                index.tokens.push_back((token, call, execution.id.clone()));
                if index.tokens.len() > TOKENS_MAX {
                    index.tokens.pop_front();
                }
            }
            stopped
        };
        if let Err(fault) = self.live.put(&execution.name(), execution, &Version::Absent).await {
            let mut index = self.index();
            index.live.remove(&execution.id);
            index.tokens.retain(|(.., id)| *id != execution.id);
            return Err(fault);
        }
        self.count.send_modify(|count| *count += 1);
        Ok(Admission::New(stopped))
    }

    /// Records that an execution runs.
    pub(super) fn run(&self, execution: &Execution) {
        if let Some(live) = self.index().live.get_mut(&execution.id) {
            live.execution = execution.clone();
        }
    }

    /// Records the counter of the bytes that an execution reads.
    pub(super) fn reads(&self, id: &str, scanned: &Scanned) {
        if let Some(live) = self.index().live.get_mut(id) {
            live.scanned = Some(scanned.clone());
        }
    }

    /// Records the end of an execution.
    pub(super) async fn end(&self, execution: Execution) {
        let name = execution.name();
        // Writes the ended execution before it leaves memory, so that a concurrent call finds it.
        let kept = self.ended.put(&name, &execution, &Version::Absent).await;
        let oldest = {
            let mut index = self.index();
            match kept {
                Ok(_) => {
                    index.live.remove(&execution.id);
                    index.by_id.insert(execution.id.clone(), name.clone());
                    index.names.insert(name.clone());
                }
                // The execution stays in memory while the process lives, and counts as failed after a restart.
                Err(fault) => {
                    tracing::error!(?fault, id = execution.id, "cannot write an execution");
                    if let Some(live) = index.live.get_mut(&execution.id) {
                        live.execution = execution;
                    }
                }
            }
            (index.names.len() > EXECUTIONS_MAX).then(|| index.names.first().cloned()).flatten()
        };
        let removed = self.live.remove(&name).await;
        let removed_oldest = match oldest {
            Some(oldest) => self.remove(&oldest).await,
            None => Ok(()),
        };
        if let Err(fault) = removed.and(removed_oldest) {
            tracing::warn!(?fault, "cannot remove the rest of an execution");
        }
        self.count.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Reads an execution.
    pub(super) async fn get(&self, id: &str) -> Result<Execution, Fault> {
        let missing = || Fault::invalid(format!("QueryExecution {id} was not found"));
        let name = {
            let index = self.index();
            if let Some(live) = index.live.get(id) {
                let mut execution = live.execution.clone();
                if let Some(scanned) = live.scanned.as_ref().filter(|_| !execution.state.has_ended()) {
                    execution.scanned_bytes = scanned.bytes();
                }
                return Ok(execution);
            }
            index.by_id.get(id).cloned().ok_or_else(missing)?
        };
        self.ended.get(&name).await?.map(|(execution, _)| execution).ok_or_else(missing)
    }

    /// A page of the ids of a work group, newest first, and the token of the next page.
    pub(super) fn list(
        &self,
        work_group: &str,
        token: Option<&str>,
        length_max: usize,
    ) -> (Vec<String>, Option<String>) {
        let names: BTreeSet<_> = {
            let index = self.index();
            let live = index.live.values().map(|live| live.execution.name());
            live.chain(index.names.iter().cloned()).filter(|name| name.split('/').nth(1) == Some(work_group)).collect()
        };
        // In descending order, a page holds the names before its token.
        let mut before = names.into_iter().rev().filter(|name| token.is_none_or(|token| name.as_str() < token));
        let page: Vec<_> = before.by_ref().take(length_max).collect();
        let next = before.next().and(page.last().cloned());
        (page.iter().map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect(), next)
    }

    /// Asks an execution to stop. As on AWS, an ended one is not an error.
    pub(super) async fn stop(&self, id: &str) -> Result<(), Fault> {
        if let Some(live) = self.index().live.get(id) {
            live.stop.send_replace(true);
            return Ok(());
        }
        self.get(id).await.map(|_| ())
    }

    /// Asks all executions to stop and waits until they have ended.
    pub(super) async fn stop_all(&self) {
        for live in self.index().live.values() {
            live.stop.send_replace(true);
        }
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Removes executions submitted before `before_ms`, with their results in the default location; returns their number.
    pub(super) async fn expire(&self, before_ms: i64) -> Result<usize, Fault> {
        let end = format!("{:014}/", before_ms.max(0));
        let names: Vec<_> = self.index().names.range(..end).cloned().collect();
        for name in &names {
            self.remove(name).await?;
        }
        Ok(names.len())
    }

    /// Removes an execution. Its results go first, since only its document names them.
    async fn remove(&self, name: &str) -> Result<(), Fault> {
        if let Some((execution, _)) = self.ended.get::<Execution>(name).await?
            && execution.expires
        {
            for location in [execution.output(), execution.metadata(), execution.manifest()] {
                self.store.remove(&location).await?;
            }
        }
        self.ended.remove(name).await?;
        let mut index = self.index();
        index.names.remove(name);
        if let Some(id) = name.rsplit('/').next() {
            index.by_id.remove(id);
        }
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // No code panics while it holds the lock.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
