//! What workers report of claims that they had lost. It changes nothing, but the work was done: operators can see what came of it.

use uuid::Uuid;

use super::finish::HeldClaim;
use crate::{
    domain::ids::IntentId,
    error::{Error, Result},
    store::{Store, session::Session, statements},
};

/// A report that was refused, since its claim is over.
pub(super) struct Late<'a> {
    pub(super) claim: HeldClaim,
    pub(super) outcome: Outcome<'a>,
}

/// What it said.
pub(super) enum Outcome<'a> {
    /// The result and its type.
    Fulfilled(Option<(&'a [u8], &'a str)>),
    /// Why not.
    Failed(&'a str),
}

/// If reports could not be kept, those whose claims are over are asked to come again. The others have their answers.
pub(super) fn kept_or_busy<'a, T: 'a>(kept: Result<()>, answers: impl IntoIterator<Item = &'a mut Result<T>>) {
    let Err(error) = kept else { return };
    tracing::warn!(?error, "reports of lost claims could not be kept");
    for answer in answers.into_iter().filter(|answer| answer.is_err()) {
        *answer = Err(Error::busy("a report of a lost claim could not be kept"));
    }
}

/// Keeps those of the reports whose claims were given out and lost; the others leave nothing.
pub(super) async fn keep(client: &Session, reports: &[Late<'_>]) -> Result<()> {
    // Without a token nobody can tell which claim was meant.
    let known = || reports.iter().filter(|late| late.claim.token.is_some());
    if known().next().is_none() {
        return Ok(());
    }
    let tenants: Vec<i64> = known().map(|late| late.claim.tenant).collect();
    let ids: Vec<Uuid> = known().map(|late| late.claim.id.0).collect();
    let tokens: Vec<Option<Uuid>> = known().map(|late| late.claim.token).collect();
    let (mut outcomes, mut results, mut kinds, mut errors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for late in known() {
        let (outcome, result, error) = match late.outcome {
            Outcome::Fulfilled(result) => ("fulfilled", result, None),
            Outcome::Failed(error) => ("failed", None, Some(error.as_bytes())),
        };
        outcomes.push(outcome);
        results.push(result.map(|(bytes, _)| bytes));
        kinds.push(result.map(|(_, kind)| kind));
        errors.push(error);
    }
    let statement = client.prepare_cached(statements::KEEP_LATE).await?;
    let rows = client.query(&statement, &[&ids, &tokens, &outcomes, &results, &kinds, &errors, &tenants]).await?;
    for row in rows {
        let (id, attempt): (Uuid, i16) = (row.try_get("intent_id")?, row.try_get("attempt")?);
        tracing::info!(id = %IntentId(id), attempt, "a report came after its claim was lost; it is kept for operators");
    }
    Ok(())
}

impl Store {
    /// Forgets what came too late so many days ago, at most `limit` of it.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn drop_late(&self, days: i32, limit: i64) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::DROP_LATE).await?;
        Ok(client.execute(&statement, &[&days, &limit]).await?)
    }
}
