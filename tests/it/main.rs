//! The bus under test: over real HTTP, on a database of each test's own. The modules are named like those of `src/http`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says why on the terminal"
)]

mod admin;
mod auth;
mod config;
mod envelope;
mod explain;
mod fidelity;
mod generations;
mod idempotency;
mod intents;
mod limits;
mod maintenance;
mod meta;
mod routes;
mod secrets;
mod store;
mod processes;
mod support;
mod values;
