//! Every byte format of the lake, read and written: landing files and stored objects.
//!
//! Pure and synchronous: no AWS, no I/O, no clock, no randomness, no globals. The same arguments give the same bytes.
//!
//! | module | content |
//! |---|---|
//! | [`landing`] | reads the bytes of a landing file into records and rejections |
//! | [`customer_file`], [`reading`] | the records of a customer file, the readings of a reading file |
//! | [`customer_shard`] | a shard of customers: its rows, its versions, and the state of their records |
//! | [`latest_readings`] | the latest-reading index: per customer, whether (and until when) there are readings |
//! | [`manifest`] | the generation of a landing file, and everything that it may touch |
//! | [`index_segment`], [`compacted_segment`] | the key index of files with many keys |
//! | [`cell`] | an object of a reading table: the rows of all landing files in one hour, by file |
//! | [`training`] | rows of the training table |
//! | [`work_item`] | cells that a change of consent concerns |
//! | [`receipt`], [`quarantine`] | the row counts of a landing file, and its rejected records |
//! | [`columnar`] | Arrow and Parquet, byte-stable |

pub mod cell;
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
pub mod receipt;
mod runs;
pub mod training;
pub mod work_item;

/// A stored object whose bytes are not what its key says.
///
/// Only this software writes stored objects. So the object is damaged, or another program or another version wrote it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the stored object as {expected}: {reason}")]
pub struct Corrupt {
    /// The expected kind of object.
    pub expected: &'static str,
    /// What is wrong with the object.
    pub reason: String,
}

impl Corrupt {
    /// Returns the error for an object that should be `expected`, with the reason why it is not.
    pub fn new(expected: &'static str, reason: impl std::fmt::Display) -> Self {
        Self { expected, reason: reason.to_string() }
    }
}
