//! Runs one execution from the queue to its end.

use super::Inner;
use super::execution::{Execution, State, StoredResult};
use super::fault::Fault;
use super::result_writer::{self, OpenWriter};
use crate::answer::Answer;
use crate::engine::{Context, Statement};
use crate::error::SqlError;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;

/// The work of an execution.
pub(super) enum Plan {
    /// A statement for the engine.
    Statement(Box<Statement>),
    /// `PREPARE name FROM statement`.
    Prepare { name: String, sql: String },
    /// `DEALLOCATE PREPARE name`.
    Deallocate { name: String },
}

/// Waits for a permit and runs `plan`.
pub(super) async fn run(
    inner: Arc<Inner>,
    mut execution: Execution,
    plan: Plan,
    scanned_bytes_max: Option<u64>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut open = OpenWriter::None;
    let mut outcome = None;
    let permit = tokio::select! {
        biased;
        () = stop(&mut stopped) => None,
        permit = inner.permits.acquire() => permit.ok(),
    };
    if permit.is_some() {
        execution.state = State::Running;
        execution.started_ms = Some((inner.settings.clock)());
        inner.history.run(&execution);
        let work = run_plan(&inner, &execution, plan, scanned_bytes_max, &mut open);
        // A panic in the engine ends only this execution.
        let work = AssertUnwindSafe(work).catch_unwind();
        outcome = tokio::select! {
            biased;
            () = stop(&mut stopped) => None,
            outcome = work => Some(outcome.unwrap_or_else(|_| {
                Err(SqlError::system("GENERIC_INTERNAL_ERROR: the engine panicked"))
            })),
        };
    }
    drop(permit);
    if let Some(open) = open
        && let Err(error) = open.abort().await
    {
        tracing::warn!(%error, id = execution.id, "cannot remove an unfinished result");
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
    // Without a sender, the execution cannot be stopped any more.
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn run_plan(
    inner: &Inner,
    execution: &Execution,
    plan: Plan,
    scanned_bytes_max: Option<u64>,
    open: &mut OpenWriter,
) -> Result<StoredResult, SqlError> {
    let database = execution.database.clone().unwrap_or_else(|| "default".to_owned());
    let answer = match plan {
        Plan::Statement(statement) => {
            let (catalog, output) = (execution.catalog.clone(), execution.folder.clone());
            let context = Context { catalog, database, output, id: execution.id.clone() };
            inner.engine.run(*statement, &context).await?
        }
        Plan::Prepare { name, sql } => prepared(inner.prepare(&execution.work_group, name, sql, None).await)?,
        Plan::Deallocate { name } => prepared(inner.deallocate(&execution.work_group, &name).await)?,
    };
    inner.history.reads(&execution.id, &answer.scanned);
    result_writer::write(&inner.store, execution, answer, scanned_bytes_max, open).await
}

/// The answer of a statement about prepared statements.
fn prepared(done: Result<(), Fault>) -> Result<Answer, SqlError> {
    done.map(|()| Answer::empty()).map_err(|fault| SqlError::user(format!("FAILED: {}", fault.message())))
}
