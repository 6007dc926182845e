//! Threads that run simulations.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;

/// Some threads. Dropping them waits for their current runs: an aborted run would leave its folder behind.
pub(crate) struct Workers {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

/// Asks threads to stop after their current run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the threads should stop.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Workers {
    /// Starts `work` in `threads` threads.
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
            // A thread that panicked has printed its message, and the receiver notices the missing result.
            drop(thread.join());
        }
    }
}

/// Does `work` in a thread. Returns none if it panicked.
pub(crate) async fn in_thread<T: Send + 'static>(
    work: impl FnOnce(Stop) -> T + Clone + Send + 'static,
) -> io::Result<Option<T>> {
    let (sender, mut result) = mpsc::unbounded_channel();
    let workers = Workers::start(1, move |stop| drop(sender.send(work(stop))))?;
    let result = result.recv().await;
    drop(workers);
    Ok(result)
}
