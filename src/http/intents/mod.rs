//! Intents, as clients publish, claim, finish and look at them.

pub mod claim;
pub mod extend;
pub mod fail;
pub mod fail_many;
pub mod finish;
pub mod fulfill;
pub mod fulfill_many;
mod many;
pub mod publish;
pub mod publish_many;
pub mod result;
pub mod status;

use intent_bus_protocol::wire;

use super::auth::Caller;
use crate::{
    domain::intent::Seen,
    error::{Error, Result},
};

/// The only outcome of a request that asked for one thing.
fn one<T>(outcomes: Vec<Result<T>>) -> Result<T> {
    next(&mut outcomes.into_iter())
}

/// The next outcome of a request that asked for several.
fn next<T>(outcomes: &mut impl Iterator<Item = Result<T>>) -> Result<T> {
    outcomes.next().unwrap_or_else(|| Err(Error::fault("a request has no outcome")))
}

/// Whether a caller may see the result: publisher, last claimer or root.
fn may_see_result(caller: &Caller, seen: &Seen) -> bool {
    caller.is_root() || seen.tenant == caller.tenant || seen.claimed_by == Some(caller.tenant)
}

/// The intent, if the caller may see it. What stands in a namespace that the key does not reach is not there for it.
fn visible(caller: &Caller, seen: Option<Seen>, may_see: impl Fn(&Seen) -> bool) -> Result<Seen> {
    let seen = seen.filter(|seen| caller.reaches.includes(&seen.namespace));
    let seen = seen.ok_or_else(|| Error::not_found("No such intent."))?;
    if may_see(&seen) { Ok(seen) } else { Err(Error::forbidden("This intent is another tenant's.")) }
}

/// The answer to `/status` and the larger part of that to `/result`.
pub(super) fn status_of(seen: &Seen) -> wire::IntentStatus {
    wire::IntentStatus {
        id: seen.id.to_string(),
        namespace: seen.namespace.clone(),
        goal: seen.goal.clone(),
        status: seen.state.as_str().to_owned(),
        priority: seen.priority.into(),
        visibility: if seen.public { "public" } else { "private" }.to_owned(),
        claim_attempts: seen.claim_attempts.into(),
        run_at: seen.run_at,
        claim_expires_at: seen.claim_expires_at,
        target_worker: seen.target_worker.clone(),
        required_capability: seen.required_capability.clone(),
        completed_at: seen.completed_at,
        last_error: seen.last_error.clone(),
    }
}
