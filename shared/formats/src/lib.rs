//! Every byte of the lake, both ways: landing files and stored objects.
//!
//! Pure and synchronous: no AWS, no I/O, no clock, no randomness, no globals. Everything here is a function of its
//! arguments, so the same inputs give the same bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`landing`] | bytes of a landing file → records and rejections |
//! | [`customer_file`], [`reading`] | the records of a customer file, the readings of a reading file |
//! | [`customer_shard`] | a shard of customers: its rows, its versions, and what it remembers of their records |
//! | [`latest_readings`] | the latest-reading index: per customer, whether (and until when) there are readings |
//! | [`manifest`] | what one landing file may touch |
//! | [`index_segment`], [`compacted_segment`] | the key index of files with many keys |
//! | [`reading_rows`] | rows of the reading tables as Parquet, with the versions of their inputs |
//! | [`training`] | rows of the training table |
//! | [`receipt`], [`quarantine`] | the row counts of a landing file, and what was rejected of it |
//! | [`columnar`] | Arrow and Parquet, byte-stable |

pub mod columnar;
pub mod compacted_segment;
pub mod customer_file;
pub mod customer_shard;
pub mod index_segment;
mod key_map;
pub mod landing;
pub mod latest_readings;
pub mod manifest;
mod packed;
pub mod quarantine;
pub mod reading;
pub mod reading_rows;
pub mod receipt;
mod runs;
pub mod training;

/// A stored object of the lake that cannot be read as what its key says it is.
///
/// Only this software writes those objects, so this means damage, a foreign writer, or a newer version's format.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the stored object as {expected}: {reason}; remove it and ingest its landing files again")]
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
