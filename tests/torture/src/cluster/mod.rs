//! Replicas, their Postgres, and the proxies in between. Everything here is a child of this process or a task of it, and ends with
//! the value that stands for it.

mod database;
mod replica;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use hyper::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

pub use self::{
    database::Database,
    replica::{Replica, send},
};
use crate::{
    bus::{Bus, PATIENCE, ROOT, Tenant},
    http::Request,
    load::random,
    log::Log,
    proxy::{Proxy, Rewrite, Upstream},
    state::{self, End},
};

/// The root key.
const ROOT_KEY: &str = "root-key-of-the-torture-0f8e7d6c5b4a3928";
/// The admin token.
const ADMIN: &str = "admin-token-of-the-torture-1a2b3c4d5e6f";
/// Limits that nobody reaches.
const UNLIMITED: i64 = 1_000_000_000;

/// The bus's own program, beside ours. `BUS_BINARY` names another.
fn binary() -> Result<PathBuf> {
    if let Some(named) = named_by("BUS_BINARY")? {
        return Ok(named);
    }
    let ours = std::env::current_exe()?;
    // The tests of this package run from a folder below.
    let found = ours.ancestors().skip(1).take(2).map(|folder| folder.join("intent-bus")).find(|path| path.is_file());
    found.ok_or_else(|| anyhow!("no intent-bus beside {}: run `cargo build` first", ours.display()))
}

/// The program of an earlier release, if `BUS_PREVIOUS_BINARY` names one.
pub fn previous_binary() -> Result<Option<PathBuf>> {
    named_by("BUS_PREVIOUS_BINARY")
}

fn named_by(variable: &'static str) -> Result<Option<PathBuf>> {
    std::env::var_os(variable).map(|named| std::fs::canonicalize(named).context(variable)).transpose()
}

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many replicas.
    pub replicas: usize,
    /// The program of those that are started, if it is not the one to be tested.
    pub program: Option<PathBuf>,
    /// Length of a lease, in whole seconds.
    pub lease: u32,
    /// Settings of every replica.
    pub settings: Vec<(&'static str, String)>,
    /// Settings of Postgres.
    pub postgres: Vec<(&'static str, &'static str)>,
    /// A proxy in front of each replica.
    pub in_front: bool,
    /// A proxy between each replica and Postgres.
    pub between: bool,
    /// What the latter changes.
    pub rewrites: Vec<Rewrite>,
    /// Whether the database notes what happens to each intent. It costs something.
    pub noted: bool,
    /// Of each replica, what is added to its clock, in seconds.
    pub clocks: Vec<f64>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            replicas: 3,
            program: None,
            lease: 4,
            settings: Vec::new(),
            postgres: vec![("max_connections", "120")],
            in_front: false,
            between: false,
            rewrites: Vec::new(),
            noted: true,
            clocks: Vec::new(),
        }
    }
}

/// A replica and the proxies around it.
#[derive(Debug)]
pub struct Place {
    /// None while it is down.
    pub replica: Option<Replica>,
    /// In front of it.
    pub in_front: Option<Proxy>,
    /// Between it and Postgres.
    pub between: Option<Proxy>,
}

/// A bus and all that it consists of.
#[derive(Debug)]
pub struct Cluster {
    /// What it was made from.
    pub setup: Setup,
    /// The replicas, in their places.
    pub places: Vec<Place>,
    /// How clients reach them.
    pub bus: Bus,
    /// Root, and three with keys of their own, of whom two sign.
    pub tenants: Vec<Tenant>,
    /// What replicas have complained about that are gone.
    faults: Vec<String>,
    /// The database was replaced by one that lacks what was committed in this span, in unix seconds.
    pub lost: Option<(f64, f64)>,
    // Dropped last: no replica outlives its database.
    /// Their Postgres.
    pub database: Database,
}

impl Cluster {
    /// Starts it and waits until every replica is ready.
    pub async fn start(setup: Setup, seed: u64) -> Result<Self> {
        let database = Database::start(&setup.postgres).await?;
        Self::on(database, setup, seed).await
    }

    /// The same on a Postgres that is there.
    pub async fn on(database: Database, setup: Setup, seed: u64) -> Result<Self> {
        let bus = Bus::new(Log::kept());
        let (places, tenants, faults) = (Vec::new(), Vec::new(), Vec::new());
        let mut cluster = Self { setup, places, bus, tenants, faults, lost: None, database };
        for number in 0..cluster.setup.replicas {
            let random = |kind: u64| random(seed, kind << 32 | number as u64);
            let between = if cluster.setup.between || !cluster.setup.rewrites.is_empty() {
                let upstream = Upstream::Unix(cluster.database.socket());
                Some(Proxy::rewriting(upstream, random(2), cluster.setup.rewrites.clone()).await?)
            } else {
                None
            };
            let in_front = if cluster.setup.in_front {
                Some(Proxy::start(Upstream::Tcp(([127, 0, 0, 1], 1).into()), random(3)).await?)
            } else {
                None
            };
            cluster.places.push(Place { replica: None, in_front, between });
            cluster.raise(number).await?;
            if number == 0 && cluster.setup.noted {
                cluster.database.session().await?.batch_execute(state::INSTALL).await.context("noting what happens")?;
            }
        }
        cluster.make_tenants().await?;
        Ok(cluster)
    }

