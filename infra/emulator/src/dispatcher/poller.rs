//! Takes batches from a queue and calls the function with them.

use super::queue::{BatchResult, Message, Outcome};
use super::{Handler, Shared, answer, event};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::{JoinError, JoinSet};

/// Polls one function's queue until the dispatcher stops. If it panics, it ends the process: without the poller, everyone who
/// waits for its queue would wait for ever.
pub(super) async fn poll(shared: Arc<Shared>, index: usize) {
    // The panic hook has printed the panic.
    if AssertUnwindSafe(poll_queue(&shared, index)).catch_unwind().await.is_err() {
        std::process::abort();
    }
}

async fn poll_queue(shared: &Shared, index: usize) {
    let function = &shared.functions[index];
    loop {
        let added = function.added.notified();
        tokio::pin!(added);
        // Enabled before the queue is read, so that no message that is added afterwards is missed.
        added.as_mut().enable();
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let batch = shared.take(index);
        match batch.is_empty() {
            true => added.await,
            false => {
                let payload = event::batch(&function.subscription.function, &batch, shared.cloud.now());
                let result = call(Arc::clone(&function.subscription.handler), payload).await;
                let outcome = answer::outcome(&batch, result);
                shared.finish(index, batch, &outcome);
            }
        }
    }
}

/// Calls the function in a task of its own, so that its panic does not end the poller. The set aborts the task if this
/// poller is dropped.
async fn call(handler: Handler, payload: String) -> Result<String, String> {
    let mut task = JoinSet::new();
    task.spawn(async move { handler(payload).await });
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(panic_text(error)),
        None => Err("the function was not called".into()),
    }
}

fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            format!("the function panicked: {}", text.unwrap_or("no text"))
        }
        Err(error) => format!("the call was aborted: {error}"),
    }
}

impl Shared {
    fn take(&self, index: usize) -> Vec<Message> {
        let batch_size = self.functions[index].subscription.batch_size;
        if index >= self.released.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut queues = self.queues();
        let batch = queues.take(index, batch_size, self.cloud.now());
        if !batch.is_empty() {
            self.progress.send_modify(|progress| {
                progress.invocations += 1;
                progress.deliveries += batch.len() as u64;
            });
        }
        batch
    }

    fn finish(&self, index: usize, batch: Vec<Message>, outcome: &Outcome) {
        let name = &self.functions[index].subscription.function;
        match outcome {
            Outcome::Error(error) => tracing::warn!(function = name, messages = batch.len(), error, "a batch failed"),
            Outcome::Failures(ids) if !ids.is_empty() => {
                tracing::warn!(
                    function = name,
                    failed = ids.len(),
                    messages = batch.len(),
                    "messages of a batch failed"
                );
            }
            Outcome::Failures(_) => {}
        }
        let BatchResult { finished, dead, events_done } =
            self.queues().finish_batch(index, name, batch, outcome, self.options.receives_max);
        // The journal before the counters: when nothing is pending, the journal holds dead letters only.
        if !events_done.is_empty() {
            self.remove_from_journal(&events_done);
        }
        self.notify_pollers();
        self.progress.send_modify(|progress| {
            progress.pending -= finished;
            progress.events += finished as u64;
            progress.dead_letters += dead;
        });
    }
}
