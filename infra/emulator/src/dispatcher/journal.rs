//! The journal of undelivered events, on disk.
//!
//! `.emulator/events` is a file of JSON lines. An event is written before its object becomes visible, and removed when all
//! functions have acknowledged it. After a kill in between, the next start delivers it: functions must accept an event
//! twice, but no event may be lost. Objects that trigger no function are not in the journal.

use crate::lines::Lines;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

/// The journal is rewritten when it is longer than this and twice as long as after the last rewrite.
const LENGTH_MIN: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
enum Line {
    /// The number of the next event: numbers increase even after a rewrite without events.
    Next(u64),
    Undelivered(u64, String, String),
    Done(u64),
}

#[derive(Debug)]
pub(super) struct Journal {
    lines: Lines,
    next: u64,
    undelivered: BTreeMap<u64, (String, String)>,
    /// The length at which the journal is rewritten.
    length_max: u64,
}

/// A number, a bucket and a key.
pub(super) type UndeliveredEvent = (u64, String, String);

impl Journal {
    /// Opens the journal; returns it with the undelivered events in order, the last one of each object.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<UndeliveredEvent>)> {
        let (lines, read) = Lines::open(path)?;
        let (mut next, mut undelivered) = (1, BTreeMap::new());
        for line in read {
            match line {
                Line::Next(number) => next = next.max(number),
                Line::Undelivered(number, bucket, key) => {
                    next = next.max(number + 1);
                    undelivered.insert(number, (bucket, key));
                }
                Line::Done(number) => {
                    undelivered.remove(&number);
                }
            }
        }
        // An event only names an object, so the last of several for one object suffices.
        let last: HashMap<_, _> = undelivered.iter().map(|(number, object)| (object.clone(), *number)).collect();
        undelivered.retain(|number, object| last.get(object) == Some(number));
        let events = undelivered.iter().map(|(number, (bucket, key))| (*number, bucket.clone(), key.clone())).collect();
        let mut journal = Self { lines, next, undelivered, length_max: 0 };
        journal.rewrite()?;
        Ok((journal, events))
    }

    /// Adds an event before its object becomes visible; returns its number.
    pub(super) fn add(&mut self, bucket: &str, key: &str) -> io::Result<u64> {
        let number = self.next;
        self.lines.append(&[Line::Undelivered(number, bucket.into(), key.into())])?;
        self.next += 1;
        self.undelivered.insert(number, (bucket.into(), key.into()));
        Ok(number)
    }

    /// Removes events.
    pub(super) fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        for number in numbers {
            self.undelivered.remove(number);
        }
        if self.lines.length() > self.length_max {
            return self.rewrite();
        }
        self.lines.append(&numbers.iter().copied().map(Line::Done).collect::<Vec<_>>())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let undelivered = self
            .undelivered
            .iter()
            .map(|(number, (bucket, key))| Line::Undelivered(*number, bucket.clone(), key.clone()));
        let lines: Vec<_> = [Line::Next(self.next)].into_iter().chain(undelivered).collect();
        self.lines.replace(&lines)?;
        self.length_max = LENGTH_MIN.max(2 * self.lines.length());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

    use super::*;

    #[test]
    fn reopening_returns_undelivered_events_in_order_once_per_object() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let (mut journal, undelivered) = Journal::open(&path).unwrap();
        assert!(undelivered.is_empty());
        let numbers: Vec<_> = ["a", "b", "c", "a"].map(|key| journal.add("bucket", key).unwrap()).into();
        assert_eq!(numbers, [1, 2, 3, 4]);
        journal.remove(&[2]).unwrap();
        drop(journal);
        let (mut journal, undelivered) = Journal::open(&path).unwrap();
        assert_eq!(undelivered, [(3, "bucket".into(), "c".into()), (4, "bucket".into(), "a".into())]);
        journal.remove(&[3, 4]).unwrap();
        drop(journal);
        let (mut journal, undelivered) = Journal::open(&path).unwrap();
        assert!(undelivered.is_empty());
        assert_eq!(journal.add("bucket", "d").unwrap(), 5, "numbers increase");
    }

    #[test]
    fn a_long_journal_is_rewritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let stays = journal.add("bucket", "stays").unwrap();
        for _ in 0..10_000 {
            let number = journal.add("bucket", "goes").unwrap();
            journal.remove(&[number]).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * LENGTH_MIN);
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, [(stays, "bucket".into(), "stays".into())]);
    }
}
