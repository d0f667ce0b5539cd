//! `POST /fail/{id}`: this attempt has failed.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::{limits, wire};

use super::finish;
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
    let error = given(body.error).map_or_else(|| "Failed.".to_owned(), |error| readable(error, limits::ERROR_MAX));
    let next = state.store.fail(&request.admission, claim, &error, request.generation()).await?;
    let status = if next == State::Dead { request.generation().terminal_name() } else { next.as_str() };
    ok(&wire::Failed { ok: true, id: claim.id.to_string(), status: status.to_owned() })
}
