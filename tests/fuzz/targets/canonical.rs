//! Targets: two are written alike exactly if they mean the same.

#![no_main]

#[allow(dead_code, reason = "of these checks one")]
#[path = "../../../crates/protocol/tests/hostile/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::canonical_request(input));
