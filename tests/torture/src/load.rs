//! Clients at work: publishers that send at a steady rate and repeat what was not answered, and workers with bad habits.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use rand::{SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    bus::{Bus, Tenant},
    publisher::publish,
    worker::work,
};

/// What all of it is about.
pub const GOAL: &str = "torture";
/// What a capable worker can do.
pub const CAPABILITY: &str = "mortal";
/// Between two tries of a client, in seconds.
pub(crate) const PAUSE: Range<f64> = 0.05..0.25;

/// How clients behave. Chances are from 0 to 1, times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// Publications a second, of all publishers together.
    pub rate: f64,
    /// Publishers of each tenant.
    pub publishers: usize,
    /// Workers of each tenant.
    pub workers: usize,
    /// How long the work takes.
    pub work: Range<f64>,
    /// Length of a lease.
    pub lease: f64,
    /// A worker is slower than its lease, and finishes all the same.
    pub sluggish: f64,
    /// A worker reports a failure.
    pub fails: f64,
    /// A worker asks for a longer lease.
    pub extends: f64,
    /// A worker ends an intent twice at the same moment, on any two replicas, as fulfilled and as failed.
    pub twice: f64,
    /// A worker ends it with a token that it has made up.
    pub forged: f64,
    /// Another tenant looks at the result.
    pub peeks: f64,
    /// Whether a process of workers ends when one of them meets a poison pill.
    pub mortal: bool,
    /// A worker gives its claim an id, and asks again with it if it got no answer.
    pub again: f64,
    /// And once more although it got one.
    pub deaf: f64,
    /// Workers can do what only processes of workers are to do.
    pub capable: bool,
    /// A publisher uses an idempotency key.
    pub keyed: f64,
    /// A publisher sends what it has just published by two requests at the same moment.
    pub hasty: f64,
    /// What is published may be worked on by others.
    pub public: f64,
    /// A publisher that signs sends an acknowledged request again.
    pub replays: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            rate: 60.0,
            publishers: 2,
            workers: 4,
            work: 0.002..0.04,
            lease: 4.0,
            sluggish: 0.005,
            fails: 0.02,
            extends: 0.002,
            twice: 0.02,
            forged: 0.02,
            peeks: 0.05,
            mortal: false,
            again: 0.5,
            deaf: 0.1,
            capable: false,
            keyed: 0.8,
            hasty: 0.05,
            public: 0.3,
            replays: 0.2,
        }
    }
}

/// Whether clients go on.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    stop_publishing: Arc<AtomicBool>,
    stop_working: Arc<AtomicBool>,
}

impl Signs {
    /// Whether publishers publish more.
    #[must_use]
    pub fn publish(&self) -> bool {
        !self.stop_publishing.load(Ordering::Relaxed)
    }

    /// Whether workers claim more.
    #[must_use]
    pub fn work(&self) -> bool {
        !self.stop_working.load(Ordering::Relaxed)
    }
}

/// All of them.
#[derive(Debug)]
pub struct Load {
    signs: Signs,
    publishers: JoinSet<()>,
    workers: JoinSet<()>,
}

impl Load {
    /// Sets them to work. The same seed gives each of them the same decisions in the same order.
    #[must_use]
    pub fn start(bus: &Bus, tenants: &[Tenant], habits: &Habits, seed: u64) -> Self {
        let (signs, mut publishers, mut workers) = (Signs::default(), JoinSet::new(), JoinSet::new());
        let (tenants, habits) = (Arc::new(tenants.to_vec()), Arc::new(habits.clone()));
        let mut number = 0;
        let mut next = || {
            number += 1;
            random(seed, number)
        };
        for me in 0..tenants.len() {
            for _ in 0..habits.publishers {
                publishers.spawn(publish(bus.clone(), tenants.clone(), me, habits.clone(), signs.clone(), next()));
            }
            for _ in 0..habits.workers {
                workers.spawn(work(bus.clone(), tenants.clone(), me, habits.clone(), signs.clone(), next()));
            }
        }
        Self { signs, publishers, workers }
    }

    /// No more publications. Those under way are repeated until they are acknowledged, for so long at most.
    pub async fn stop_publishing(&mut self, patience: Duration) -> Result<()> {
        self.signs.stop_publishing.store(true, Ordering::Relaxed);
        join(&mut self.publishers, patience).await
    }

    /// No more claims. Whoever works on something ends it first, for so long at most.
    pub async fn stop_working(&mut self, patience: Duration) -> Result<()> {
        self.signs.stop_working.store(true, Ordering::Relaxed);
        join(&mut self.workers, patience).await
    }
}

/// Waits for clients, and fails if one of them has crashed: a run without its load proves nothing.
async fn join(clients: &mut JoinSet<()>, patience: Duration) -> Result<()> {
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended.context("a client has crashed")?;
        }
        Ok(())
    };
    let joined = tokio::time::timeout(patience, all).await;
    clients.abort_all();
    joined.unwrap_or(Ok(()))
}

/// The random numbers of one client.
#[must_use]
pub fn random(seed: u64, client: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&client.to_le_bytes());
    StdRng::from_seed(bytes)
}
