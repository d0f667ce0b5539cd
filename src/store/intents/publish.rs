//! Publishing.

use uuid::Uuid;

use crate::{
    domain::{
        ids::IntentId,
        intent::NewIntent,
        names::{Label, Namespace},
    },
    error::{Error, ErrorCode, Result},
    store::{
        Store, Tx,
        admission::{Admission, Refusal},
        idempotency::{Idempotency, Reserved},
        statements,
    },
};

impl Store {
    /// Publishes an intent once, whatever is lost on the way, and gives its id: that of the first answer if the same request
    /// was made before under the same idempotency key.
    ///
    /// # Errors
    /// What admission refuses; an idempotency clash; `limit_exceeded` when the tenant has `max_open` unfinished intents.
    pub async fn publish(
        &self,
        admission: &Admission,
        idempotency: Option<&Idempotency>,
        intent: &NewIntent,
        max_open: Option<i64>,
    ) -> Result<IntentId> {
        self.transact(admission, async |tx| {
            if tx.maybe_done() && exists(tx, intent.id).await? {
                return Ok(intent.id);
            }
            if tx.nonce_was_used() {
                // Not by the first try, which has left no intent: somebody else has sent this request too.
                return Err(Refusal::Replayed.into());
            }
            if let Some(idempotency) = idempotency
                && let Reserved::Before(first) = idempotency.reserve(tx, Some(intent.id.0)).await?
            {
                return first
                    .map(IntentId)
                    .ok_or_else(|| Error::fault("an idempotency key of a publish names no intent"));
            }
            if tx.maybe_done() {
                tx.batch_execute("SAVEPOINT before").await?;
            }
            if store(tx, intent, max_open).await? {
                return Ok(intent.id);
            }
            // The statement has waited for the first try, which was still being committed. Counted once is enough.
            if tx.maybe_done() && exists(tx, intent.id).await? {
                tx.batch_execute("ROLLBACK TO before").await?;
                return Ok(intent.id);
            }
            Err(Error::new(
                ErrorCode::LimitExceeded,
                "This key has as many unfinished intents as it may. Wait until some are done.",
            )
            .retry_after(5))
        })
        .await
    }
}

async fn store(tx: &Tx<'_>, intent: &NewIntent, max_open: Option<i64>) -> Result<bool> {
    let lanes = intent.lanes();
    let statement = tx.prepare_cached(statements::PUBLISH).await?;
    let stored = tx
        .query_opt(
            &statement,
            &[
                &intent.id.0,
                &intent.tenant,
                &lanes.own_goal,
                &lanes.own,
                &lanes.public_goal,
                &lanes.public,
                &Namespace::as_str(&intent.namespace),
                &intent.goal.as_str(),
                &intent.priority,
                &intent.delay,
                &intent.max_attempts,
                &intent.backoff_base,
                &intent.has_retry_policy,
                &intent.target_worker.as_ref().map(Label::as_str),
                &intent.required_capability.as_ref().map(Label::as_str),
                &intent.payload.as_ref(),
                &intent.reward.as_deref(),
                &max_open,
            ],
        )
        .await?;
    Ok(stored.is_some())
}

async fn exists(tx: &Tx<'_>, id: IntentId) -> Result<bool> {
    let statement = tx.prepare_cached(statements::EXISTS).await?;
    Ok(tx.query_opt(&statement, &[&id.0]).await?.is_some_and(|row| row.get::<_, Uuid>("id") == id.0))
}
