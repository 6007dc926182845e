//! Any bytes as a landing file.

#![no_main]

#[path = "../checks/landing.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|file: &[u8]| check::check(file));
