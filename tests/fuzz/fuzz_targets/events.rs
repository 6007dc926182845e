//! Any bytes as the payload of a Lambda function.

#![no_main]

#[path = "../checks/events.rs"]
mod check;

/// The one file, and not the crate `aws`: the AWS SDKs would have to be compiled with coverage instrumentation, which
/// takes longer than most of the fuzzing.
#[path = "../../../shared/aws/src/events.rs"]
#[allow(dead_code, reason = "only the metrics ask how old an event is")]
mod events;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| check::check(payload));
