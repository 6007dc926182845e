//! What the local stack does, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

mod cloud;
mod dispatcher;
mod durability;
mod killed;
mod robustness;
mod signatures;
mod support;
