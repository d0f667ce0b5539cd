//! `POST /intent`: publish a unit of work.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use intent_bus_protocol::{generation::Generation, json, limits, wire};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::one;
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
        openapi::Visibility,
    },
    store::intents::publish::Publish,
    telemetry::traces::messages::Operation,
};

/// Longest delay, in seconds: a year.
const DELAY_MAX: f64 = 31_536_000.0;

/// A unit of work to be published. Read with its values untouched.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewIntent)]
pub(super) struct Body<'a> {
    /// What kind of work it is: 1 to 256 characters, not counting white space around them.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 256,
        pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$", example = "send-mail")]
    #[serde(borrow, default)]
    goal: Option<&'a RawValue>,
    /// What to work on; it goes to the worker byte for byte. Under protocol 1.1 an object, else any JSON.
    #[schema(value_type = serde_json::Value, required = true)]
    #[serde(borrow, default)]
    payload: body::Present<'a>,
    /// Where it is published.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_.-]{1,64}$", default = "default")]
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    /// Who may claim it: your own workers, or anybody's.
    #[schema(value_type = Option<Visibility>, inline, default = "private")]
    #[serde(borrow, default)]
    visibility: Option<&'a RawValue>,
    /// The higher is claimed first.
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 1000, default = 100)]
    #[serde(borrow, default)]
    priority: Option<&'a RawValue>,
    /// Seconds from now until it may be claimed.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 31_536_000, default = 0)]
    #[serde(borrow, default)]
    delay: Option<&'a RawValue>,
    /// How often it may be claimed before it is dead.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 20, default = 3)]
    #[serde(borrow, default)]
    max_attempts: Option<&'a RawValue>,
    /// Seconds that the wait before a retry grows from; it doubles with every attempt.
    #[schema(value_type = Option<f64>, minimum = 1, maximum = 3600, default = 5)]
    #[serde(borrow, default)]
    backoff_base: Option<&'a RawValue>,
    /// The only worker that may claim it.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_.:-]{1,64}$")]
    #[serde(borrow, default)]
    target_worker: Option<&'a RawValue>,
    /// What a worker must be able to do to claim it.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_.:-]{1,64}$")]
    #[serde(borrow, default)]
    required_capability: Option<&'a RawValue>,
    /// Kept for SDK 1.0, not interpreted.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(borrow, default)]
    reward: Option<&'a RawValue>,
}

/// Publishes an intent.
#[utoipa::path(
    post,
    path = "/intent",
    tag = "publishers",
    request_body(content = Body, example = json!({"goal": "send-mail", "payload": {"to": "ada@example.org"}})),
    responses(
        (status = 201, description = "Published, and stored for good.", body = wire::Published),
        (status = 400, description = "`invalid_json`, `invalid_payload`, `invalid_namespace`, `invalid_goal`, \
            `invalid_target_worker`, `invalid_required_capability`"),
        (status = 409, description = "`conflict`"),
        (status = 422, description = "`idempotency_conflict`"),
        (status = 429, description = "`limit_exceeded`"),
    ),
)]
pub async fn publish(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let mut intent = read(&request, &request.body, state.limits.max_payload)?;
    let idempotency = request.idempotency(&http)?;
    let namespace = intent.namespace.as_str().to_owned();
    let span = state.store.traces.begin(Operation::Publish);
    span.all_for([(namespace.as_str(), intent.goal.as_str())].into_iter());
    span.size(intent.payload.len());
    intent.traceparent = span.to_store(&state.store.traces, http.headers());
    let publish = Publish {
        admission: request.admission,
        intents: vec![(intent, idempotency)],
        max_open: request.caller.max_open,
    };
    let id = span.around(async { one(state.store.publish(publish).await?) }).await?;
    span.id(id);
    crate::http::json(StatusCode::CREATED, &published(id, namespace))
}

pub(super) fn published(id: IntentId, namespace: String) -> wire::Published {
    wire::Published { id: id.to_string(), status: "published".to_owned(), namespace }
}

pub(super) fn read(request: &ClientRequest, body: &[u8], max_payload: usize) -> Result<NewIntent> {
    let body: Body<'_> = body::object(body)?;
    let goal = text(body.goal, "goal", ErrorCode::InvalidGoal)?
        .ok_or_else(|| Error::new(ErrorCode::InvalidGoal, "goal is missing."))?;
    let payload = body.payload.0.ok_or_else(|| Error::new(ErrorCode::InvalidPayload, "payload is missing."))?;
    if request.generation().payload_must_be_object() && !json::is_object(payload.get()) {
        return Err(Error::new(ErrorCode::InvalidPayload, "payload must be a JSON object under protocol 1.1."));
    }
    let has_retry_policy = request.generation() == Generation::V2
        || given(body.max_attempts).is_some()
        || given(body.backoff_base).is_some();
    let label =
        |field, name: &str, code| text(field, name, code)?.map(|text| Label::parse(&text, name, code)).transpose();
    let small = |number: i32| i16::try_from(number).map_err(Error::fault);
    let namespace = text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?
        .map_or_else(|| Ok(Namespace::default()), |text| Namespace::parse(&text))?;
    request.caller.reaches.allow_in(namespace.as_str())?;
    Ok(NewIntent {
        id: IntentId::generate(),
        tenant: request.caller.tenant,
        namespace,
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
        required_capability: label(
            body.required_capability,
            "required_capability",
            ErrorCode::InvalidRequiredCapability,
        )?,
        payload: passed_on(payload, "payload", max_payload)?,
        reward: given(body.reward).map(|reward| passed_on(reward, "reward", max_payload)).transpose()?,
        traceparent: None,
    })
}

fn is_public(visibility: Option<&RawValue>) -> Result<bool> {
    match text(visibility, "visibility", ErrorCode::InvalidRequest)?.as_deref() {
        None | Some("private") => Ok(false),
        Some("public") => Ok(true),
        Some(_) => Err(Error::invalid("visibility must be private or public.")),
    }
}
