//! The Athena API over a lake in a temporary folder: what clients call, without HTTP.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

mod api;
mod executions;
#[path = "../fixture/mod.rs"]
mod fixture;
mod groups;
mod results;
