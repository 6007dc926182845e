//! Tests of the emulator through its public interface.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

mod cloud;
mod dispatcher;
mod durability;
mod kill;
mod robustness;
mod signatures;
mod support;
