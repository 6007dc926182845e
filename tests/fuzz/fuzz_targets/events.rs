//! Any bytes as the payload of a Lambda function.

#![no_main]

#[path = "../checks/events.rs"]
mod check;

/// This file alone, not the crate `runtime`: compiling the AWS SDKs with coverage instrumentation would take longer than
/// most of the fuzzing.
#[path = "../../../shared/runtime/src/events.rs"]
#[allow(dead_code, reason = "only the metrics use the age of an event")]
mod events;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| check::check(payload));
