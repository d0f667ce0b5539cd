//! `POST /fulfill/{id}`: the work is done, here is its result.

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use intent_bus_protocol::wire;

use super::{finish, one};
use crate::{
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::ClientRequest,
        body::{passed_on, text},
        ok,
        openapi::FulfillBody,
    },
    store::intents::fulfill::Fulfill,
    telemetry::traces::messages::Operation,
};

/// Fulfils an intent.
#[utoipa::path(
    post,
    path = "/fulfill/{id}",
    tag = "workers",
    request_body(
        content = Option<FulfillBody>,
        example = json!({"claim_token": "5f0c1a9e7b3d4c2f8a6e1d0b9c7f3a54", "result": {"sent": true}}),
    ),
    responses(
        (status = 200, description = "Fulfilled; the result is stored for good.", body = wire::Finished),
        (status = 400, description = "`invalid_json`, `invalid_payload`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn fulfill(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let (claim, body) = finish::read(&http, &request)?;
    let result = result(&body, state.limits.max_payload)?;
    let span = state.store.traces.begin(Operation::Fulfill);
    span.id(claim.id);
    let fulfill = Fulfill { admission: request.admission.clone(), claims: vec![(claim, result)] };
    let settled = span.around(async { one(state.store.fulfill(fulfill).await?) }).await?;
    span.settled(settled.0.iter());
    ok(&wire::Finished { ok: true, id: claim.id.to_string() })
}

pub(super) fn result(body: &finish::Body<'_>, most: usize) -> Result<Option<(Bytes, &'static str)>> {
    let kind = match text(body.result_type, "result_type", ErrorCode::InvalidRequest)?.as_deref() {
        None | Some("json") => "json",
        Some("text") => "text",
        Some(_) => return Err(Error::invalid("result_type must be json or text.")),
    };
    let Some(result) = body.result.0 else { return Ok(None) };
    if kind == "text" && !result.get().starts_with('"') {
        return Err(Error::invalid("result must be a string where result_type is text."));
    }
    Ok(Some((passed_on(result, "result", most)?, kind)))
}
