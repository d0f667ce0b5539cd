//! `POST /admin/generate_key` and `POST /admin/revoke_key`.

use std::ops::RangeInclusive;

use actix_web::{HttpResponse, http::StatusCode};
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    domain::{hash::key_hash, ids},
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, integer, text},
        json, ok,
    },
    store::keys::NewTenant,
};

/// Longest name of an owner, in characters.
const OWNER_MAX: usize = 128;
/// A tenant's own limits.
const LIMITS: RangeInclusive<i32> = 1..=1_000_000_000;

/// A tenant to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewKey)]
struct Generate<'a> {
    /// Whose key it will be: 1 to 128 characters, not counting white space around them.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 128,
        pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$", example = "ada")]
    #[serde(borrow, default)]
    owner: Option<&'a RawValue>,
    /// Requests that this tenant may make in any 60 s, in place of the bus's setting.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    rate_limit_per_minute: Option<&'a RawValue>,
    /// Unfinished intents that this tenant may have, in place of the bus's setting.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    max_open_intents: Option<&'a RawValue>,
}

/// A key to be revoked.
#[derive(Deserialize, ToSchema)]
#[schema(as = KeyToRevoke)]
struct Revoke<'a> {
    /// The key.
    #[schema(value_type = String, required = true, min_length = 1)]
    #[serde(borrow, default)]
    api_key: Option<&'a RawValue>,
}

/// Makes a tenant and its key, which is shown this once.
#[utoipa::path(
    post,
    path = "/admin/generate_key",
    tag = "operators",
    request_body = Generate,
    responses(
        (status = 201, description = "The key. Nothing shows it again.", body = wire::GeneratedKey),
        (status = 400, description = "`invalid_json`"),
    ),
)]
pub async fn generate_key(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Generate<'_> = body::object(&request.body)?;
    let owner = text(body.owner, "owner", ErrorCode::InvalidRequest)?
        .map(|owner| owner.trim().to_owned())
        .filter(|owner| !owner.is_empty() && owner.chars().count() <= OWNER_MAX && !owner.contains('\0'))
        .ok_or_else(|| Error::invalid(format!("owner must be a text of 1 to {OWNER_MAX} characters.")))?;
    let api_key = ids::generate_key()?;
    let tenant = NewTenant {
        owner: &owner,
        rate_limit: integer(body.rate_limit_per_minute, "rate_limit_per_minute", LIMITS)?,
        max_open: integer(body.max_open_intents, "max_open_intents", LIMITS)?,
    };
    state.store.create_key(&request.admission, &tenant, &key_hash(&api_key)).await?;
    json(StatusCode::CREATED, &wire::GeneratedKey { api_key, owner })
}

/// Revokes a key: at once here, within a second on every other replica.
#[utoipa::path(
    post,
    path = "/admin/revoke_key",
    tag = "operators",
    request_body = Revoke,
    responses(
        (status = 200, description = "Revoked.", body = wire::Revoked),
        (status = 400, description = "`invalid_json`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn revoke_key(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Revoke<'_> = body::object(&request.body)?;
    let key = text(body.api_key, "api_key", ErrorCode::InvalidRequest)?
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Error::invalid("api_key is missing."))?;
    let hash = key_hash(&key);
    let known = state.store.revoke_key(&request.admission, &hash).await?;
    state.keys.forget(&hash);
    if known { ok(&wire::Revoked { ok: true }) } else { Err(Error::not_found("No such key.")) }
}
