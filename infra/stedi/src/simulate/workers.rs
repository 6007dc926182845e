//! Threads that run simulations.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;

/// Some threads. Whoever drops them waits for what they are at: a run that is cut off would leave its folder behind.
pub(crate) struct Workers {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

/// Tells threads to stop when they can.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it is time to stop.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Workers {
    /// Starts `work` in so many threads.
    pub(crate) fn start(threads: usize, work: impl FnOnce(Stop) + Clone + Send + 'static) -> io::Result<Self> {
        let mut workers = Self { stop: Stop::default(), threads: Vec::new() };
        for _ in 0..threads {
            let (work, stop) = (work.clone(), workers.stop.clone());
            workers.threads.push(Builder::new().name("simulation".to_owned()).spawn(move || work(stop))?);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has said so, and its result is missed elsewhere.
            drop(thread.join());
        }
    }
}

/// Does `work` in a thread; none if it panicked.
pub(crate) async fn in_thread<T: Send + 'static>(
    work: impl FnOnce(Stop) -> T + Clone + Send + 'static,
) -> io::Result<Option<T>> {
    let (sender, mut result) = mpsc::unbounded_channel();
    let workers = Workers::start(1, move |stop| drop(sender.send(work(stop))))?;
    let result = result.recv().await;
    drop(workers);
    Ok(result)
}
