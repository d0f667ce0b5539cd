//! Claims that wait. Woken by what is published on this replica, by the signals of others, and by a look every 0.85 to 0.95 s into
//! all lanes that somebody waits for, in one statement, however many wait: what becomes due by itself (delays, backoffs, leases
//! that end) sends no signal, and signals may be lost.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::claim::{Claim, Lease};
use crate::{
    domain::ids::random_bytes,
    error::Result,
    store::{
        Store,
        admission::Admission,
        statements,
        transaction::in_time,
        waiters::{Place, places},
    },
};

/// Time between two looks, to which up to [`JITTER`] is added. At every other one newcomers look for themselves.
const LOOK_EVERY: Duration = Duration::from_millis(850);
const JITTER: Duration = Duration::from_millis(100);

impl Store {
    /// Claims as [`Store::claim`] does, and waits so long for the first intent if there is none. The request is let in once,
    /// with its first look.
    ///
    /// # Errors
    /// What admission refuses; `database_busy`.
    pub async fn claim_waiting(&self, request: Claim, wait: Duration) -> Result<Vec<Lease>> {
        let until = Instant::now() + wait;
        let Claim { admission, reach, tenant, tokens, retryable, lease, round, waits: may_wait } = request;
        let places = places(&reach);
        let mut first = Some((admission, round));
        // Those who wait already would have what is there. Newcomers look together, and not one by one.
        let mut together = !wait.is_zero() && self.waiters.has_company(&places);
        loop {
            // Begun before the look, so that nothing is missed that comes in between.
            let mut waits = if wait.is_zero() { None } else { self.waiters.wait(&reach) };
            if let Some(waits) = waits.as_mut().filter(|_| together) {
                let may_look = async {
                    tokio::select! { () = waits.woken() => {}, () = self.waiters.may_look(tokens.len()) => {} }
                };
                // At the end of its time it looks all the same: it has to be let in, too.
                let _ = timeout_at(until, may_look).await;
                together = false;
            }
            let let_in = || (Admission { tenant, ..Admission::default() }, Uuid::new_v4());
            let (admission, round) = first.take().unwrap_or_else(let_in);
            let look = Claim {
                admission,
                reach: Arc::clone(&reach),
                tenant,
                tokens: tokens.clone(),
                retryable: retryable.clone(),
                lease,
                round,
                waits: may_wait,
            };
            let leases = self.claim(look).await?;
            if !leases.is_empty() {
                if waits.is_some() {
                    drop(waits);
                    self.waiters.wake_at(&places, 1);
                }
                return Ok(leases);
            }
            let Some(mut waits) = waits else { return Ok(leases) };
            if timeout_at(until, waits.woken()).await.is_err() || self.waiters.is_closed() {
                return Ok(leases);
            }
        }
    }

    /// Looks for work that has become due, for as long as the process runs.
    pub async fn watch_for_waiting(&self) {
        for look in 0_u64.. {
            let [jitter] = random_bytes::<1>().map(u32::from);
            tokio::time::sleep(LOOK_EVERY + JITTER * jitter / 255).await;
            if let Err(error) = in_time(self.look_for_waiting()).await {
                tracing::debug!(?error, "cannot look for those who wait; the next look will");
            }
            let newcomers = self.waiters.newcomers();
            if look % 2 == 0 && newcomers > 0 {
                // They ask within a moment.
                self.claims.gather(self, newcomers);
                self.waiters.let_look();
            }
        }
    }

    async fn look_for_waiting(&self) -> Result<()> {
        let waited_for = self.waiters.places();
        if waited_for.is_empty() {
            return Ok(());
        }
        let kinds = [(true, false), (false, false), (true, true), (false, true)];
        let lanes: Vec<Vec<i64>> = kinds
            .iter()
            .map(|(one_goal, public)| {
                let of_kind = |place: &&Place| place.one_goal == *one_goal && place.public == *public;
                waited_for.iter().filter(of_kind).map(|place| place.lane).collect()
            })
            .collect();
        let marks = self.marks.of(lanes.iter().flatten());
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::DUE).await?;
        let rows = client
            .query(
                &statement,
                &[
                    &lanes[0],
                    &lanes[1],
                    &lanes[2],
                    &lanes[3],
                    &self.intent_ttl,
                    &marks.lanes,
                    &marks.priorities,
                    &marks.marks,
                ],
            )
            .await?;
        for row in rows {
            let kind: i32 = row.try_get("kind")?;
            let kind = usize::try_from(kind - 1).ok().and_then(|kind| kinds.get(kind));
            if let Some(&(one_goal, public)) = kind {
                self.waiters.wake_at(&[Place { lane: row.try_get("lane")?, one_goal, public }], 1);
            }
        }
        Ok(())
    }
}
