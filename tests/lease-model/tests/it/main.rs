//! The machine held against recorded runs, and the models that a checker walks through.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says why on the terminal"
)]

mod leases;
mod nonces;
mod publishes;
mod runs;
mod walked;
