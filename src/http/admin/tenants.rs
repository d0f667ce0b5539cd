//! `POST /admin/tenants/{number}/limits`.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::path_number;
use crate::{
    domain::keys::LIMITS,
    error::{Error, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, Present, integer},
        ok,
    },
    store::keys::manage::NewLimits,
};

/// Limits to be changed. What is left out stays as it is; null puts the bus's setting in force.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewLimits)]
struct Body<'a> {
    /// Requests that this tenant may make in any 60 s.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    rate_limit_per_minute: Present<'a>,
    /// Unfinished intents that this tenant may have.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    max_open_intents: Present<'a>,
}

/// Changes a tenant's limits, within a second on every replica.
#[utoipa::path(
    post,
    path = "/admin/tenants/{number}/limits",
    operation_id = "set_limits",
    tag = "operators",
    request_body(content = Body, example = json!({"rate_limit_per_minute": 600, "max_open_intents": null})),
    responses(
        (status = 200, description = "The limits in force; null: the bus's setting.", body = wire::TenantLimits),
        (status = 400, description = "`invalid_json`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn set_limits(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let tenant = path_number(&http, "tenant")?;
    let body: Body<'_> = body::object(&request.body)?;
    let limit = |field: &Present<'_>, name| field.0.map(|raw| integer(Some(raw), name, LIMITS)).transpose();
    let new = NewLimits {
        rate_limit: limit(&body.rate_limit_per_minute, "rate_limit_per_minute")?,
        max_open: limit(&body.max_open_intents, "max_open_intents")?,
    };
    if new.rate_limit.is_none() && new.max_open.is_none() {
        return Err(Error::invalid("Send rate_limit_per_minute, max_open_intents or both."));
    }
    let limits = state.store.set_limits(&request.admission, &request.by, tenant, new).await?;
    ok(&wire::TenantLimits {
        tenant: limits.tenant,
        owner: limits.owner,
        rate_limit_per_minute: limits.rate_limit,
        max_open_intents: limits.max_open,
    })
}
