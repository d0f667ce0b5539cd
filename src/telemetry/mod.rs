//! What a replica tells of itself: log lines, metrics, traces.

pub mod events;
pub mod flow;
pub mod logging;
pub mod metrics;
pub mod traces;
