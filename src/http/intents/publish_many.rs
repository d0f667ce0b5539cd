//! `POST /intents`: publish many units of work by one request.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    many::{detail, elements},
    publish::{self, published},
};
use crate::{
    domain::intent::NewIntent,
    error::Result,
    http::{Shared, auth::ClientRequest, body, ok},
    store::{idempotency::Idempotency, intents::publish::Publish},
    telemetry::traces::messages::Operation,
};

/// Units of work to be published. Each is read by itself, its values untouched.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewIntents)]
struct Body<'a> {
    /// 1 to 1,000 of them, each as for `POST /intent`.
    #[schema(value_type = Vec<publish::Body>, required = true, min_items = 1, max_items = 1000)]
    #[serde(borrow, default)]
    intents: Option<&'a RawValue>,
}

/// Publishes intents, each with an outcome of its own.
///
/// One signature and one place in the minute for all. An `Idempotency-Key` stands for each intent by its number: a repeated
/// request gives the first answers again.
#[utoipa::path(
    post,
    path = "/intents",
    tag = "publishers",
    request_body(content = Body, example = json!({"intents": [
        {"goal": "send-mail", "payload": {"to": "ada@example.org"}},
        {"goal": "send-mail", "payload": {"to": "alan@example.org"}},
    ]})),
    responses(
        (status = 200, description = "What became of each.", body = wire::PublishedMany),
        (status = 400, description = "`invalid_json`"),
    ),
)]
pub async fn publish_many(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    request.idempotency_key(&http)?;
    let body: Body<'_> = body::object(&request.body)?;
    let elements = elements(body.intents, "intents")?;
    let read = |element: &RawValue| publish::read(&request, element.get().as_bytes(), state.limits.max_payload);
    let mut intents = Vec::with_capacity(elements.len());
    let mut outcomes: Vec<Option<wire::PublishOutcome>> = Vec::with_capacity(elements.len());
    for (number, element) in elements.iter().enumerate() {
        let read = read(element)
            .and_then(|intent| Ok((intent, request.idempotency_of(&http, Some(number), element.get().as_bytes())?)));
        outcomes.push(match read {
            Ok(intent) => {
                intents.push(intent);
                None
            }
            Err(error) => Some(wire::PublishOutcome::Refused(wire::ErrorBody { error: detail(&error) })),
        });
    }
    let span = state.store.traces.begin(Operation::Publish);
    span.all_for(intents.iter().map(|(intent, _)| (intent.namespace.as_str(), intent.goal.as_str())));
    span.count(intents.len());
    let traceparent = span.to_store(&state.store.traces, http.headers());
    for (intent, _) in &mut intents {
        intent.traceparent.clone_from(&traceparent);
    }
    let stored = span.around(store(&state, &request, intents)).await?;
    span.refused(stored.iter().filter(|outcome| matches!(outcome, wire::PublishOutcome::Refused(_))).count());
    let mut stored = stored.into_iter();
    let outcomes = outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| stored.next())).collect();
    ok(&wire::PublishedMany { outcomes })
}

async fn store(
    state: &Shared,
    request: &ClientRequest,
    intents: Vec<(NewIntent, Option<Idempotency>)>,
) -> Result<Vec<wire::PublishOutcome>> {
    let namespaces: Vec<String> = intents.iter().map(|(intent, _)| intent.namespace.as_str().to_owned()).collect();
    let publish = Publish { admission: request.admission.clone(), intents, max_open: request.caller.max_open };
    let answers = state.store.publish(publish).await?;
    Ok(answers
        .into_iter()
        .zip(namespaces)
        .map(|(answer, namespace)| match answer {
            Ok(id) => wire::PublishOutcome::Published(published(id, namespace)),
            Err(error) => wire::PublishOutcome::Refused(wire::ErrorBody { error: detail(&error) }),
        })
        .collect())
}
