//! Workers in processes of their own, so that they can be killed and stopped as such. A crew writes its part of the log to its
//! standard output, line by line; what it had not written when it was killed, nobody knows.

use std::{net::SocketAddr, process::Stdio, sync::Arc};

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

use crate::{
    bus::{Bus, Targets, Tenant},
    cluster::{Cluster, send},
    load::{Habits, Signs, random},
    log::{Event, Log},
    worker::work,
};

/// What a crew is told, on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Orders {
    targets: Vec<SocketAddr>,
    tenants: Vec<Tenant>,
    habits: Habits,
    seed: u64,
    /// No other crew of the run has it.
    number: u64,
}

/// A process with a few workers for each tenant. It is killed when this value goes.
#[derive(Debug)]
pub struct Crew {
    child: Child,
}

impl Crew {
    /// Sends one to work. The replicas have to stay where they are.
    pub async fn start(cluster: &Cluster, habits: &Habits, seed: u64, number: u64) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").env_clear().kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = Orders {
            targets: cluster.bus.targets.all(),
            tenants: cluster.tenants.clone(),
            habits: Habits { lease: cluster.setup.lease.into(), ..habits.clone() },
            seed,
            number,
        };
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(anyhow!("no pipe to a crew"));
        };
        input.write_all(&serde_json::to_vec(&orders)?).await?;
        drop(input);
        let log = cluster.bus.log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(event) = serde_json::from_str::<Event>(&line) {
                    log.append(event);
                }
            }
        });
        Ok(Self { child })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.child.id().ok_or_else(|| anyhow!("the crew has ended"))?, signal)
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("killing a crew")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// The process of a crew: takes its orders from standard input, and works until it is killed.
pub async fn serve() -> Result<()> {
    let mut orders = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut orders).await?;
    let orders: Orders = serde_json::from_slice(&orders)?;
    // Apart from the ids of all other processes of the run.
    let mut bus = Bus::new(Log::lines((orders.number + 1) << 40));
    bus.targets = Targets::of(orders.targets);
    let (tenants, habits) = (Arc::new(orders.tenants), Arc::new(orders.habits));
    let mut workers = JoinSet::new();
    for me in 0..tenants.len() {
        for worker in 0..habits.workers {
            let random = random(orders.seed, (orders.number + 1) << 20 | (me << 8 | worker) as u64);
            workers.spawn(work(bus.clone(), tenants.clone(), me, habits.clone(), Signs::default(), random));
        }
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}
