//! An execution from the queue to its end.

use super::Inner;
use super::execution::{Execution, State, Stored};
use super::spoken;
use super::writing::{self, Open};
use crate::engine::{Context, Statement};
use crate::error::SqlError;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;

/// What is to be done.
pub(super) enum Plan {
    /// What the engine runs.
    Statement(Box<Statement>),
    /// `PREPARE name FROM statement`.
    Prepare { name: String, sql: String },
    /// `DEALLOCATE PREPARE name`.
    Deallocate { name: String },
}

/// Runs `plan`, whose `execution` waits until one of the places is free.
pub(super) async fn run(
    inner: Arc<Inner>,
    mut execution: Execution,
    plan: Plan,
    scanned_bytes_max: Option<u64>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut open = Open::None;
    let mut outcome = None;
    let place = tokio::select! {
        biased;
        () = stop(&mut stopped) => None,
        place = inner.places.acquire() => place.ok(),
    };
    if place.is_some() {
        execution.state = State::Running;
        execution.started_ms = Some((inner.settings.clock)());
        inner.history.run(&execution);
        let work = answered(&inner, &execution, plan, scanned_bytes_max, &mut open);
        // A panic in the engine ends this execution, and nothing else.
        let work = AssertUnwindSafe(work).catch_unwind();
        outcome = tokio::select! {
            biased;
            () = stop(&mut stopped) => None,
            outcome = work => Some(outcome.unwrap_or_else(|_| {
                Err(SqlError::system("GENERIC_INTERNAL_ERROR: the engine failed in a way it should not have"))
            })),
        };
    }
    drop(place);
    if let Some(open) = open
        && let Err(error) = open.abort().await
    {
        tracing::warn!(%error, id = execution.id, "what was written of a result cannot be removed");
    }
    execution.scanned_bytes = inner.history.get(&execution.id).await.map_or(0, |now| now.scanned_bytes);
    match outcome {
        None => {
            execution.state = State::Cancelled;
            execution.reason = Some("Query cancelled by user".to_owned());
        }
        Some(Ok(result)) => {
            execution.state = State::Succeeded;
            execution.result = Some(result);
        }
        Some(Err(error)) => execution.fail(&error),
    }
    execution.completed_ms = Some((inner.settings.clock)().max(execution.submitted_ms));
    inner.history.end(execution).await;
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    // Without a sender nobody can stop it any more.
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn answered(
    inner: &Inner,
    execution: &Execution,
    plan: Plan,
    scanned_bytes_max: Option<u64>,
    open: &mut Open,
) -> Result<Stored, SqlError> {
    let database = execution.database.clone().unwrap_or_else(|| "default".to_owned());
    let answer = match plan {
        Plan::Statement(statement) => {
            let (catalog, output) = (execution.catalog.clone(), execution.folder.clone());
            let context = Context { catalog, database, output, id: execution.id.clone() };
            inner.engine.run(*statement, &context).await?
        }
        Plan::Prepare { name, sql } => spoken::prepare(inner, &execution.work_group, &name, &sql).await?,
        Plan::Deallocate { name } => spoken::deallocate(inner, &execution.work_group, &name).await?,
    };
    inner.history.reads(&execution.id, &answer.scanned);
    writing::write(&inner.store, execution, answer, scanned_bytes_max, open).await
}
