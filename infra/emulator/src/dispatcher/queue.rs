//! A queue per function, and how far each event has come.

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
    /// Which of the function's prefixes the object is below.
    prefix: usize,
    /// How often it was taken out of its queue.
    pub(super) receives: u32,
    pub(super) first_received: Option<SystemTime>,
    error: Option<String>,
}

impl Message {
    /// Unique, in the shape of SQS's.
    pub(super) fn id(&self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", self.event.ticket & 0xffff_ffff, self.number & 0xffff_ffff_ffff)
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The messages of these ids failed, all others are acknowledged.
    Failures(Vec<String>),
    /// All failed, for this reason.
    Error(String),
}

/// What a settled batch changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Messages that are finished, dead letters among them.
    pub(super) finished: usize,
    pub(super) dead: usize,
    /// Events that every function has acknowledged.
    pub(super) events_done: Vec<u64>,
}

struct Outstanding {
    messages: usize,
    dead: bool,
}

/// Where an event's message goes: to a function, by which of its prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Woken {
    pub(super) function: usize,
    pub(super) prefix: usize,
}

/// The messages of one function.
#[derive(Default)]
struct Queue {
    /// For each of its prefixes, in order.
    messages: Vec<VecDeque<Message>>,
    /// Calls under way.
    running: usize,
    /// How many calls of functions before it have begun since messages of its own began to wait.
    passed_over: u32,
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

    /// The next message: the first of the first prefix, or any.
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

/// How many calls of functions before it a function with messages waits for at most.
const PASSED_OVER_MAX: u32 = 64;

pub(super) struct Queues {
    queues: Vec<Queue>,
    outstanding: HashMap<u64, Outstanding>,
    pub(super) dead_letters: Vec<DeadLetter>,
    order: Option<Rng>,
    next: u64,
}

impl Queues {
    pub(super) fn new(functions: usize, shuffle: Option<u64>) -> Self {
        Self {
            queues: (0..functions).map(|_| Queue::default()).collect(),
            outstanding: HashMap::new(),
            dead_letters: Vec::new(),
            order: shuffle.map(Rng::with_seed),
            next: 1,
        }
    }

    /// Queues an event for the woken functions; how many messages that made.
    pub(super) fn add(&mut self, event: &Arc<Event>, woken: &[Woken], duplicate: usize) -> usize {
        let messages = woken.len() * duplicate;
        self.outstanding.insert(event.ticket, Outstanding { messages, dead: false });
        for &Woken { function, prefix } in woken {
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

    /// Takes the next messages for a function; empty if there are none, or if a function before it has something to do:
    /// what that stores may be more for this one, which then derives once what it would have derived twice.
    pub(super) fn take(&mut self, function: usize, batch_size: usize, now: SystemTime) -> Vec<Message> {
        let (before, from) = self.queues.split_at_mut(function);
        let Some((queue, after)) = from.split_first_mut() else { return Vec::new() };
        let is_behind = before.iter().any(|before| before.running > 0 || before.len() > 0);
        if queue.len() == 0 || is_behind && queue.passed_over < PASSED_OVER_MAX {
            return Vec::new();
        }
        queue.running += 1;
        queue.passed_over = 0;
        for after in after.iter_mut().filter(|after| after.len() > 0) {
            after.passed_over += 1;
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

    /// Acknowledges, queues again or gives up each message of a batch that was taken.
    pub(super) fn settle(
        &mut self,
        function: usize,
        name: &str,
        batch: Vec<Message>,
        outcome: &Outcome,
        receives_max: u32,
    ) -> Settled {
        let mut settled = Settled::default();
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
            settled.finished += 1;
            let ticket = message.event.ticket;
            if failed {
                settled.dead += 1;
                self.dead_letters.push(DeadLetter {
                    function: name.into(),
                    bucket: message.event.object.bucket.clone(),
                    key: message.event.object.key.clone(),
                    receives: message.receives,
                    error: message.error,
                });
            }
            settled.events_done.extend(self.finish(ticket, failed));
        }
        settled
    }

    /// The event's number, if this was its last message and none was given up.
    fn finish(&mut self, ticket: u64, dead: bool) -> Option<u64> {
        let event = self.outstanding.get_mut(&ticket)?;
        event.messages -= 1;
        event.dead |= dead;
        let (left, dead) = (event.messages, event.dead);
        if left > 0 {
            return None;
        }
        self.outstanding.remove(&ticket);
        (!dead).then_some(ticket)
    }
}
