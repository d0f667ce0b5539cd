//! Torture: the bus is broken on purpose, under load, and what it said is held against what it did.
//!
//! ```text
//! clients ──▶ proxy? ──▶ replicas ──▶ proxy? ──▶ Postgres
//!    │                                              │
//!    ▼ log: asked, answered                         ▼ state: every intent, every change of a row
//!    └───────────────────▶ check ◀──────────────────┘
//! ```
//!
//! - [`log`]: what was asked and answered; [`state`]: what is in Postgres; [`check`]: the first against the second
//! - [`bus`], [`http`], [`load`], [`crew`], `publisher`, `worker`: the clients
//! - [`cluster`], [`proxy`]: real replicas on a real Postgres, and the network between them
//! - [`experiment`]: how a run goes; [`scenarios`]: what is broken around the bus; [`mutations`]: the bus itself is broken, so that
//!   the check can show that it notices
//!
//! Everything random comes from one seed. What the system makes of it, the order in which processes run, does not: a seed
//! repeats the decisions, not the run.

pub mod bus;
pub mod check;
pub mod cluster;
pub mod crew;
pub mod experiment;
pub mod http;
pub mod load;
pub mod log;
pub mod mutations;
pub mod proxy;
mod publisher;
pub mod scenarios;
pub mod state;
mod worker;
