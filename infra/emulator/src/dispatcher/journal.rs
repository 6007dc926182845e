//! The events owed, on disk.
//!
//! `.stedi/events` is a file of JSON lines: an event is written before its object becomes visible, and struck off when
//! all functions have acknowledged it. A process killed in between owes the event at its next start: that it may then
//! come twice is harmless, that it never comes would not be. Objects that wake no function are not in it.

use crate::lines::Lines;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

/// A journal is written anew when it is longer than this, and twice as long as after the last time.
const LENGTH_MIN: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
enum Line {
    /// The number of the next event: numbers keep rising when all lines are gone.
    Next(u64),
    Owed(u64, String, String),
    Done(u64),
}

#[derive(Debug)]
pub(super) struct Journal {
    lines: Lines,
    next: u64,
    owed: BTreeMap<u64, (String, String)>,
    /// Rewrite it when it is longer.
    length_max: u64,
}

/// A number, a bucket and a key.
pub(super) type Owed = (u64, String, String);

impl Journal {
    /// Opens the journal; what is owed, in the order in which it happened, once per object.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Owed>)> {
        let (lines, read) = Lines::open(path)?;
        let (mut next, mut owed) = (1, BTreeMap::new());
        for line in read {
            match line {
                Line::Next(number) => next = next.max(number),
                Line::Owed(number, bucket, key) => {
                    next = next.max(number + 1);
                    owed.insert(number, (bucket, key));
                }
                Line::Done(number) => {
                    owed.remove(&number);
                }
            }
        }
        // An event only says where to look, so of several for one object the last will do.
        let last: HashMap<_, _> = owed.iter().map(|(number, object)| (object.clone(), *number)).collect();
        owed.retain(|number, object| last.get(object) == Some(number));
        let again = owed.iter().map(|(number, (bucket, key))| (*number, bucket.clone(), key.clone())).collect();
        let mut journal = Self { lines, next, owed, length_max: 0 };
        journal.rewrite()?;
        Ok((journal, again))
    }

    /// Notes an event before its object becomes visible; its number.
    pub(super) fn owe(&mut self, bucket: &str, key: &str) -> io::Result<u64> {
        let number = self.next;
        self.lines.append(&[Line::Owed(number, bucket.into(), key.into())])?;
        self.next += 1;
        self.owed.insert(number, (bucket.into(), key.into()));
        Ok(number)
    }

    /// Strikes events off.
    pub(super) fn settle(&mut self, numbers: &[u64]) -> io::Result<()> {
        for number in numbers {
            self.owed.remove(number);
        }
        if self.lines.length() > self.length_max {
            return self.rewrite();
        }
        self.lines.append(&numbers.iter().copied().map(Line::Done).collect::<Vec<_>>())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let owed = self.owed.iter().map(|(number, (bucket, key))| Line::Owed(*number, bucket.clone(), key.clone()));
        let lines: Vec<_> = [Line::Next(self.next)].into_iter().chain(owed).collect();
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
    fn what_is_not_struck_off_is_owed_once_per_object_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let (mut journal, owed) = Journal::open(&path).unwrap();
        assert!(owed.is_empty());
        let numbers: Vec<_> = ["a", "b", "c", "a"].map(|key| journal.owe("bucket", key).unwrap()).into();
        assert_eq!(numbers, [1, 2, 3, 4]);
        journal.settle(&[2]).unwrap();
        drop(journal);
        let (mut journal, owed) = Journal::open(&path).unwrap();
        assert_eq!(owed, [(3, "bucket".into(), "c".into()), (4, "bucket".into(), "a".into())]);
        journal.settle(&[3, 4]).unwrap();
        drop(journal);
        let (mut journal, owed) = Journal::open(&path).unwrap();
        assert!(owed.is_empty());
        assert_eq!(journal.owe("bucket", "d").unwrap(), 5, "numbers keep rising");
    }

    #[test]
    fn a_long_journal_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let stays = journal.owe("bucket", "stays").unwrap();
        for _ in 0..10_000 {
            let number = journal.owe("bucket", "goes").unwrap();
            journal.settle(&[number]).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * LENGTH_MIN);
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, [(stays, "bucket".into(), "stays".into())]);
    }
}
