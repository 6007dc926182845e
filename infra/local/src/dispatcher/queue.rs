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
    /// Messages that are in the queue again.
    pub(super) again: usize,
    /// Events that every function has acknowledged.
    pub(super) events_done: Vec<u64>,
}

struct Outstanding {
    messages: usize,
    dead: bool,
}

pub(super) struct Queues {
    queues: Vec<VecDeque<Message>>,
    outstanding: HashMap<u64, Outstanding>,
    pub(super) dead_letters: Vec<DeadLetter>,
    order: Option<Rng>,
    next: u64,
}

impl Queues {
    pub(super) fn new(functions: usize, shuffle: Option<u64>) -> Self {
        Self {
            queues: (0..functions).map(|_| VecDeque::new()).collect(),
            outstanding: HashMap::new(),
            dead_letters: Vec::new(),
            order: shuffle.map(Rng::with_seed),
            next: 1,
        }
    }

    /// Queues an event for the woken functions; how many messages that made.
    pub(super) fn add(&mut self, event: &Arc<Event>, woken: &[usize], duplicate: usize) -> usize {
        let messages = woken.len() * duplicate;
        self.outstanding.insert(event.ticket, Outstanding { messages, dead: false });
        for &function in woken {
            for _ in 0..duplicate {
                let (number, event) = (self.next, Arc::clone(event));
                self.next += 1;
                self.queues[function].push_back(Message {
                    number,
                    event,
                    receives: 0,
                    first_received: None,
                    error: None,
                });
            }
        }
        messages
    }

    /// Takes the next messages for a function; empty if there are none.
    pub(super) fn take(&mut self, function: usize, batch_size: usize, now: SystemTime) -> Vec<Message> {
        let queue = &mut self.queues[function];
        let mut batch = Vec::with_capacity(batch_size.min(queue.len()));
        while batch.len() < batch_size && !queue.is_empty() {
            let next = match &mut self.order {
                None => queue.pop_front(),
                Some(order) => queue.swap_remove_back(order.usize(..queue.len())),
            };
            batch.extend(next);
        }
        for message in &mut batch {
            message.receives += 1;
            message.first_received.get_or_insert(now);
        }
        batch
    }

    /// Acknowledges, queues again or gives up each message of a batch.
    pub(super) fn settle(
        &mut self,
        function: usize,
        name: &str,
        batch: Vec<Message>,
        outcome: &Outcome,
        receives_max: u32,
    ) -> Settled {
        let mut settled = Settled::default();
        for mut message in batch {
            let failed = match outcome {
                Outcome::Error(error) => {
                    message.error = Some(error.clone());
                    true
                }
                Outcome::Failures(ids) => ids.contains(&message.id()),
            };
            if failed && message.receives < receives_max {
                settled.again += 1;
                self.queues[function].push_back(message);
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
