//! `POST /fail`: many attempts have failed.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;

use super::{
    fail::{answer, reason},
    finish,
    many::detail,
};
use crate::{
    error::Result,
    http::{Shared, auth::ClientRequest, ok, openapi::FailManyBody},
    telemetry::traces::messages::Operation,
};

/// Reports failed attempts, each with an outcome of its own.
///
/// One signature and one place in the minute for all.
#[utoipa::path(
    post,
    path = "/fail",
    tag = "workers",
    request_body(
        content = FailManyBody,
        example = json!({"claims": [{
            "id": "0192f0c1a7d27c5e9b6a4f3e2d1c0b9a", "claim_token": "5f0c1a9e7b3d4c2f8a6e1d0b9c7f3a54",
            "error": "The mail server is away.",
        }]}),
    ),
    responses(
        (status = 200, description = "What became of each.", body = wire::FailedMany),
        (status = 400, description = "`invalid_json`"),
    ),
)]
pub async fn fail_many(state: Shared, request: ClientRequest) -> Result<HttpResponse> {
    let generation = request.generation();
    let mut claims = Vec::new();
    let mut outcomes = Vec::new();
    let mut ids = Vec::new();
    for (id, held) in finish::read_many(&request)? {
        outcomes.push(held.map(|(claim, body)| claims.push((claim, reason(&body)))));
        ids.push(id);
    }
    let span = state.store.traces.begin(Operation::Fail);
    span.count(claims.len());
    let answers = span.around(state.store.fail(&request.admission, &claims, generation)).await?;
    span.settled(answers.iter().flatten().map(|failed| &failed.settled));
    span.refused(answers.iter().filter(|answer| answer.is_err()).count());
    let mut answers = answers.into_iter();
    let outcomes = outcomes.into_iter().map(|read| read.and_then(|()| super::next(&mut answers)));
    let outcomes = ids
        .into_iter()
        .zip(outcomes)
        .map(|(id, outcome)| match outcome {
            Ok(failed) => wire::FailOutcome::Failed(answer(id, failed.state, generation)),
            Err(error) => wire::FailOutcome::Refused(wire::NotFinished { id, error: detail(&error) }),
        })
        .collect();
    ok(&wire::FailedMany { outcomes })
}
