//! One queue per function, and the state of each event.

use super::DeadLetter;
use super::event::Event;
use fastrand::Rng;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

/// One delivery of an event to one function.
#[derive(Debug, Clone)]
pub(super) struct Message {
    number: u64,
    pub(super) event: Arc<Event>,
    /// The index of the function's prefix that the key has.
    prefix: usize,
    /// How often it was delivered.
    pub(super) receives: u32,
    pub(super) first_received: Option<SystemTime>,
    error: Option<String>,
}

impl Message {
    /// A unique id in the form of SQS.
    pub(super) fn id(&self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", self.event.ticket & 0xffff_ffff, self.number & 0xffff_ffff_ffff)
    }
}

/// The outcome of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The messages with these ids failed; the function acknowledged the others.
    Failures(Vec<String>),
    /// All messages failed, with this error.
    Error(String),
}

/// The effects of a finished batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BatchResult {
    /// Messages that are finished, including dead letters.
    pub(super) finished: usize,
    pub(super) dead: usize,
    /// Events that all functions have acknowledged.
    pub(super) events_done: Vec<u64>,
}

struct EventState {
    messages: usize,
    dead: bool,
}

/// The destination of a message: a function, and the prefix that triggers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) function: usize,
    pub(super) prefix: usize,
}

/// The messages of one function.
#[derive(Default)]
struct Queue {
    /// The messages of each prefix, in order.
    messages: Vec<VecDeque<Message>>,
    /// Calls in progress.
    running: usize,
    /// How many calls of earlier functions have begun while its messages waited.
    skips: u32,
}

impl Queue {
    fn len(&self) -> usize {
        self.messages.iter().map(VecDeque::len).sum()
    }

    fn push(&mut self, message: Message) {
        if self.messages.len() <= message.prefix {
            self.messages.resize_with(message.prefix + 1, VecDeque::new);
        }
        self.messages[message.prefix].push_back(message);
    }

    /// Returns the first message of the first prefix, or a random one if there is a random order.
    fn pop(&mut self, order: &mut Option<Rng>) -> Option<Message> {
        let Some(order) = order else {
            return self.messages.iter_mut().find_map(VecDeque::pop_front);
        };
        let mut at = order.usize(..self.len().max(1));
        let queue = self.messages.iter_mut().find(|queue| {
            let here = at < queue.len();
            at -= if here { 0 } else { queue.len() };
            here
        });
        queue?.swap_remove_back(at)
    }
}

/// How many calls of earlier functions a function with messages waits for at most.
const SKIPS_MAX: u32 = 64;

pub(super) struct Queues {
    queues: Vec<Queue>,
    events: HashMap<u64, EventState>,
    pub(super) dead_letters: Vec<DeadLetter>,
    order: Option<Rng>,
    next: u64,
}

impl Queues {
    pub(super) fn new(functions: usize, shuffle: Option<u64>) -> Self {
        Self {
            queues: (0..functions).map(|_| Queue::default()).collect(),
            events: HashMap::new(),
            dead_letters: Vec::new(),
            order: shuffle.map(Rng::with_seed),
            next: 1,
        }
    }

    /// Queues an event for `targets`; returns the number of new messages.
    pub(super) fn add(&mut self, event: &Arc<Event>, targets: &[Target], duplicate: usize) -> usize {
        let messages = targets.len() * duplicate;
        self.events.insert(event.ticket, EventState { messages, dead: false });
        for &Target { function, prefix } in targets {
            for _ in 0..duplicate {
                let (number, event) = (self.next, Arc::clone(event));
                self.next += 1;
                self.queues[function].push(Message {
                    number,
                    event,
                    prefix,
                    receives: 0,
                    first_received: None,
                    error: None,
                });
            }
        }
        messages
    }

    /// Takes the next messages for a function. Returns none if the queue is empty, or while an earlier function is busy: the
    /// objects that it stores may trigger this one, which then handles them in one batch.
    pub(super) fn take(&mut self, function: usize, batch_size: usize, now: SystemTime) -> Vec<Message> {
        let (earlier, rest) = self.queues.split_at_mut(function);
        let Some((queue, later)) = rest.split_first_mut() else { return Vec::new() };
        let is_blocked = earlier.iter().any(|queue| queue.running > 0 || queue.len() > 0);
        if queue.len() == 0 || is_blocked && queue.skips < SKIPS_MAX {
            return Vec::new();
        }
        queue.running += 1;
        queue.skips = 0;
        for queue in later.iter_mut().filter(|queue| queue.len() > 0) {
            queue.skips += 1;
        }
        let mut batch = Vec::with_capacity(batch_size.min(queue.len()));
        while batch.len() < batch_size {
            let Some(next) = queue.pop(&mut self.order) else { break };
            batch.push(next);
        }
        for message in &mut batch {
            message.receives += 1;
            message.first_received.get_or_insert(now);
        }
        batch
    }

    /// Acknowledges each message of a batch, queues it again, or makes it a dead letter.
    pub(super) fn finish_batch(
        &mut self,
        function: usize,
        name: &str,
        batch: Vec<Message>,
        outcome: &Outcome,
        receives_max: u32,
    ) -> BatchResult {
        let mut result = BatchResult::default();
        self.queues[function].running -= 1;
        for mut message in batch {
            let failed = match outcome {
                Outcome::Error(error) => {
                    message.error = Some(error.clone());
                    true
                }
                Outcome::Failures(ids) => ids.contains(&message.id()),
            };
            if failed && message.receives < receives_max {
                self.queues[function].push(message);
                continue;
            }
            result.finished += 1;
            let ticket = message.event.ticket;
            if failed {
                result.dead += 1;
                self.dead_letters.push(DeadLetter {
                    function: name.into(),
                    bucket: message.event.object.bucket.clone(),
                    key: message.event.object.key.clone(),
                    receives: message.receives,
                    error: message.error,
                });
            }
            result.events_done.extend(self.finish_message(ticket, failed));
        }
        result
    }

    /// Returns the number of the event if this was its last message and none became a dead letter.
    fn finish_message(&mut self, ticket: u64, dead: bool) -> Option<u64> {
        let event = self.events.get_mut(&ticket)?;
        event.messages -= 1;
        event.dead |= dead;
        let (left, dead) = (event.messages, event.dead);
        if left > 0 {
            return None;
        }
        self.events.remove(&ticket);
        (!dead).then_some(ticket)
    }
}
