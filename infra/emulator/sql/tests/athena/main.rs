//! The Athena API over a lake in a temporary folder, without HTTP.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod api;
mod executions;
#[path = "../fixture/mod.rs"]
mod fixture;
mod groups;
mod results;
