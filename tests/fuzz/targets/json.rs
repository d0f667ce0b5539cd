//! Bodies: nothing panics, and what is JSON stays the same JSON.

#![no_main]

#[allow(dead_code, reason = "of these checks one")]
#[path = "../../../crates/protocol/tests/hostile/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::json(input));
