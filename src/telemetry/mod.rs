//! What a replica tells of itself: log lines and metrics.

pub mod flow;
pub mod logging;
pub mod metrics;
