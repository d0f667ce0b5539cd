//! How long an intent takes from its publisher to a worker that already waits, on a bus that has nothing else to do.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep};

use super::{
    LONG_POLL, Plan,
    client::Client,
    connection::Answer,
    operations::{Target, one_claim},
    stats::{Operation, Stats, histogram, micros},
    worker::fulfil,
};
use crate::error::Result;

/// How long the worker has been waiting at least when the intent is published. Longer than a bus keeps back a second signal for
/// the same lanes: idle is what has not had work just now.
const WAITED: Duration = Duration::from_millis(60);
/// And by how much longer in each turn than in the one before, of 16 turns.
const STEP: Duration = Duration::from_micros(2300);
/// Between two polls where the bus does not hold them.
const PAUSE: Duration = Duration::from_millis(2);

/// What was measured, in µs.
pub(super) struct Latency {
    /// From the answer to the publisher to the answer to the worker. 0 if the worker had it first.
    pub(super) from_acknowledged: Histogram<u64>,
    /// From the moment the publisher sent it.
    pub(super) from_sent: Histogram<u64>,
}

/// Publishes on the first address while a worker waits on the last one, so many times.
pub(super) async fn run(plan: &Plan, stats: &Rc<Stats>, times: u32) -> Result<Latency> {
    let mut publisher = plan.client(0, stats).await?;
    let mut worker = plan.client(plan.endpoints.len() - 1, stats).await?;
    let mut latency = Latency { from_acknowledged: histogram()?, from_sent: histogram()? };
    let claim = plan.subject.claim(None, LONG_POLL)?;
    for turn in 0..times {
        // The pauses differ, lest they fall in step with a period of the bus's own.
        let pause = WAITED + STEP * (turn % 16);
        let (times, claimed) = tokio::join!(publish(plan, &mut publisher, pause), wait(&mut worker, &claim));
        let ((sent, acknowledged), (got, answer)) = (times?, claimed?);
        latency.from_acknowledged.saturating_record(micros(got.saturating_duration_since(acknowledged)));
        latency.from_sent.saturating_record(micros(got - sent));
        let done = fulfil(&mut worker, &plan.messages, &[one_claim(&answer.body)?]).await?;
        stats.completed(done);
    }
    Ok(latency)
}

/// Publishes one intent after a pause. Gives when it was sent and when it was acknowledged.
pub(super) async fn publish(plan: &Plan, client: &mut Client, pause: Duration) -> Result<(Instant, Instant)> {
    sleep(pause).await;
    let (target, body) = plan.messages.publish(1);
    loop {
        let sent = Instant::now();
        if client.call(Operation::Publish, target, &body).await?.is_some() {
            client.done(Operation::Publish, sent.into_std(), 1);
            return Ok((sent, Instant::now()));
        }
    }
}

/// Polls until there is an intent.
async fn wait(client: &mut Client, target: &Target) -> Result<(Instant, Answer)> {
    loop {
        let began = Instant::now();
        match client.call(Operation::Claim, target, &Bytes::new()).await? {
            Some(answer) if !answer.body.is_empty() => {
                client.done(Operation::Claim, began.into_std(), 1);
                return Ok((Instant::now(), answer));
            }
            _ => client.stats().found_nothing(),
        }
        if began.elapsed() < Duration::from_secs(1) {
            sleep(PAUSE).await;
        }
    }
}
