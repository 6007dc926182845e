//! Stored objects wake functions: S3 notifications, through a queue per function, at least once.
//!
//! A put whose key is below one of a function's prefixes becomes a message in that function's queue. Pollers take
//! what has gathered, up to a batch, and hand it to the function as an SQS event source does; while a function is
//! busy its queue fills, and the next batch is larger. A function waits while one before it in the order of the
//! subscriptions has something to do, though not for ever; so name them in the order in which what one stores wakes the
//! next, and each derives once what it would have derived again and again. What fails is delivered again, and after
//! [`Options::receives_max`] times it is a dead letter.
//!
//! What is owed survives a killed process: an event is in a journal from before its object is visible until every
//! function it wakes has acknowledged it. A dead letter stays owed, so it is delivered again at the next start, when
//! whatever was wrong may have been put right.

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
use queue::{Queues, Woken};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Delivers the events of one [`Cloud`]. Dropped without [`Dispatcher::stop`] it breaks off like a killed process:
/// what was not acknowledged is owed at the next start.
pub struct Dispatcher {
    shared: Arc<Shared>,
    /// Dropping it aborts the pollers, and they the calls of their functions.
    pollers: JoinSet<()>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("progress", &*self.shared.progress.borrow()).finish_non_exhaustive()
    }
}

/// What pollers, puts and the dispatcher's owner share.
struct Shared {
    cloud: Cloud,
    functions: Vec<Function>,
    options: Options,
    journal: Mutex<Journal>,
    queues: Mutex<Queues>,
    progress: watch::Sender<Progress>,
    /// How many functions are called, in the order of the subscriptions. Events of the others are only gathered.
    released: AtomicUsize,
    stopping: AtomicBool,
}

struct Function {
    subscription: Subscription,
    /// Something was added to its queue.
    added: Notify,
}

impl Dispatcher {
    /// Starts delivering what the cloud stores from now on, and what an earlier run still owes.
    ///
    /// Call it inside a tokio runtime: functions run as its tasks.
    ///
    /// # Errors
    /// If the cloud has a dispatcher already, a subscription is invalid, or the journal cannot be read.
    pub fn start(cloud: &Cloud, subscriptions: Vec<Subscription>, options: Options) -> Result<Self, DispatchError> {
        subscription::check(&subscriptions, &options)?;
        if cloud.has_dispatcher().swap(true, Ordering::AcqRel) {
            return Err(DispatchError::AlreadyStarted);
        }
        let (journal, owed) = Journal::open(&cloud.own("events")).map_err(|error| {
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
        for (ticket, bucket, key) in owed {
            shared.owe_again(ticket, &bucket, &key);
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

    /// Starts the delivery of what was held to the functions that are among the first `functions` subscriptions: see
    /// [`Options::hold`].
    pub fn release(&self, functions: usize) {
        self.shared.released.fetch_max(functions, Ordering::AcqRel);
        self.shared.look_again();
    }

    /// Waits until nothing is queued or being handled. More may come later, from other puts.
    pub async fn wait_until_quiet(&self) -> Report {
        // The sender is in `shared`, so the wait cannot fail.
        let _ = self.shared.progress.subscribe().wait_for(|progress| progress.pending == 0).await;
        self.report()
    }

    /// What has happened so far.
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

    /// Follows the counters as they change.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Lets the calls under way finish, starts no others, and stops. What is still queued is owed at the next start.
    /// Stop servers and other writers first: what is put after this wakes nobody.
    pub async fn stop(mut self) -> Report {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.look_again();
        // The outbox stays until the last call is over, for that may put objects.
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

    /// Has every poller look whether there is something to do.
    fn look_again(&self) {
        for function in &self.functions {
            function.added.notify_waiters();
        }
    }

    /// The functions that an object of this bucket and key wakes.
    fn woken_by<'a>(&'a self, bucket: &'a str, key: &'a str) -> impl Iterator<Item = Woken> + 'a {
        let below = |prefix: &String| key.len() > prefix.len() && key.starts_with(prefix.as_str());
        self.functions.iter().enumerate().filter_map(move |(function, Function { subscription, .. })| {
            let prefix = subscription.prefixes.iter().position(below)?;
            (subscription.bucket == bucket).then_some(Woken { function, prefix })
        })
    }

    /// Queues an event that an earlier run did not finish. Its object's present version is the one to look at.
    fn owe_again(&self, ticket: u64, bucket: &str, key: &str) {
        let objects = self.cloud.objects();
        let found = objects.bucket(bucket).map(|directory| objects.read(&directory, key));
        match found {
            Some(Ok(Some((_, description)))) if self.woken_by(bucket, key).next().is_some() => {
                let object = StoredObject {
                    bucket: bucket.into(),
                    key: key.into(),
                    size: description.size,
                    etag: description.etag,
                };
                self.stored(ticket, &object);
            }
            Some(Err(error)) => {
                // Stays owed: at the next start it may be readable.
                tracing::error!(bucket, key, %error, "an object whose event is owed cannot be read");
            }
            // It was never stored, is deleted, or no function is interested any more.
            _ => self.abandoned(ticket),
        }
    }

    /// Strikes events off the journal. If that fails, they are only delivered once more at the next start.
    fn settle(&self, tickets: &[u64]) {
        if let Err(error) = self.journal().settle(tickets) {
            tracing::error!(%error, "events that are done could not be marked so, and will be delivered again");
        }
    }
}

impl Outbox for Shared {
    fn intend(&self, object: &StoredObject) -> io::Result<Option<u64>> {
        match self.woken_by(&object.bucket, &object.key).next() {
            None => Ok(None),
            Some(_) => self.journal().owe(&object.bucket, &object.key).map(Some),
        }
    }

    fn stored(&self, ticket: u64, object: &StoredObject) {
        let event = Arc::new(Event { ticket, object: object.clone(), time: self.cloud.now() });
        let woken: Vec<_> = self.woken_by(&object.bucket, &object.key).collect();
        {
            let mut queues = self.queues();
            let added = queues.add(&event, &woken, self.options.duplicate);
            self.progress.send_modify(|progress| progress.pending += added);
        }
        for Woken { function, .. } in woken {
            self.functions[function].added.notify_waiters();
        }
    }

    fn abandoned(&self, ticket: u64) {
        self.settle(&[ticket]);
    }
}
