//! The settings: one table that documents each once, read from a file and then the environment into typed sections.

mod load;
pub mod sections;
pub mod table;
pub mod traces;

use std::fmt;

pub use self::{
    load::{ConfigError, environment, listens_at, load, load_database, load_from, root_key},
    sections::{Auth, Database, Limits, Listen, Maintenance, Proxy, TraceUrl},
    traces::Traces,
};

/// The settings of one replica, read and validated.
#[derive(Clone)]
pub struct Config {
    /// Where it listens and how it stops.
    pub listen: Listen,
    /// The database.
    pub database: Database,
    /// Secrets and signatures.
    pub auth: Auth,
    /// What stands in front of the bus.
    pub proxy: Proxy,
    /// Sizes, rates and times of the protocol.
    pub limits: Limits,
    /// What runs in the background.
    pub maintenance: Maintenance,
    /// Where traces go.
    pub traces: Traces,
    /// Where people look at them.
    pub trace_url: Option<TraceUrl>,
    /// The values as they were read, by name, for `serve --check`; secrets are replaced.
    shown: Vec<(&'static str, String)>,
}

impl Config {
    /// Every setting with its value in force, secrets redacted.
    #[must_use]
    pub fn shown(&self) -> &[(&'static str, String)] {
        &self.shown
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown.iter().map(|(name, value)| (name, value))).finish()
    }
}