    fn settings(&self, number: usize) -> Vec<(String, String)> {
        let url = match &self.places[number].between {
            Some(proxy) => Database::url_by(proxy.address),
            None => self.database.url(),
        };
        // So that Postgres tells them apart.
        let url = format!("{url} application_name={}", session_name(number));
        let lease = self.setup.lease.to_string();
        let fixed = [
            ("DATABASE_URL", url.as_str()),
            ("BUS_SECRET", ROOT_KEY),
            ("BUS_ADMIN_SECRET", ADMIN),
            ("BUS_LISTEN", "127.0.0.1:0"),
            ("BUS_METRICS_LISTEN", "off"),
            ("BUS_WORKERS", "1"),
            ("BUS_DRAIN_SECONDS", "0"),
            ("BUS_SHUTDOWN_SECONDS", "5"),
            ("BUS_CLEANUP_INTERVAL_SECONDS", "1"),
            ("BUS_CLAIM_TIMEOUT_SECONDS", &lease),
        ];
        let own = self.setup.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut all: Vec<(String, String)> =
            fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(own).collect();
        if let Some(offset) = self.setup.clocks.get(number) {
            let library = ("LD_PRELOAD".to_owned(), FAKETIME.to_owned());
            // Only what time it is, not how it passes: timers have no part in this.
            let off = ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned());
            all.extend([library, off, ("FAKETIME".to_owned(), format!("{offset:+}"))]);
        }
        all
    }

    /// Starts the replica of a place, and waits until it is ready.
    pub async fn raise(&mut self, number: usize) -> Result<()> {
        let program = self.setup.program.clone().map_or_else(binary, Ok)?;
        let replica = Replica::start(&program, &self.settings(number)).await?;
        let place = &mut self.places[number];
        let address = match &place.in_front {
            Some(proxy) => {
                proxy.lead_to(Upstream::Tcp(replica.address));
                proxy.address
            }
            None => replica.address,
        };
        let ready =
            Request { method: Method::GET, path: "/readyz".to_owned(), headers: Vec::new(), body: String::new() };
        let own = replica.address;
        place.replica = Some(replica);
        for _ in 0..600 {
            if matches!(self.bus.http.send(own, &ready, PATIENCE).await, Ok(answer) if answer.status == 200) {
                self.bus.targets.set(number, address);
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Err(anyhow!("replica {number} does not get ready: {:?}", self.faults()))
    }

    /// Ends the replica of a place by a signal.
    pub async fn fell(&mut self, number: usize, signal: Signal) -> Result<()> {
        if let Some(replica) = self.places[number].replica.take() {
            self.faults.extend(replica.end(signal).await?);
        }
        Ok(())
    }

    /// Replaces the replica of a place without a gap: the new one takes over before the old one is told to go.
    pub async fn replace(&mut self, number: usize) -> Result<()> {
        let old = self.places[number].replica.take();
        self.raise(number).await?;
        if let Some(old) = old {
            self.faults.extend(old.end(Signal::TERM).await?);
        }
        Ok(())
    }

    /// The replica of a place, which is up.
    pub fn replica(&self, number: usize) -> Result<&Replica> {
        self.places[number].replica.as_ref().ok_or_else(|| anyhow!("replica {number} is down"))
    }

    /// What an operator asks, and the answer.
    pub async fn admin(&self, path: &str, body: Value) -> Result<Value> {
        let headers = vec![("x-admin-token", ADMIN.to_owned())];
        let request = Request { method: Method::POST, path: path.to_owned(), headers, body: body.to_string() };
        let answer =
            self.bus.http.send(self.replica(0)?.address, &request, PATIENCE).await.map_err(|why| anyhow!(why))?;
        ensure!(answer.status < 300, "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// A tenant that no limit concerns.
    pub async fn tenant(&self, name: &str, signs: bool) -> Result<Tenant> {
        let limits = json!({"owner": name, "rate_limit_per_minute": UNLIMITED, "max_open_intents": UNLIMITED});
        self.new_tenant(name, signs, limits).await
    }

    /// A tenant that may have so many unfinished intents.
    pub async fn capped_tenant(&self, name: &str, max_open: i64) -> Result<Tenant> {
        let limits = json!({"owner": name, "rate_limit_per_minute": UNLIMITED, "max_open_intents": max_open});
        self.new_tenant(name, false, limits).await
    }

    async fn new_tenant(&self, name: &str, signs: bool, limits: Value) -> Result<Tenant> {
        let made = self.admin("/admin/generate_key", limits).await?;
        let key = made["api_key"].as_str().unwrap_or_default().to_owned();
        Ok(Tenant { name: name.to_owned(), key, signs })
    }

    async fn make_tenants(&mut self) -> Result<()> {
        self.tenants.push(Tenant { name: ROOT.to_owned(), key: ROOT_KEY.to_owned(), signs: false });
        for (name, signs) in [("ada", false), ("bob", true), ("eve", true)] {
            let tenant = self.tenant(name, signs).await?;
            self.tenants.push(tenant);
        }
        Ok(())
    }

    /// What replicas have complained about, errors in their logs and panics; and that one has ended by itself.
    pub fn faults(&mut self) -> Result<Vec<String>> {
        let mut all = self.faults.clone();
        for replica in self.places.iter_mut().filter_map(|place| place.replica.as_mut()) {
            replica.look()?;
            all.extend(replica.faults());
        }
        Ok(all)
    }

    /// What is in the database now.
    pub async fn end(&self) -> Result<End> {
        state::read(&self.database.session().await?).await
    }
}

/// What the sessions of the replica of this place are called in Postgres.
#[must_use]
pub fn session_name(number: usize) -> String {
    format!("intent-bus-{number}")
}

/// Debian's package `faketime` has it.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
