//! The vocabulary of STEDI Lake: what a table, a key, a row, a receipt is, and how each becomes bytes.
//!
//! Pure and synchronous: no AWS, no I/O, no clock, no randomness, no globals. Everything here is a function of its
//! arguments, so the same inputs give the same bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`] | the eight tables: one definition of their columns, for Parquet, Glue and DDL alike |
//! | [`layout`] | every object key, both ways: from meaning to key, and from key to meaning |
//! | [`topology`] | which new object wakes which function |
//! | [`access`] | what each function may read, write and list |
//! | [`hash`], [`time`] | key hashes and shards; partitions, and which times are believable |
//! | [`landing`] | bytes of a landing file → records and rejections |
//! | [`customer`], [`reading`] | the three kinds of record, and the order among a customer's records |
//! | [`trust`] | who may be in the tables: the customer shards, and what they remember |
//! | [`readers`] | who has readings, and until when |
//! | [`announcement`] | what a landing file may touch, said before anything is touched |
//! | [`bulk_entry`], [`merged_entries`] | which files have which keys, for files with many |
//! | [`output`] | the rows of the reading tables as Parquet, with what they were derived from |
//! | [`training`] | the anonymous join |
//! | [`receipt`], [`quarantine`] | the account of a landing file, and what was rejected of it |
//! | [`columnar`] | Arrow and Parquet, byte-stable |

pub mod access;
pub mod announcement;
pub mod bulk_entry;
pub mod columnar;
pub mod customer;
pub mod hash;
mod key_numbers;
pub mod landing;
pub mod layout;
pub mod merged_entries;
pub mod output;
mod packed;
pub mod policy;
pub mod quarantine;
pub mod readers;
pub mod reading;
pub mod receipt;
mod runs;
pub mod table;
pub mod time;
pub mod topology;
pub mod training;
pub mod trust;

/// A stored object of the lake that cannot be read as what its key says it is.
///
/// Only this software writes those objects, so this means damage, a foreign writer, or a newer version's format.
#[derive(Debug, thiserror::Error)]
#[error("stored object is no {expected}: {reason}; restore it, or remove it and deliver its landing files again")]
pub struct Corrupt {
    /// What the object should have been.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Corrupt {
    /// An object that should have been `expected`, and why it is not.
    pub fn new(expected: &'static str, reason: impl std::fmt::Display) -> Self {
        Self { expected, reason: reason.to_string() }
    }
}
