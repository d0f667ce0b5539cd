//! The settings by concern, typed.

use std::{net::IpAddr, time::Duration};

use intent_bus_protocol::generation::Generation;
use ipnet::IpNet;
use secrecy::SecretString;

use crate::store::connect::Address;

/// Where a replica listens and how it stops.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port of the bus.
    pub bus: String,
    /// Address and port of the open metrics; none if closed.
    pub metrics: Option<String>,
    /// Threads that serve requests. One more brings them to the database.
    pub workers: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long to go on serving after SIGTERM.
    pub drain: Duration,
    /// How long requests under way get after that.
    pub shutdown: Duration,
    /// What is logged.
    pub log: String,
    /// Log lines for people instead of machines.
    pub log_pretty: bool,
}

/// Where people look at traces: the URL of a page, with `{trace_id}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceUrl(String);

impl TraceUrl {
    /// None: it is no URL of a page, or names no trace.
    #[must_use]
    pub fn parse(template: &str) -> Option<Self> {
        let is_page = template.starts_with("https://") || template.starts_with("http://");
        let is_clean = !template.contains(|c: char| c.is_whitespace() || c.is_control());
        (is_page && is_clean && template.contains("{trace_id}")).then(|| Self(template.to_owned()))
    }

    /// The page of one trace.
    #[must_use]
    pub fn of(&self, trace_id: &str) -> String {
        self.0.replace("{trace_id}", trace_id)
    }
}

/// The database.
#[derive(Clone)]
pub struct Database {
    /// Where it is.
    pub address: Address,
    /// Past a pool in transaction mode, if there is one on the way.
    pub direct: Option<Address>,
    /// Connections at most.
    pub pool_size: usize,
    /// Apply missing migrations at the start.
    pub migrate: bool,
}

impl Database {
    /// The address for what needs a session of its own: migrations, signals.
    #[must_use]
    pub fn session(&self) -> &Address {
        self.direct.as_ref().unwrap_or(&self.address)
    }
}

/// Secrets and signatures.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The root key.
    pub root: SecretString,
    /// The admin token; none: closed.
    pub admin: Option<SecretString>,
    /// The dashboard's password; none: closed.
    pub dashboard: Option<SecretString>,
    /// The metrics token; none: closed.
    pub metrics: Option<SecretString>,
    /// Refuse unsigned requests.
    pub require_signatures: bool,
    /// The generation of requests that do not declare theirs.
    pub protocol: Generation,
}

/// What stands in front of the bus.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Refuse what did not come by HTTPS.
    pub enforce_https: bool,
    /// Whose forwarding headers are believed.
    pub trusted: Trusted,
}

/// Whose forwarding headers are believed.
#[derive(Debug, Clone)]
pub enum Trusted {
    /// Nobody's.
    Nobody,
    /// Everybody's.
    Everybody,
    /// Those of these networks.
    Networks(Vec<IpNet>),
}

impl Trusted {
    /// Whether this peer's forwarding headers are believed.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Networks(networks) => {
                peer.is_some_and(|peer| networks.iter().any(|net| net.contains(&peer.to_canonical())))
            }
        }
    }
}

/// Sizes, rates and times of the protocol.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Answer clients with 503.
    pub maintenance_mode: bool,
    /// Length of a lease in seconds.
    pub claim_timeout: u32,
    /// How long an unclaimed intent lives, in seconds.
    pub intent_ttl: f64,
    /// Requests of a tenant in 60 s.
    pub rate_per_minute: i32,
    /// Unfinished intents of a tenant.
    pub max_open_intents: i64,
    /// Bytes of a payload, result or value.
    pub max_payload: usize,
    /// How long a client may take to send its request.
    pub request_timeout: Duration,
}

impl Limits {
    /// Bytes of a request's body: one that brings one thing, or many.
    #[must_use]
    pub fn max_body(&self, many: bool) -> usize {
        if many { 8 << 20 } else { 0 }.max(self.max_payload + 65_536)
    }
}

/// What runs in the background.
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// Pause between two passes.
    pub interval: Duration,
    /// Days for which finished intents are kept.
    pub retention_days: i32,
}
