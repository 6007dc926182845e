//! The MD5 of bodies, several at once.
//!
//! Every body is hashed, since its ETag is its MD5, and nothing else that happens to it takes as long. In one body each
//! block waits for the one before it, so that most of a processor stands idle; those of different bodies do not wait
//! for each other, and go through the lanes of its vector registers together. Bodies are stored by tasks that know
//! nothing of each other, so here they meet: who has something to hash lets the others run first, and who comes back
//! first hashes what all have brought.

use bytes::Bytes;
use md5_many::{Md5Many, Md5State};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::oneshot;

/// What is smaller is hashed at once and alone: for a few microseconds of hashing no task need wait for its turn. Small
/// objects are most of what a deterministic simulation stores, too, and it would run in another order.
const TOGETHER_BYTES_MIN: usize = 32 * 1024;
/// As much of one body is hashed before others have a turn: a short one need not wait for the end of a long one, which
/// is hashed together with whatever comes next.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// The lanes of the widest registers there are, those of AVX-512. With more bodies a task would keep its thread for
/// longer; the next one takes them.
const LANES_MAX: usize = 16;
/// So few bodies are hashed faster one after the other.
const ALONE_MAX: usize = 2;
/// What MD5 takes at once.
const BLOCK_BYTES: usize = 64;

/// Where bodies meet to be hashed.
pub(crate) struct Hashing {
    /// Made once, since it asks the processor what it can do.
    md5: Md5Many,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next_number: u64,
    /// In the order of their numbers.
    jobs: VecDeque<Job>,
}

struct Job {
    number: u64,
    /// A copy: the owner's stays as it was if nobody hashes this.
    state: Md5State,
    bytes: Bytes,
    done: oneshot::Sender<Md5State>,
}

