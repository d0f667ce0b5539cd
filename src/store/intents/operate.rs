//! What operators do to intents: cancel, retry, purge.

use serde_json::json;
use tokio_postgres::Row;

use crate::{
    domain::{
        ids::IntentId,
        intent::{Seen, State},
        lanes::Lanes,
    },
    error::{Error, ErrorCode, Result},
    store::{
        Store, Tx, WHOLE_TABLE,
        admission::Admission,
        intents::upkeep::EXPIRED,
        operators::audit::{self, By},
        statements,
    },
    telemetry::{
        events::{Changed, changed},
        flow::Burial,
    },
};

/// How many intents a purge has deleted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Purged {
    /// Open and claimed ones.
    pub unfinished: i64,
    /// Fulfilled and dead ones.
    pub finished: i64,
}

const CANCELLED: &str = "Cancelled by an operator.";
/// Rows of each table that one transaction of a purge deletes.
const PURGE_STEP: i64 = 5000;

impl Store {
    /// Makes an intent dead, whatever it was.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn cancel(&self, admission: &Admission, by: &By, id: IntentId) -> Result<()> {
        let (row, was_unfinished) = self
            .transact(admission, async |tx| {
                // A retry at the same moment may take it from `finished`, where it was, to `intents`, where it was not yet.
                let cancelled = if let Some(row) = cancel_unfinished(tx, id).await? {
                    (row, true)
                } else if let Some(row) = cancel_finished(tx, id).await? {
                    (row, false)
                } else {
                    (cancel_unfinished(tx, id).await?.ok_or_else(no_such_intent)?, true)
                };
                audit::write(tx, by, "cancel", Some(&id.to_string()), json!({})).await?;
                Ok(cancelled)
            })
            .await?;
        if was_unfinished {
            self.count_buried(std::slice::from_ref(&row), Burial::Cancelled)?;
        }
        let (namespace, goal) = (row.try_get("namespace")?, row.try_get("goal")?);
        let (attempt, worker) = (row.try_get("claim_attempts")?, row.try_get("worker_id")?);
        changed("cancelled", id, Changed { namespace, goal, attempt, worker });
        Ok(())
    }

    /// Brings a dead intent back, with all its attempts before it.
    ///
    /// # Errors
    /// `not_found`; `conflict` when it is not dead.
    pub async fn retry(&self, admission: &Admission, by: &By, id: IntentId) -> Result<()> {
        let retried = self.transact(admission, async |tx| {
            // Locked before it is looked at: what another retry has just brought back must not be taken for dead.
            let unfinished = is_unfinished(tx, id).await?;
            let seen = self.find_on(&**tx, id).await?.ok_or_else(no_such_intent)?;
            // Dead for everybody who looks, though maintenance has not buried it yet.
            if unfinished && seen.state == State::Dead {
                let expired = seen.claim_attempts < seen.max_attempts;
                bury(tx, id, expired.then_some(EXPIRED)).await?;
            }
            let lanes = Lanes::of_intent(
                seen.tenant,
                seen.public,
                &seen.namespace,
                &seen.goal,
                seen.target_worker.as_deref(),
                seen.required_capability.as_deref(),
            );
            let statement = tx.prepare_cached(statements::RETRY).await?;
            let row = tx
                .query_opt(&statement, &[&id.0, &lanes.own_goal, &lanes.own, &lanes.public_goal, &lanes.public])
                .await?;
            if row.is_none() {
                // Looked at anew: a first try that was still at it then has brought it back by now, and somebody may have claimed it.
                let stands = self.find_on(&**tx, id).await?.ok_or_else(no_such_intent)?.state;
                if !(tx.maybe_done() && stands != State::Dead) {
                    let stands = stands.as_str();
                    return Err(Error::new(
                        ErrorCode::Conflict,
                        format!("Only dead intents can be retried, this one is {stands}."),
                    ));
                }
            }
            audit::write(tx, by, "retry", Some(&id.to_string()), json!({})).await?;
            Ok(seen)
        });
        let Seen { namespace, goal, .. } = &retried.await?;
        changed("retried", id, Changed { namespace, goal, attempt: None, worker: None });
        Ok(())
    }

    /// How many intents a purge would delete, as last counted.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn would_purge(&self, namespace: Option<&str>) -> Result<Purged> {
        let mut purged = Purged::default();
        for total in self.totals(true).await? {
            if namespace.is_none_or(|namespace| namespace == total.namespace) {
                match total.state {
                    State::Open | State::Claimed => purged.unfinished += total.count,
                    State::Fulfilled | State::Dead => purged.finished += total.count,
                }
            }
        }
        Ok(purged)
    }

    /// Deletes all intents, of one namespace or of all, a bounded number at a time.
    ///
    /// # Errors
    /// `database_busy`; what was deleted until then stays deleted.
    pub async fn purge(&self, admission: &Admission, by: &By, namespace: Option<&str>) -> Result<Purged> {
        // Before anything is gone: what is deleted takes many transactions, and the last of them may never come.
        self.transact(admission, async |tx| audit::write(tx, by, "purge", namespace, json!({})).await).await?;
        let mut purged = Purged::default();
        loop {
            let mut client = self.client().await?;
            let tx = client.transaction().await?;
            tx.batch_execute(WHOLE_TABLE).await?;
            let statement = tx.prepare_cached(statements::PURGE).await?;
            let row = tx.query_one(&statement, &[&namespace, &PURGE_STEP]).await?;
            tx.commit().await?;
            let step = Purged { unfinished: row.try_get("unfinished")?, finished: row.try_get("finished")? };
            purged.unfinished += step.unfinished;
            purged.finished += step.finished;
            if step.unfinished < PURGE_STEP && step.finished < PURGE_STEP {
                let statement = client.prepare_cached(statements::FORGET_TOTALS).await?;
                client.execute(&statement, &[&namespace]).await?;
                return Ok(purged);
            }
        }
    }
}

async fn is_unfinished(tx: &Tx<'_>, id: IntentId) -> Result<bool> {
    let statement = tx.prepare_cached(statements::LOCK).await?;
    Ok(tx.query_opt(&statement, &[&id.0]).await?.is_some())
}

async fn cancel_unfinished(tx: &Tx<'_>, id: IntentId) -> Result<Option<Row>> {
    if is_unfinished(tx, id).await? { bury(tx, id, Some(CANCELLED)).await } else { Ok(None) }
}

async fn cancel_finished(tx: &Tx<'_>, id: IntentId) -> Result<Option<Row>> {
    let statement = tx.prepare_cached(statements::CANCEL_FINISHED).await?;
    Ok(tx.query_opt(&statement, &[&id.0, &CANCELLED]).await?)
}

async fn bury(tx: &Tx<'_>, id: IntentId, reason: Option<&str>) -> Result<Option<Row>> {
    let statement = tx.prepare_cached(statements::BURY).await?;
    Ok(tx.query_opt(&statement, &[&&[id.0][..], &&[reason][..]]).await?)
}

fn no_such_intent() -> Error {
    Error::not_found("No such intent.")
}
