//! Asking for work: one loop for each goal. All of them share the slots of the worker.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Shared, Stage, handler::Handle, job, quota::Reserved};
use crate::{
    claim::{Claim, Claims},
    error::{Error, Result},
};

/// Intents claimed by one request at most. With payloads of the default size that is as much as an answer may be.
const MOST: usize = 200;
/// So many jobs for each slot at most, of which the handlers of all but one have ended.
const IN_HAND: usize = 4;
/// How long a claim may wait while goals have to take turns, since there are fewer slots than goals.
const TURN: Duration = Duration::from_secs(2);
/// When the worker stops: how long a claim that was under way is listened to. Its answer may be here already.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Claims and runs intents of one goal until the worker stops, then waits for the jobs under way.
///
/// # Errors
/// When the bus will never take such a claim: a wrong key, a namespace that is none.
pub(super) async fn run(shared: Arc<Shared>, goal: usize, claim: Claim, handler: Arc<dyn Handle>) -> Result<()> {
    let mut poller = Poller { jobs: JoinSet::new(), most: MOST, faults: 0, busy: false, shared, goal, claim, handler };
    let done = poller.poll().await;
    while poller.jobs.join_next().await.is_some() {}
    done
}

/// Room for one job.
struct Slot {
    slot: OwnedSemaphorePermit,
    reserved: Reserved,
}

struct Poller {
    shared: Arc<Shared>,
    /// Its place among the goals.
    goal: usize,
    claim: Claim,
    handler: Arc<dyn Handle>,
    jobs: JoinSet<()>,
    most: usize,
    /// Claims in a row that failed.
    faults: u32,
    /// Whether the last claim has brought something.
    busy: bool,
}

impl Poller {
    async fn poll(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        while *shared.stage.borrow() == Stage::Run {
            self.make_room().await;
            let slots = tokio::select! {
                slots = self.slots() => slots,
                () = shared.reached(Stage::Drain) => break,
            };
            let Some(slots) = slots else { break };
            let began = Instant::now();
            let look = shared.idle.look();
            let (claim, limit) = self.next_claim(slots.len());
            let asked = claim.ask(limit);
            let mut asked = std::pin::pin!(asked);
            let answer = tokio::select! {
                answer = &mut asked => Some(answer),
                () = shared.reached(Stage::Drain) => None,
            };
            let answer = match answer {
                Some(answer) => answer,
                None => match timeout(LAST_WORDS, asked).await {
                    Ok(answer) => answer,
                    Err(_) => break,
                },
            };
            let empty = answer.as_ref().is_ok_and(|claims| claims.claimed.is_empty());
            let pause = self.take(answer, slots, limit, began)?;
            if empty && shared.until_empty {
                // What runs may bring new work, or come back at once.
                let again = tokio::select! {
                    again = shared.idle.found_nothing(self.goal, look) => again,
                    () = shared.reached(Stage::Drain) => false,
                };
                if again {
                    continue;
                }
                break;
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = shared.reached(Stage::Drain) => {}
                }
            }
        }
        Ok(())
    }

    /// Forgets the jobs that are done with. Those whose handler has ended and whose end is not told yet hold no slot; here they
    /// are waited for before they become too many.
    async fn make_room(&mut self) {
        while self.jobs.try_join_next().is_some() {}
        while self.jobs.len() >= self.shared.concurrency.saturating_mul(IN_HAND) {
            self.jobs.join_next().await;
        }
    }

    /// One free slot at least, and as many more as this claim may fill. `None`: nothing more may be claimed.
    async fn slots(&self) -> Option<Vec<Slot>> {
        // The semaphore is never closed.
        let slot = Arc::clone(&self.shared.slots).acquire_owned().await.ok()?;
        let mut slots = vec![Slot { slot, reserved: self.shared.quota.reserve().await? }];
        // Jobs that are about to end free their slots first, so that one claim serves them all.
        tokio::task::yield_now().await;
        let most = self.most.min(if self.shared.goals > 1 && !self.busy { 1 } else { usize::MAX });
        while slots.len() < most
            && let Ok(slot) = Arc::clone(&self.shared.slots).try_acquire_owned()
            && let Some(reserved) = self.shared.quota.try_reserve()
        {
            slots.push(Slot { slot, reserved });
        }
        Some(slots)
    }

    /// The claim for so many slots. A worker with one goal waits with all of them. With several, one that waits holds one slot
    /// only, and one that may fill more does not wait: the others need them.
    fn next_claim(&self, slots: usize) -> (Claim, Option<u32>) {
        let wait = match self.shared.goals {
            _ if self.shared.until_empty => Duration::ZERO,
            1 => self.shared.poll_wait,
            _ if self.busy => Duration::ZERO,
            goals if goals > self.shared.concurrency.min(self.shared.quota.left()) => self.shared.poll_wait.min(TURN),
            _ => self.shared.poll_wait,
        };
        let limit = (slots > 1).then(|| u32::try_from(slots).unwrap_or(u32::MAX));
        (self.claim.clone().wait(wait), limit)
    }

    /// Starts the jobs that a claim brought. Gives the pause before the next one.
    fn take(
        &mut self,
        answer: Result<Claims>,
        slots: Vec<Slot>,
        limit: Option<u32>,
        began: Instant,
    ) -> Result<Duration> {
        let claims = match answer {
            Ok(claims) => claims,
            Err(error) => return self.fault(error, began),
        };
        self.faults = 0;
        self.shared.outage.is_over();
        if claims.claimed.is_empty() {
            return Ok(self.nothing(claims.retry_after, began));
        }
        self.busy = true;
        // One by itself, where a list was asked for: a server of a generation that knows no requests about many.
        if limit.is_some() {
            self.shared.batches.learn(claims.is_list);
        }
        for (claimed, Slot { slot, reserved }) in claims.claimed.into_iter().zip(slots) {
            self.shared.quota.use_up(reserved);
            job::start(&mut self.jobs, Arc::clone(&self.shared), Arc::clone(&self.handler), claimed, slot);
        }
        Ok(Duration::ZERO)
    }

    /// There is nothing. A server that has waited may be asked again at once; one that has not says when to come back.
    fn nothing(&mut self, retry_after: Option<Duration>, began: Instant) -> Duration {
        let was_busy = std::mem::replace(&mut self.busy, false);
        let wait = self.shared.poll_wait;
        // With several goals a claim after a success did not ask the server to wait.
        if (was_busy && self.shared.goals > 1) || (!wait.is_zero() && began.elapsed() >= wait.min(TURN) / 2) {
            return Duration::ZERO;
        }
        let pause = retry_after.unwrap_or(self.shared.poll_interval);
        // Workers that were started together do not stay together.
        pause.mul_f64(0.8 + 0.4 * fastrand::f64())
    }

    fn fault(&mut self, error: Error, began: Instant) -> Result<Duration> {
        self.faults += 1;
        self.busy = false;
        match error {
            // Claimed or not: what it held comes back when its leases end. Smaller answers from now on.
            Error::Protocol(_) if self.most > 1 => self.most = (self.most / 4).max(1),
            Error::Protocol(_) => {}
            // Not the bus says so but something in between, which may know no better for the moment.
            Error::Refused(ref refusal) | Error::Auth(ref refusal) if refusal.code().is_none() => {}
            ref error if error.is_retryable() => {}
            error => return Err(error),
        }
        self.shared.outage.goes_on(began);
        let pause = error.retry_after().unwrap_or_default().saturating_add(self.shared.client.retry.pause(self.faults));
        tracing::warn!(%error, ?pause, faults = self.faults, "claiming failed");
        Ok(pause)
    }
}
