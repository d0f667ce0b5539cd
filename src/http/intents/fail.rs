//! `POST /fail/{id}`: this attempt has failed.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::{generation::Generation, limits, wire};

use super::{finish, one};
use crate::{
    domain::intent::State,
    error::Result,
    http::{
        Shared,
        auth::ClientRequest,
        body::{given, readable},
        ok,
        openapi::FailBody,
    },
    telemetry::traces::messages::Operation,
};

/// Reports a failed attempt.
#[utoipa::path(
    post,
    path = "/fail/{id}",
    tag = "workers",
    request_body(
        content = Option<FailBody>,
        example = json!({"claim_token": "5f0c1a9e7b3d4c2f8a6e1d0b9c7f3a54", "error": "The mail server is away."}),
    ),
    responses(
        (status = 200, description = "Noted. The status says what becomes of the intent.", body = wire::Failed),
        (status = 400, description = "`invalid_json`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn fail(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let (claim, body) = finish::read(&http, &request)?;
    let generation = request.generation();
    let span = state.store.traces.begin(Operation::Fail);
    span.id(claim.id);
    let claims = [(claim, reason(&body))];
    let failed = span.around(async { one(state.store.fail(&request.admission, &claims, generation).await?) }).await?;
    span.settled([&failed.settled].into_iter());
    ok(&answer(claim.id.to_string(), failed.state, generation))
}

/// Why, as it is kept.
pub(super) fn reason(body: &finish::Body<'_>) -> String {
    given(body.error).map_or_else(|| "Failed.".to_owned(), |error| readable(error, limits::ERROR_MAX))
}

pub(super) fn answer(id: String, next: State, generation: Generation) -> wire::Failed {
    let status = if next == State::Dead { generation.terminal_name() } else { next.as_str() };
    wire::Failed { ok: true, id, status: status.to_owned() }
}
