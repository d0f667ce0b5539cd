//! Intent Bus: a job bus over plain HTTP, with Postgres as its only coordinator.
//!
//! The path of a request: [`server`] binds and serves → [`http::routes`] finds the handler → [`http::envelope`] checks what
//! needs no key → [`http::auth`] gives the handler an authenticated input → the handler (`http/<resource>/<verb>.rs`) reads
//! it into the types of [`domain`] → one function of [`store`] does it in one transaction → the answer goes out through the
//! envelope; an [`error`] becomes an answer in [`http::error`] alone.
//!
//! Beside the requests, [`maintenance`] runs on every replica, and [`telemetry`] tells what happens. [`config`] reads the
//! settings once, at the start. [`dev`] runs the bus for a newcomer, with a Postgres of its own; [`mod@bench`] and [`check`] are
//! clients, which measure a bus from outside and try whether it works. The wire format, canonical requests and signatures are in the crate
//! `intent-bus-protocol`.

pub mod app;
pub mod bench;
pub mod check;
pub mod config;
pub mod dev;
pub mod domain;
pub mod error;
pub mod http;
pub mod maintenance;
pub mod server;
pub mod store;
pub mod telemetry;
