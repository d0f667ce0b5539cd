//! `/admin/intents/{id}`: look at an intent, cancel it, bring it back.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;

use crate::{
    domain::intent::State,
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, intents::status_of, ok, target},
    telemetry::events::operated,
};

/// Shows an intent to an operator.
#[utoipa::path(
    get,
    path = "/admin/intents/{id}",
    operation_id = "show_intent",
    tag = "operators",
    responses(
        (status = 200, description = "All but its payload.", body = wire::IntentDetail),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    let seen =
        state.store.find_for(&request.admission, id).await?.ok_or_else(|| Error::not_found("No such intent."))?;
    ok(&wire::IntentDetail {
        status: status_of(&seen),
        max_attempts: seen.max_attempts.into(),
        worker_id: seen.worker_id.clone(),
        created_at: seen.created_at,
    })
}

/// Makes an intent dead.
#[utoipa::path(
    post,
    path = "/admin/intents/{id}/cancel",
    operation_id = "cancel_intent",
    tag = "operators",
    responses(
        (status = 200, description = "It is dead.", body = wire::Failed),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn cancel(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    state.store.cancel(&request.admission, id).await?;
    operated("cancelled", id);
    ok(&wire::Failed { ok: true, id: id.to_string(), status: State::Dead.as_str().to_owned() })
}

/// Brings a dead intent back.
#[utoipa::path(
    post,
    path = "/admin/intents/{id}/retry",
    operation_id = "retry_intent",
    tag = "operators",
    responses(
        (status = 200, description = "It is open, with no attempt used.", body = wire::Failed),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`conflict`"),
    ),
)]
pub async fn retry(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    state.store.retry(&request.admission, id).await?;
    operated("retried", id);
    ok(&wire::Failed { ok: true, id: id.to_string(), status: State::Open.as_str().to_owned() })
}
