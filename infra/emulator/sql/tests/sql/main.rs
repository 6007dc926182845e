//! SQL over a lake in a temporary folder: the real catalog and store, over the wire within the process.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

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
