//! `POST /fulfill`: many pieces of work are done.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;

use super::{finish, fulfill::result, many::detail};
use crate::{
    error::Result,
    http::{Shared, auth::ClientRequest, ok, openapi::FulfillManyBody},
    store::intents::fulfill::Fulfill,
    telemetry::traces::messages::Operation,
};

/// Fulfils intents, each with an outcome of its own.
///
/// One signature and one place in the minute for all.
#[utoipa::path(
    post,
    path = "/fulfill",
    tag = "workers",
    request_body(
        content = FulfillManyBody,
        example = json!({"claims": [{
            "id": "0192f0c1a7d27c5e9b6a4f3e2d1c0b9a", "claim_token": "5f0c1a9e7b3d4c2f8a6e1d0b9c7f3a54",
            "result": {"sent": true},
        }]}),
    ),
    responses(
        (status = 200, description = "What became of each.", body = wire::FinishedMany),
        (status = 400, description = "`invalid_json`"),
    ),
)]
pub async fn fulfill_many(state: Shared, request: ClientRequest) -> Result<HttpResponse> {
    let mut claims = Vec::new();
    let mut outcomes = Vec::new();
    let mut ids = Vec::new();
    for (id, held) in finish::read_many(&request)? {
        let read = held.and_then(|(claim, body)| Ok((claim, result(&body, state.limits.max_payload)?)));
        outcomes.push(read.map(|claim| claims.push(claim)));
        ids.push(id);
    }
    let span = state.store.traces.begin(Operation::Fulfill);
    span.count(claims.len());
    let answers = span.around(state.store.fulfill(Fulfill { admission: request.admission, claims })).await?;
    span.settled(answers.iter().flatten().filter_map(|done| done.0.as_ref()));
    span.refused(answers.iter().filter(|answer| answer.is_err()).count());
    let mut answers = answers.into_iter();
    let outcomes = outcomes.into_iter().map(|read| read.and_then(|()| super::next(&mut answers)));
    let outcomes = ids
        .into_iter()
        .zip(outcomes)
        .map(|(id, outcome)| match outcome {
            Ok(_) => wire::FulfillOutcome::Finished(wire::Finished { ok: true, id }),
            Err(error) => wire::FulfillOutcome::Refused(wire::NotFinished { id, error: detail(&error) }),
        })
        .collect();
    ok(&wire::FinishedMany { outcomes })
}
