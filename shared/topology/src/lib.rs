//! Which new or changed object triggers which function, and which objects each function may read, write and list.
//!
//! A file for Terraform is generated from this crate. The simulation checks every request against it.

pub mod access;
mod triggers;

pub use triggers::{TRIGGERS, Trigger, inputs_of};
