//! `POST /extend_claim/{id}`: the work takes longer than the lease.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::{limits, wire};

use super::finish;
use crate::{
    error::{Error, Result},
    http::{Shared, auth::ClientRequest, body::integer, ok, openapi::ExtendBody},
    telemetry::traces::messages::Operation,
};

/// Moves the end of a lease.
#[utoipa::path(
    post,
    path = "/extend_claim/{id}",
    tag = "workers",
    request_body(
        content = ExtendBody,
        example = json!({"claim_token": "5f0c1a9e7b3d4c2f8a6e1d0b9c7f3a54", "seconds": 120}),
    ),
    responses(
        (status = 200, description = "The lease ends later.", body = wire::Extended),
        (status = 400, description = "`invalid_json`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn extend(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let (claim, body) = finish::read(&http, &request)?;
    let seconds =
        integer(body.seconds, "seconds", limits::EXTEND)?.ok_or_else(|| Error::invalid("seconds is missing."))?;
    let span = state.store.traces.begin(Operation::Extend);
    span.id(claim.id);
    let settled = span.around(state.store.extend(&request.admission, claim, f64::from(seconds))).await?;
    span.settled([&settled].into_iter());
    ok(&wire::Extended { ok: true, id: claim.id.to_string(), extended_by: seconds })
}
