//! `POST /intent`: publish a unit of work.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use intent_bus_protocol::{generation::Generation, json, limits, wire};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::{
        ids::IntentId,
        intent::NewIntent,
        names::{Goal, Label, Namespace},
    },
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::ClientRequest,
        body::{self, given, integer, number, passed_on, text},
    },
};

/// Longest delay, in seconds: a year.
const DELAY_MAX: f64 = 31_536_000.0;

/// The body, its values untouched.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    goal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: body::Present<'a>,
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow, default)]
    visibility: Option<&'a RawValue>,
    #[serde(borrow, default)]
    priority: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delay: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_attempts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    backoff_base: Option<&'a RawValue>,
    #[serde(borrow, default)]
    target_worker: Option<&'a RawValue>,
    #[serde(borrow, default)]
    required_capability: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reward: Option<&'a RawValue>,
}

/// Publishes an intent.
///
/// # Errors
/// As documented in `/openapi.json`.
pub async fn publish(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let intent = read(&request, state.limits.max_payload)?;
    let idempotency = request.idempotency(&http)?;
    let id = state
        .store
        .publish(&request.admission, idempotency.as_ref(), &intent, request.caller.max_open)
        .await?;
    let published = wire::Published {
        id: id.to_string(),
        status: "published".to_owned(),
        namespace: intent.namespace.as_str().to_owned(),
    };
    crate::http::json(StatusCode::CREATED, &published)
}

fn read(request: &ClientRequest, max_payload: usize) -> Result<NewIntent> {
    let body: Body<'_> = body::object(&request.body)?;
    let goal = text(body.goal, "goal", ErrorCode::InvalidGoal)?
        .ok_or_else(|| Error::new(ErrorCode::InvalidGoal, "goal is missing."))?;
    let payload = body.payload.0.ok_or_else(|| Error::new(ErrorCode::InvalidPayload, "payload is missing."))?;
    if request.generation().payload_must_be_object() && !json::is_object(payload.get()) {
        return Err(Error::new(ErrorCode::InvalidPayload, "payload must be a JSON object under protocol 1.1."));
    }
    let has_retry_policy = request.generation() == Generation::V2
        || given(body.max_attempts).is_some()
        || given(body.backoff_base).is_some();
    let label = |field, name: &str, code| {
        text(field, name, code)?.map(|text| Label::parse(&text, name, code)).transpose()
    };
    let small = |number: i32| i16::try_from(number).map_err(Error::fault);
    Ok(NewIntent {
        id: IntentId::generate()?,
        tenant: request.caller.tenant,
        namespace: text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?
            .map_or_else(|| Ok(Namespace::default()), |text| Namespace::parse(&text))?,
        goal: Goal::parse(&goal)?,
        public: is_public(body.visibility)?,
        priority: small(integer(body.priority, "priority", limits::PRIORITY)?.unwrap_or(limits::PRIORITY_DEFAULT))?,
        delay: number(body.delay, "delay", 0.0..=DELAY_MAX)?.unwrap_or(0.0),
        max_attempts: small(
            integer(body.max_attempts, "max_attempts", limits::MAX_ATTEMPTS)?.unwrap_or(limits::MAX_ATTEMPTS_DEFAULT),
        )?,
        backoff_base: number(body.backoff_base, "backoff_base", limits::BACKOFF)?.unwrap_or(limits::BACKOFF_DEFAULT),
        has_retry_policy,
        target_worker: label(body.target_worker, "target_worker", ErrorCode::InvalidTargetWorker)?,
        required_capability: label(body.required_capability, "required_capability", ErrorCode::InvalidRequiredCapability)?,
        payload: passed_on(payload, "payload", max_payload)?,
        reward: given(body.reward).map(|reward| passed_on(reward, "reward", max_payload)).transpose()?,
    })
}

fn is_public(visibility: Option<&RawValue>) -> Result<bool> {
    match text(visibility, "visibility", ErrorCode::InvalidRequest)?.as_deref() {
        None | Some("private") => Ok(false),
        Some("public") => Ok(true),
        Some(_) => Err(Error::invalid("visibility must be private or public.")),
    }
}
