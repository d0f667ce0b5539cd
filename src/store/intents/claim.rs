//! Claiming.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ClaimToken, IntentId},
        intent::Claimed,
        lanes::Reach,
    },
    error::{Error, Result},
    store::{Store, Tx, admission::Admission, statements},
};

/// A claim to be made.
#[derive(Debug)]
pub struct Claim<'a> {
    /// What may be claimed.
    pub reach: Reach<'a>,
    /// Who claims.
    pub tenant: i64,
    /// Made before the statement, so that the claim can be found again.
    pub token: &'a ClaimToken,
    /// Seconds.
    pub lease: f64,
}

impl Store {
    /// Claims the next intent within reach, if there is one.
    ///
    /// When the answer to COMMIT is lost, the row that was claimed is asked whether it carries this token.
    ///
    /// # Errors
    /// What admission refuses; `database_busy`.
    pub async fn claim(&self, admission: &Admission, claim: &Claim<'_>) -> Result<Option<Claimed>> {
        let (own, public) = (claim.reach.own_lanes(), claim.reach.public_lanes());
        let claimed = std::cell::RefCell::new(None);
        self.transact(admission, async |tx| {
            let before = claimed.borrow().as_ref().map(|claimed: &Claimed| claimed.id);
            if let Some(id) = before
                && holds(tx, id, claim.token.hash()).await?
            {
                return Ok(());
            }
            if tx.nonce_was_used() {
                // The first try found nothing to claim, and its COMMIT stored no more than the nonce; so it is answered now.
                claimed.replace(None);
                return Ok(());
            }
            let next = self.take(tx, claim, &own, &public).await?;
            claimed.replace(next);
            Ok(())
        })
        .await?;
        Ok(claimed.into_inner())
    }

    async fn take(&self, tx: &Tx<'_>, claim: &Claim<'_>, own: &[i64], public: &[i64]) -> Result<Option<Claimed>> {
        let reach = &claim.reach;
        let text = if reach.goal.is_some() { &statements::CLAIM_GOAL } else { &statements::CLAIM_ANY };
        let statement = tx.prepare_cached(text).await?;
        let row = tx
            .query_opt(
                &statement,
                &[
                    &own,
                    &public,
                    &reach.namespace,
                    &reach.goal,
                    &reach.worker,
                    &reach.capabilities,
                    &claim.tenant,
                    &claim.token.hash(),
                    &claim.lease,
                    &self.intent_ttl,
                    &reach.publisher,
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let payload: Option<Vec<u8>> = if let Some(payload) = row.try_get("payload")? {
            Some(payload)
        } else {
            let statement = tx.prepare_cached(statements::FIND_PAYLOAD).await?;
            let (id, day): (Uuid, &str) = (row.try_get("id")?, row.try_get("payload_day")?);
            tx.query_opt(&statement, &[&id, &day]).await?.map(|row| row.try_get("payload")).transpose()?
        };
        read(&row, payload).map(Some)
    }
}

/// Whether the lost transaction's claim stands. Waits until that transaction has ended.
async fn holds(tx: &Tx<'_>, id: IntentId, token: Uuid) -> Result<bool> {
    let statement = tx.prepare_cached(statements::LOST_CLAIM).await?;
    let row = tx.query_opt(&statement, &[&id.0, &token]).await?;
    Ok(row.is_some_and(|row| row.get("held")))
}

fn read(row: &Row, payload: Option<Vec<u8>>) -> Result<Claimed> {
    let id: Uuid = row.try_get("id")?;
    Ok(Claimed {
        id: IntentId(id),
        namespace: row.try_get("namespace")?,
        goal: row.try_get("goal")?,
        payload: payload.ok_or_else(|| Error::fault(format!("the payload of {id} is not there")))?,
        claim_attempts: row.try_get("claim_attempts")?,
        priority: row.try_get("priority")?,
        target_worker: row.try_get("target_worker")?,
        required_capability: row.try_get("required_capability")?,
    })
}
