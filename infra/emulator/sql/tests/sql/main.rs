//! SQL over a lake in a temporary folder, with the emulated S3 and Glue in the same process.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod definitions;
#[path = "../fixture/mod.rs"]
mod fixture;
mod lake;
mod names;
mod protection;
mod pruning;
mod removal;
mod serde;
mod values;
mod writing;
