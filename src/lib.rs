//! Intent Bus: a job bus over plain HTTP, with Postgres as its only coordinator.
//!
//! The path of a request: [`server`] binds and serves → [`http::routes`] finds the handler → [`http::envelope`] checks what
//! needs no key → [`http::auth`] gives the handler an authenticated input → the handler (`http/<resource>/<verb>.rs`) reads
//! it into the types of [`domain`] → one function of [`store`] does it in one transaction → the answer goes out through the
//! envelope; an [`error`] becomes an answer in [`http::error`] alone.
//!
//! Beside the requests, [`maintenance`] runs on every replica, and [`telemetry`] tells what happens. [`config`] reads the
//! settings once, at the start. [`dev`] runs the bus for a newcomer, with a Postgres of its own; [`mod@bench`] and [`check`] are
//! clients, which measure a bus from outside and try whether it works. [`cli`] is for those who publish and work; by the
//! feature `cli` without `server` it is built alone, into a small binary for any machine. The wire format, canonical requests and
//! signatures are in the crate `intent-bus-protocol`, the client that [`cli`] stands on is in `intent-bus-client`.

#[cfg(not(any(feature = "server", feature = "cli")))]
compile_error!("choose what to build: `server`, `cli`, or both");

#[cfg(feature = "cli")]
pub mod cli;

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod bench;
#[cfg(feature = "server")]
pub mod check;
#[cfg(feature = "server")]
pub mod commands;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod dev;
#[cfg(feature = "server")]
pub mod domain;
#[cfg(feature = "server")]
pub mod error;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod maintenance;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
