//! Signatures: each vouches for one request, read in one way.

#![no_main]

#[allow(dead_code, reason = "of these checks one")]
#[path = "../../../crates/protocol/tests/hostile/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::signing(input));
