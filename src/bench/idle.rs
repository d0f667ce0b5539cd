//! Many workers that wait where nothing is published, for as long as asked; then one intent, and who gets it.

use std::{future::Future, rc::Rc, time::Duration};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    LONG_POLL, Messages, Plan,
    client::Client,
    latency,
    operations::{Target, one_claim},
    stats::{Operation, Stats, cpu_time},
    worker::fulfil,
};
use crate::error::{Error, Result};

/// Where the bus does not hold a poll, it is asked again after so long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the one intent may take to get to a worker.
const PATIENCE: Duration = Duration::from_secs(60);
/// Files that this process needs apart from connections.
const OTHER_FILES: u64 = 64;

/// What was seen.
pub(super) struct Idle {
    pub(super) polls: usize,
    /// How long it took to open all connections.
    pub(super) opened_in: Duration,
    /// Measured: with all polls open and nothing published.
    pub(super) took: Duration,
    pub(super) cpu: Duration,
    /// From the acknowledgement of the one intent, and from its sending, to the answer of the poll that got it.
    pub(super) from_acknowledged: Duration,
    pub(super) from_sent: Duration,
}

/// Opens so many polls, waits, publishes one intent.
pub(super) async fn run(plan: &Plan, stats: &Rc<Stats>, polls: usize) -> Result<Idle> {
    allow_files(polls as u64 + OTHER_FILES);
    let began = Instant::now();
    let (found, mut finds) = mpsc::unbounded_channel();
    let mut pollers = JoinSet::new();
    let claim = Rc::new(plan.subject.claim(None, LONG_POLL)?);
    for index in 0..polls {
        let client = plan.client(index, stats).await?;
        // The first polls end at different times, as those of workers do that were not all started at one moment.
        let first = plan.subject.claim(None, 1 + u32::try_from(index).unwrap_or(0) % LONG_POLL)?;
        let (claim, messages, found) = (Rc::clone(&claim), Rc::clone(&plan.messages), found.clone());
        pollers.spawn_local(poll(client, first, claim, messages, found));
    }
    let mut publisher = plan.client(0, stats).await?;
    let opened_in = began.elapsed();
    stats.measure(true);
    let (began, cpu) = (Instant::now(), cpu_time());
    until(&mut pollers, sleep(plan.seconds)).await?;
    let (took, cpu) = (began.elapsed(), cpu_time().saturating_sub(cpu));
    let round = async { tokio::join!(latency::publish(plan, &mut publisher, Duration::ZERO), finds.recv()) };
    let (times, got) = until(&mut pollers, timeout(PATIENCE, round))
        .await?
        .map_err(|_| Error::invalid("No poll got the intent that was published in the end."))?;
    let (sent, acknowledged) = times?;
    let got = got.unwrap_or_else(Instant::now);
    // The worker that has it says so before it fulfils.
    let _ = timeout(PATIENCE, finds.recv()).await;
    stats.measure(false);
    let from_acknowledged = got.saturating_duration_since(acknowledged);
    Ok(Idle { polls, opened_in, took, cpu, from_acknowledged, from_sent: got - sent })
}

/// Waits, unless a poller cannot go on.
async fn until<T>(pollers: &mut JoinSet<Result<()>>, done: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = done => Ok(done),
        Some(ended) = pollers.join_next() => {
            ended.map_err(|error| Error::fault(error.to_string()))??;
            Err(Error::fault("a poller has ended"))
        }
    }
}

/// Polls for ever. Says when it got an intent, and again when that is fulfilled.
async fn poll(
    mut client: Client,
    first: Target,
    target: Rc<Target>,
    messages: Rc<Messages>,
    found: mpsc::UnboundedSender<Instant>,
) -> Result<()> {
    let mut target_now = &first;
    loop {
        let began = Instant::now();
        let answer = client.call(Operation::Claim, target_now, &Bytes::new()).await?;
        match answer {
            Some(answer) if !answer.body.is_empty() => {
                client.done(Operation::Claim, began.into_std(), 1);
                let _ = found.send(Instant::now());
                let done = fulfil(&mut client, &messages, &[one_claim(&answer.body)?]).await?;
                client.stats().completed(done);
                let _ = found.send(Instant::now());
            }
            _ => client.stats().found_nothing(),
        }
        if began.elapsed() < PAUSE / 2 {
            sleep(PAUSE).await;
        }
        target_now = &target;
    }
}

/// Raises the number of files that may be open, as far as this account may.
fn allow_files(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        let current = Some(maximum.map_or(needed, |maximum| maximum.min(needed)));
        // If not, opening the connection that is too much will say so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}
