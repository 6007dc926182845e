//! Which new or changed object triggers which function, and what each function may read, write and list.
//!
//! Both are stated here once. Terraform reads them from a generated file, and the simulation checks every request.

pub mod access;
mod triggers;

pub use triggers::{TRIGGERS, Trigger, inputs_of};
