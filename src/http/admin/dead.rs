//! `/admin/dead`: dead letters.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde_json::value::RawValue;

use crate::{
    domain::intent::State,
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, ok, target},
};

/// Dead letters in the list.
const NEWEST: i64 = 100;
/// The reason of a dead letter that gave none.
const NO_REASON: &str = "No reason was given.";

/// Lists the newest dead letters.
#[utoipa::path(
    get,
    path = "/admin/dead",
    operation_id = "list_dead_letters",
    tag = "operators",
    responses((status = 200, description = "At most 100, the newest first.", body = Vec<wire::DeadLetter>)),
)]
pub async fn list(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let letters = state.store.dead_letters(NEWEST).await?;
    let letters: Vec<wire::DeadLetter> = letters
        .into_iter()
        .map(|letter| wire::DeadLetter {
            intent_id: letter.id.to_string(),
            namespace: letter.namespace,
            goal: letter.goal,
            attempts: letter.attempts.into(),
            reason: letter.reason.unwrap_or_else(|| NO_REASON.to_owned()),
            created_at: letter.died_at,
        })
        .collect();
    ok(&letters)
}

/// Shows one dead letter with its payload.
#[utoipa::path(
    get,
    path = "/admin/dead/{id}",
    operation_id = "show_dead_letter",
    tag = "operators",
    responses(
        (status = 200, description = "The dead letter.", body = wire::DeadLetterDetail),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    let no_letter = || Error::not_found("No such dead letter.");
    let seen = state.store.find_for(&request.admission, id).await?;
    let seen = seen.filter(|seen| seen.state == State::Dead).ok_or_else(no_letter)?;
    let payload = state.store.payload(&seen).await?.ok_or_else(no_letter)?;
    let payload = String::from_utf8(payload).map_err(Error::fault)?;
    ok(&wire::DeadLetterDetail {
        letter: wire::DeadLetter {
            intent_id: id.to_string(),
            namespace: seen.namespace,
            goal: seen.goal,
            attempts: seen.claim_attempts.into(),
            reason: seen.last_error.unwrap_or_else(|| NO_REASON.to_owned()),
            created_at: seen.completed_at.unwrap_or(seen.run_at),
        },
        payload: RawValue::from_string(payload).map_err(Error::fault)?,
    })
}