/// A job as its owner sees it. Dropped, it takes back what nobody has hashed yet: the bytes of a request that was
/// broken off would stay in memory until somebody else has something to hash.
struct Owned<'a> {
    hashing: &'a Hashing,
    number: u64,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        Self { md5: Md5Many::new(), waiting: Mutex::default() }
    }

    /// Hashes more of a body. Lets other tasks run meanwhile, unless it is little.
    pub(crate) async fn update(&self, state: &mut Md5State, chunk: &Bytes) {
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            let slice = rest.split_to(rest.len().min(SLICE_BYTES));
            match slice.len() < TOGETHER_BYTES_MIN {
                true => state.update(&slice),
                false => self.update_together(state, slice).await,
            }
        }
    }

    async fn update_together(&self, state: &mut Md5State, slice: Bytes) {
        let (done, hashed) = oneshot::channel();
        let owned = self.add(*state, slice.clone(), done);
        give_way().await;
        // Each owner looks after its own job: whoever else might have taken it may have been dropped. From taking to
        // telling nothing is awaited, so whoever took it tells.
        while let Some(jobs) = owned.take() {
            self.hash(jobs);
        }
        match hashed.await {
            Ok(hashed) => *state = hashed,
            // Whoever took it panicked.
            Err(_) => state.update(&slice),
        }
    }

    fn add(&self, state: Md5State, bytes: Bytes, done: oneshot::Sender<Md5State>) -> Owned<'_> {
        let mut waiting = self.waiting();
        let number = waiting.next_number;
        waiting.next_number += 1;
        waiting.jobs.push_back(Job { number, state, bytes, done });
        Owned { hashing: self, number }
    }

    /// Hashes as much as all jobs have, then as much as the longer ones have, and so on; then tells the owners.
    fn hash(&self, mut jobs: Vec<Job>) {
        loop {
            let mut long: Vec<_> = jobs.iter_mut().filter(|job| job.bytes.len() >= BLOCK_BYTES).collect();
            let shortest = long.iter().map(|job| job.bytes.len()).min();
            let Some(shortest) = shortest.filter(|_| long.len() > ALONE_MAX) else { break };
            let common = shortest - shortest % BLOCK_BYTES;
            let parts: Vec<_> = long.iter_mut().map(|job| job.bytes.split_to(common)).collect();
            let mut states: Vec<_> = long.iter().map(|job| job.state).collect();
            let mut bytes: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
            // Lanes left empty are filled with the first body: of 5 to 7 bodies the crate makes less than a third of
            // what it makes of one, and of 15 less than half of what it makes of 16.
            let lanes = long.len().next_multiple_of(self.md5.lanes());
            states.resize(lanes, states[0]);
            bytes.resize(lanes, bytes[0]);
            self.md5.update_many(&mut states, &bytes);
            for (job, state) in long.into_iter().zip(states) {
                job.state = state;
            }
        }
        for mut job in jobs {
            job.state.update(&job.bytes);
            // The owner may be gone.
            let _ = job.done.send(job.state);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets other tasks run. Unlike with tokio's own, another thread may go on with this one meanwhile: tokio's keeps it aside
/// until this thread has come round, and what runs here next may compute for long.
async fn give_way() {
    let mut gave = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut gave, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

impl Owned<'_> {
    /// The jobs that came first, as many as there are lanes, if this one still waits.
    fn take(&self) -> Option<Vec<Job>> {
        let mut waiting = self.hashing.waiting();
        waiting.jobs.iter().any(|job| job.number == self.number).then(|| {
            let lanes = waiting.jobs.len().min(LANES_MAX);
            waiting.jobs.drain(..lanes).collect()
        })
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.hashing.waiting().jobs.retain(|job| job.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};
    use proptest::prelude::*;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::JoinSet;

    type Chunks = Vec<Bytes>;

    /// Lengths at which a chunk is treated in another way, and those between them.
    fn length() -> impl Strategy<Value = usize> {
        let around = |length: usize| length - 65..length + 66;
        let some = prop_oneof![0..130_usize, around(TOGETHER_BYTES_MIN), around(SLICE_BYTES), 0..2 * SLICE_BYTES];
        // Those of one length fill their lanes to the end.
        prop_oneof![some, Just(TOGETHER_BYTES_MIN), Just(SLICE_BYTES)]
    }

    fn body() -> impl Strategy<Value = Chunks> {
        (any::<u64>(), prop::collection::vec(length(), 0..4)).prop_map(|(seed, lengths)| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut chunk = |length| {
                let mut bytes = vec![0; length];
                random.fill(&mut bytes);
                Bytes::from(bytes)
            };
            lengths.into_iter().map(&mut chunk).collect()
        })
    }

    fn bodies() -> impl Strategy<Value = Vec<Chunks>> {
        prop::collection::vec(body(), 1..2 * LANES_MAX + 4)
    }

    async fn hashed(hashing: Arc<Hashing>, chunks: Chunks) -> [u8; 16] {
        let mut state = Md5State::new();
        for chunk in &chunks {
            hashing.update(&mut state, chunk).await;
        }
        state.finalize()
    }

    fn expected(chunks: &Chunks) -> [u8; 16] {
        Md5::digest(chunks.concat()).into()
    }

    /// Hashed together with others.
    fn large() -> Bytes {
        vec![1; TOGETHER_BYTES_MIN].into()
    }

    fn runtimes() -> [Runtime; 2] {
        [Builder::new_current_thread(), Builder::new_multi_thread()]
            .map(|mut builder| builder.worker_threads(4).build().unwrap())
    }

    fn is_ready(future: Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn none_waits(hashing: &Hashing) -> bool {
        hashing.waiting().jobs.is_empty()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn bodies_hashed_together_have_the_digests_that_they_have_alone(bodies in bodies()) {
            for runtime in runtimes() {
                let hashing = Arc::new(Hashing::new());
                let tasks = bodies.iter().map(|body| runtime.spawn(hashed(hashing.clone(), body.clone())));
                let tasks: Vec<_> = tasks.collect();
                for (task, body) in tasks.into_iter().zip(&bodies) {
                    prop_assert_eq!(runtime.block_on(task).unwrap(), expected(body));
                }
                prop_assert!(none_waits(&hashing));
            }
        }

        #[test]
        fn whoever_is_broken_off_the_others_have_their_digests(
            bodies in bodies(),
            // In which round each is dropped, if that comes before its end.
            dropped in prop::collection::vec(prop::option::of(0..6_usize), 2 * LANES_MAX + 4),
            seed: u64,
        ) {
            let (hashing, mut random) = (Arc::new(Hashing::new()), fastrand::Rng::with_seed(seed));
            let tasks = bodies.iter().zip(&dropped);
            let mut tasks: Vec<_> = tasks
                .map(|(body, dropped)| (Box::pin(hashed(hashing.clone(), body.clone())), expected(body), *dropped))
                .collect();
            // Polled by hand: whatever waits for nobody would be seen by a task that is never ready.
            let rounds: usize = bodies.iter().flatten().map(|chunk| 2 * (chunk.len() / TOGETHER_BYTES_MIN + 1)).sum();
            for round in 0..rounds + 1 {
                random.shuffle(&mut tasks);
                tasks.retain(|(_, _, dropped)| *dropped != Some(round));
                let mut wrong = false;
                tasks.retain_mut(|(task, expected, _)| {
                    match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(digest) => {
                            wrong |= digest != *expected;
                            false
                        }
                        Poll::Pending => true,
                    }
                });
                prop_assert!(!wrong);
            }
            prop_assert!(tasks.is_empty(), "{} tasks hang", tasks.len());
            prop_assert!(none_waits(&hashing));
        }

        #[test]
        fn tasks_aborted_on_other_threads_do_not_hang_the_rest(bodies in bodies(), aborted: Vec<prop::sample::Index>) {
            let [_, runtime] = runtimes();
            runtime.block_on(async {
                let hashing = Arc::new(Hashing::new());
                let mut tasks = JoinSet::new();
                let mut handles = Vec::new();
                for body in bodies {
                    let hashing = hashing.clone();
                    handles.push(tasks.spawn(async move { hashed(hashing, body.clone()).await == expected(&body) }));
                }
                for index in aborted {
                    index.get(&handles).abort();
                }
                while let Some(ended) = tasks.join_next().await {
                    prop_assert!(ended.unwrap_or_else(|error| error.is_cancelled()));
                }
                prop_assert!(none_waits(&hashing));
                Ok(())
            })?;
        }
    }

    #[test]
    fn a_small_chunk_is_hashed_without_yielding() {
        let (hashing, mut state) = (Hashing::new(), Md5State::new());
        let chunk = Bytes::from(vec![1; TOGETHER_BYTES_MIN - 1]);
        assert!(is_ready(std::pin::pin!(hashing.update(&mut state, &chunk))));
        assert_eq!(state.finalize(), expected(&vec![chunk]));
    }

    #[test]
    fn who_comes_back_first_hashes_for_all() {
        let (hashing, chunk) = (Hashing::new(), large());
        let (mut one, mut other) = (Md5State::new(), Md5State::new());
        let mut first = std::pin::pin!(hashing.update(&mut one, &chunk));
        let mut second = std::pin::pin!(hashing.update(&mut other, &chunk));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        assert_eq!(hashing.waiting().jobs.len(), 2);
        assert!(is_ready(second));
        assert!(none_waits(&hashing));
        assert!(is_ready(first));
    }

    #[test]
    fn what_was_broken_off_keeps_no_bytes() {
        let (hashing, chunk, mut state) = (Hashing::new(), large(), Md5State::new());
        {
            let mut update = std::pin::pin!(hashing.update(&mut state, &chunk));
            assert!(!is_ready(update.as_mut()));
            assert!(!chunk.is_unique());
        }
        assert!(chunk.is_unique());
        assert!(state.is_empty());
    }
}
