//! Stored objects trigger functions: S3 notifications through one queue per function, delivered at least once.
//!
//! A put whose key is below a prefix of a function becomes a message in the queue of that function. Pollers take the
//! queued messages, up to a batch, and call the function as an SQS event source does. While a function is busy its queue
//! grows, and the next batch is larger.
//!
//! A function waits while one before it in the list of subscriptions is busy, up to a limit. So list the functions in the
//! order in which the objects of one trigger the next: each then handles many objects in one call.
//!
//! A failed message is delivered again. After [`Options::receives_max`] deliveries it becomes a dead letter.
//!
//! Undelivered events survive a killed process. An event is in the journal from before its object is visible until all
//! functions that it triggers have acknowledged it. A dead letter stays in the journal, so the next start delivers it
//! again, when its cause may be repaired.

mod answer;
mod event;
mod journal;
mod poller;
mod queue;
mod report;
mod subscription;

pub use report::{DeadLetter, Progress, Report};
pub use subscription::{DispatchError, Handler, Options, Subscription};

use crate::Cloud;
use crate::objects::{Outbox, StoredObject};
use event::Event;
use journal::Journal;
use queue::{Queues, Target};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Delivers the events of one [`Cloud`]. Dropping it without [`Dispatcher::stop`] aborts the calls in progress, like a
/// kill: the next start delivers the events that were not acknowledged.
pub struct Dispatcher {
    shared: Arc<Shared>,
    /// Dropping the set aborts the pollers and their calls.
    pollers: JoinSet<()>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("progress", &*self.shared.progress.borrow()).finish_non_exhaustive()
    }
}

/// The state that pollers, puts and the owner of the dispatcher share.
struct Shared {
    cloud: Cloud,
    functions: Vec<Function>,
    options: Options,
    journal: Mutex<Journal>,
    queues: Mutex<Queues>,
    progress: watch::Sender<Progress>,
    /// How many functions are called, in the order of the subscriptions. Events of the others stay queued.
    released: AtomicUsize,
    stopping: AtomicBool,
}

struct Function {
    subscription: Subscription,
    /// Notified when its queue may hold messages to take.
    added: Notify,
}

impl Dispatcher {
    /// Starts delivering the events of new objects, and the undelivered events of earlier runs.
    ///
    /// Call it in a tokio runtime: functions run as its tasks.
    ///
    /// # Errors
    /// If the cloud has a dispatcher already, a subscription is invalid, or the journal cannot be read.
    pub fn start(cloud: &Cloud, subscriptions: Vec<Subscription>, options: Options) -> Result<Self, DispatchError> {
        subscription::check(&subscriptions, &options)?;
        if cloud.has_dispatcher().swap(true, Ordering::AcqRel) {
            return Err(DispatchError::AlreadyStarted);
        }
        let (journal, undelivered) = Journal::open(&cloud.state_file("events")).map_err(|error| {
            cloud.has_dispatcher().store(false, Ordering::Release);
            DispatchError::Journal(error)
        })?;
        let functions: Vec<_> =
            subscriptions.into_iter().map(|subscription| Function { subscription, added: Notify::new() }).collect();
        let shared = Arc::new(Shared {
            cloud: cloud.clone(),
            queues: Mutex::new(Queues::new(functions.len(), options.shuffle)),
            functions,
            released: AtomicUsize::new(if options.hold { 0 } else { usize::MAX }),
            options,
            journal: Mutex::new(journal),
            progress: watch::Sender::default(),
            stopping: AtomicBool::new(false),
        });
        for (ticket, bucket, key) in undelivered {
            shared.requeue(ticket, &bucket, &key);
        }
        cloud.objects().set_outbox(Some(Arc::clone(&shared) as Arc<dyn Outbox>));
        let mut pollers = JoinSet::new();
        for (index, function) in shared.functions.iter().enumerate() {
            for _ in 0..function.subscription.concurrency {
                pollers.spawn(poller::poll(Arc::clone(&shared), index));
            }
        }
        Ok(Self { shared, pollers })
    }

