//! `/admin/intents/{id}`: look at an intent, cancel it, bring it back.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;

use crate::{
    domain::{intent::State, why::Reason},
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, intents::status_of, ok, target},
    store::operators::inspect::{Event, Excerpt, Inspected},
};

/// Shows an intent to an operator.
#[utoipa::path(
    get,
    path = "/admin/intents/{id}",
    operation_id = "show_intent",
    tag = "operators",
    responses(
        (status = 200, description = "All about it, and why nobody claims it.", body = wire::IntentDetail),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    let intent = state
        .store
        .inspect(&request.admission, id, state.limits.rate_per_minute)
        .await?
        .ok_or_else(|| Error::not_found("No such intent."))?;
    ok(&detail(intent))
}

fn detail(intent: Inspected) -> wire::IntentDetail {
    wire::IntentDetail {
        status: status_of(&intent.seen),
        max_attempts: intent.seen.max_attempts.into(),
        created_at: intent.seen.created_at,
        tenant: intent.seen.tenant,
        trace_id: intent.trace_id().map(str::to_owned),
        timeline: intent.timeline.into_iter().map(event).collect(),
        why: intent.why.iter().map(|reason| why(reason, intent.now)).collect(),
        worker_id: intent.seen.worker_id,
        owner: intent.owner,
        now: intent.now,
        payload: intent.payload.map(excerpt),
        result: intent.result.map(excerpt),
        result_type: intent.result_type,
        traceparent: intent.traceparent,
    }
}

fn excerpt(excerpt: Excerpt) -> wire::Excerpt {
    wire::Excerpt { text: excerpt.text, bytes: excerpt.bytes, cut: excerpt.cut }
}

fn event(event: Event) -> wire::TimelineEvent {
    wire::TimelineEvent {
        at: event.at,
        event: event.what.as_str().to_owned(),
        attempt: event.attempt,
        worker_id: event.worker,
        tenant: event.tenant,
        error: event.error,
        result: event.result.map(excerpt),
    }
}

fn why(reason: &Reason, now: f64) -> wire::WhyNotClaimed {
    wire::WhyNotClaimed { code: reason.code().to_owned(), message: reason.message(now), until: reason.until() }
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
    state.store.cancel(&request.admission, &request.by, id).await?;
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
    state.store.retry(&request.admission, &request.by, id).await?;
    ok(&wire::Failed { ok: true, id: id.to_string(), status: State::Open.as_str().to_owned() })
}
