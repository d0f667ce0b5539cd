//! The client against servers that a test makes up: each generation, answers that get lost, answers that are not to be trusted.
//! Against the real bus it is tested where that is, in `tests/it/clients`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
#[cfg(unix)]
mod credentials;
mod finishes;
mod generations;
mod repeats;
mod stub;
mod workers;
