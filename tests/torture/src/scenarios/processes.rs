//! Replicas and workers that die, stand still, or have a clock of their own.

use std::time::Duration;

use anyhow::Result;
use rand::RngExt;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    cluster::Setup,
    experiment::{Context, Report, Scenario, Verdict, under_load},
    load::Habits,
};

pub(super) const ALL: &[Scenario] = &[Scenario {
    name: "replica-killed",
    what: "every 2 s one of 3 replicas is killed (SIGKILL) and started again",
    passes: "safe",
    in_ci: true,
    run: |context| Box::pin(replica_killed(context)),
}];

async fn replica_killed(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 300);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, random, lasts| {
        let (until, mut kills) = (Instant::now() + lasts, 0);
        while Instant::now() < until {
            let number = random.random_range(0..cluster.places.len());
            cluster.fell(number, Signal::KILL).await?;
            kills += 1;
            sleep(Duration::from_millis(500)).await;
            cluster.raise(number).await?;
            sleep(Duration::from_millis(1500)).await;
        }
        Ok(Verdict::told(format!("{kills} replicas killed")))
    })
    .await
}
