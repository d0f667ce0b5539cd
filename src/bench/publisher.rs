//! A publisher: one connection that publishes, as fast as the window lets it or by a schedule.

use std::{rc::Rc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Messages, Plan, client::Client, load::Load, operations::outcomes, stats::Operation};
use crate::error::Result;

/// How late a timer may be before that counts as time that the bus took. Tokio's timers are exact to a millisecond.
const LATE: Duration = Duration::from_millis(2);

/// When an open-loop publisher sends: at its moments, whether or not the last answer was in time.
pub(super) struct Schedule {
    next: Instant,
    every: Duration,
}

impl Schedule {
    /// The moments of this publisher among all that share the rate (intents per second).
    pub(super) fn new(plan: &Plan, rate: f64, index: usize, began: Instant) -> Self {
        let step = Duration::from_secs_f64(f64::from(plan.messages.batch) / rate);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { next: began + step * count(index), every: step * count(plan.publishers) }
    }

    /// Waits for the next moment, and gives it: it is what latencies count from, lest a slow answer hide how long the
    /// requests behind it would have waited.
    async fn moment(&mut self) -> Instant {
        let meant = self.next;
        self.next += self.every;
        if meant <= Instant::now() {
            return meant;
        }
        sleep_until(meant).await;
        let now = Instant::now();
        if now - meant < LATE { now } else { meant }
    }
}

/// Publishes until there is nothing more to publish.
pub(super) async fn publish(
    load: Rc<Load>,
    mut client: Client,
    messages: Rc<Messages>,
    mut schedule: Option<Schedule>,
) -> Result<()> {
    while !load.stopped.get() {
        let meant = match &mut schedule {
            None => None,
            Some(schedule) => tokio::select! {
                moment = schedule.moment() => Some(moment),
                () = load.stop.notified() => break,
            },
        };
        let Some(count) = load.reserve(messages.batch).await else { break };
        let began = meant.unwrap_or_else(Instant::now).into_std();
        let (target, body) = messages.publish(count);
        let Some(answer) = client.call(Operation::Publish, target, &body).await? else {
            load.published(count, 0);
            continue;
        };
        let done = if messages.batch == 1 { 1 } else { published(&client, &answer.body)? };
        client.done(Operation::Publish, began, done);
        load.published(count, done);
    }
    Ok(())
}

/// How many of a batch were published. Notes the others.
fn published(client: &Client, body: &[u8]) -> Result<u32> {
    let (done, refused) = outcomes(body)?;
    for code in refused {
        client.stats().failed(Operation::Publish, code, 1);
    }
    Ok(done)
}
