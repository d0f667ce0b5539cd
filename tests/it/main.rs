//! The bus under test: over real HTTP, on a database of each test's own. The modules are named like those of `src/http`.

#![allow(
    clippy::expect_used,
    clippy::format_collect,
    clippy::panic,
    clippy::print_stderr,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test fails by panicking, says why on the terminal, and may spend an allocation"
)]

mod admin;
mod auth;
mod cli;
mod clients;
mod config;
mod dashboard;
mod envelope;
mod explain;
mod fidelity;
mod flow;
mod generations;
mod idempotency;
mod intents;
mod limits;
mod log;
mod maintenance;
mod meta;
mod model;
mod processes;
mod routes;
mod secrets;
mod store;
mod support;
mod traces;
mod values;
