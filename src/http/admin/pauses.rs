//! `POST /admin/pause`, `POST /admin/resume`, `GET /admin/pauses`.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    domain::names::{Goal, Namespace},
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, text},
        ok,
    },
    store::operators,
};

/// What is to be held back, or handed out again.
#[derive(Deserialize, ToSchema)]
#[schema(as = WhatToPause)]
struct Body<'a> {
    /// In which namespace.
    #[schema(value_type = String, required = true, pattern = "^[A-Za-z0-9_.-]{1,64}$", example = "default")]
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    /// Which goal. Without it: all of the namespace.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
    #[serde(borrow, default)]
    goal: Option<&'a RawValue>,
}

fn read(body: &[u8]) -> Result<(Namespace, Option<Goal>)> {
    let body: Body<'_> = body::object(body)?;
    let namespace = text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?
        .ok_or_else(|| Error::new(ErrorCode::InvalidNamespace, "namespace is missing."))?;
    let goal = text(body.goal, "goal", ErrorCode::InvalidGoal)?;
    Ok((Namespace::parse(&namespace)?, goal.map(|goal| Goal::parse(&goal)).transpose()?))
}

/// Stops handing out a goal, or all of a namespace.
///
/// Publishing goes on, and so does work that is claimed already.
#[utoipa::path(
    post,
    path = "/admin/pause",
    tag = "operators",
    request_body(content = Body, example = json!({"namespace": "default", "goal": "send-mail"})),
    responses(
        (status = 200, description = "It is paused.", body = wire::PauseChanged),
        (status = 400, description = "`invalid_json`, `invalid_namespace`, `invalid_goal`"),
    ),
)]
pub async fn pause(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let (namespace, goal) = read(&request.body)?;
    let goal = goal.as_ref().map(Goal::as_str);
    let changed = state.store.pause(&request.admission, &request.by, namespace.as_str(), goal).await?;
    ok(&wire::PauseChanged { ok: true, paused: true, changed })
}

/// Hands it out again.
#[utoipa::path(
    post,
    path = "/admin/resume",
    tag = "operators",
    request_body(content = Body, example = json!({"namespace": "default", "goal": "send-mail"})),
    responses(
        (status = 200, description = "It is not paused.", body = wire::PauseChanged),
        (status = 400, description = "`invalid_json`, `invalid_namespace`, `invalid_goal`"),
    ),
)]
pub async fn resume(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let (namespace, goal) = read(&request.body)?;
    let goal = goal.as_ref().map(Goal::as_str);
    let changed = state.store.resume(&request.admission, &request.by, namespace.as_str(), goal).await?;
    ok(&wire::PauseChanged { ok: true, paused: false, changed })
}

/// Lists what is paused.
#[utoipa::path(
    get,
    path = "/admin/pauses",
    operation_id = "list_pauses",
    tag = "operators",
    responses((status = 200, description = "What is not handed out for now.", body = wire::Pauses)),
)]
pub async fn list(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    ok(&wire::Pauses { pauses: state.store.pauses().await?.iter().map(pause_of).collect() })
}

pub(super) fn pause_of(pause: &operators::pauses::Pause) -> wire::Pause {
    wire::Pause { namespace: pause.namespace.clone(), goal: pause.goal.clone(), paused_at: pause.paused_at }
}