    /// Starts the delivery to the first `functions` subscriptions, after [`Options::hold`].
    pub fn release(&self, functions: usize) {
        self.shared.released.fetch_max(functions, Ordering::AcqRel);
        self.shared.notify_pollers();
    }

    /// Waits until no message is queued or in a call. Later puts may queue more.
    pub async fn wait_until_quiet(&self) -> Report {
        // The sender is in `shared`, so the wait cannot fail.
        let _ = self.shared.progress.subscribe().wait_for(|progress| progress.pending == 0).await;
        self.report()
    }

    /// Returns what has happened so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let queues = self.shared.queues();
        let progress = *self.shared.progress.borrow();
        Report {
            events: progress.events,
            deliveries: progress.deliveries,
            invocations: progress.invocations,
            dead_letters: queues.dead_letters.clone(),
        }
    }

    /// Returns a receiver that follows the counters.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Waits for the calls in progress, starts no others, and stops. The next start delivers what is still queued. Stop
    /// servers and other writers first: an object that is put after this triggers no function.
    pub async fn stop(mut self) -> Report {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.notify_pollers();
        // The outbox stays until the last call ends, because that may put objects.
        while self.pollers.join_next().await.is_some() {}
        self.report()
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.pollers.abort_all();
        self.shared.cloud.objects().set_outbox(None);
        self.shared.cloud.has_dispatcher().store(false, Ordering::Release);
    }
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every poller check its queue.
    fn notify_pollers(&self) {
        for function in &self.functions {
            function.added.notify_waiters();
        }
    }

    /// Returns the functions that an object with this key triggers.
    fn targets<'a>(&'a self, bucket: &'a str, key: &'a str) -> impl Iterator<Item = Target> + 'a {
        let below = |prefix: &String| key.len() > prefix.len() && key.starts_with(prefix.as_str());
        self.functions.iter().enumerate().filter_map(move |(function, Function { subscription, .. })| {
            let prefix = subscription.prefixes.iter().position(below)?;
            (subscription.bucket == bucket).then_some(Target { function, prefix })
        })
    }

    /// Queues an undelivered event of an earlier run, with the current version of its object.
    fn requeue(&self, ticket: u64, bucket: &str, key: &str) {
        let objects = self.cloud.objects();
        let object = objects.bucket(bucket).map(|directory| objects.read(&directory, key));
        match object {
            Some(Ok(Some((_, description)))) if self.targets(bucket, key).next().is_some() => {
                let object = StoredObject {
                    bucket: bucket.into(),
                    key: key.into(),
                    size: description.size,
                    etag: description.etag,
                };
                self.commit(ticket, &object);
            }
            Some(Err(error)) => {
                // The event stays in the journal: at the next start the object may be readable.
                tracing::error!(bucket, key, %error, "cannot read an object with an undelivered event; the next start tries again");
            }
            // It was never stored, was deleted, or triggers no function any more.
            _ => self.abort(ticket),
        }
    }

    /// Removes events from the journal. If that fails, the next start delivers them once more.
    fn remove_from_journal(&self, tickets: &[u64]) {
        if let Err(error) = self.journal().remove(tickets) {
            tracing::error!(%error, "cannot remove acknowledged events from the journal; the next start delivers them again");
        }
    }
}

impl Outbox for Shared {
    fn prepare(&self, object: &StoredObject) -> io::Result<Option<u64>> {
        match self.targets(&object.bucket, &object.key).next() {
            None => Ok(None),
            Some(_) => self.journal().add(&object.bucket, &object.key).map(Some),
        }
    }

    fn commit(&self, ticket: u64, object: &StoredObject) {
        let event = Arc::new(Event { ticket, object: object.clone(), time: self.cloud.now() });
        let targets: Vec<_> = self.targets(&object.bucket, &object.key).collect();
        {
            let mut queues = self.queues();
            let added = queues.add(&event, &targets, self.options.duplicate);
            self.progress.send_modify(|progress| progress.pending += added);
        }
        for Target { function, .. } in targets {
            self.functions[function].added.notify_waiters();
        }
    }

    fn abort(&self, ticket: u64) {
        self.remove_from_journal(&[ticket]);
    }
}
