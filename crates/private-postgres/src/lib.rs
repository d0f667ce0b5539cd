//! Runs a private Postgres of one's own: found or fetched, started as root or not, and gone without a trace.
//!
//! Three processes take part, so that none of them can leave the others behind:
//!
//! ```text
//! caller ──pipe──▶ guard ──parent of──▶ postgres
//! ```
//!
//! The caller ([`PrivatePostgres::start`]) finds the binaries and starts the guard, which is the caller's own
//! executable under a hidden subcommand ([`guard::run`]). The guard makes the folders, runs `initdb`, starts Postgres
//! and stops it once its standard input ends, which it does however the caller died.
//!
//! Where things are:
//! - `options`, `server`: what a caller chooses; start, connection strings, stop
//! - `binaries`, [`fetch`]: where `postgres` and `initdb` come from
//! - [`guard`]: the life of one server, from the folders to the clean-up; `events` is what it waits for
//! - `cluster`: `initdb`, the server's arguments, readiness; `launch` and `process` start and end one program
//! - `folders`, `pidfile`, `account`: locks and left-overs, who runs already, and as whom Postgres runs
//! - `wire`: the fields that travel over the pipes
//!
//! What it does not do: nothing here speaks the database's protocol or creates databases; that is the caller's.

mod account;
mod binaries;
mod cluster;
mod error;
mod events;
pub mod fetch;
mod folders;
pub mod guard;
mod launch;
mod options;
mod pidfile;
mod process;
mod server;
mod wire;

pub use binaries::{Binaries, MINIMUM_MAJOR, needs_fetch};
pub use error::Error;
pub use fetch::Fetch;
pub use options::{Data, Guard, Options, default_data_dir};
pub use server::{PrivatePostgres, USER};
