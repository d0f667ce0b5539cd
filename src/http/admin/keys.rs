//! Keys: made, listed, rotated, narrowed, revoked. Only the answer that makes one shows it.

use std::ops::RangeInclusive;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::fields::{PAGE_DEFAULT, before_number, namespaces, page_size, path_number, scopes};
use crate::{
    domain::{
        hash::key_hash,
        ids,
        keys::{self, LIMITS},
    },
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, Present, given, integer, text},
        json, ok,
        openapi::{self, NamespaceName, PageQuery},
        target::Query,
    },
    store::keys::manage::{Holder, ListedKey, MadeKey, NewKey, NewReach, Which},
};

/// Seconds for which a key may be made: up to ten years.
const EXPIRES_IN: RangeInclusive<i32> = 1..=315_360_000;
/// Seconds for which a key that is rotated goes on: up to thirty days, a day if nothing is said.
const OVERLAP: RangeInclusive<i32> = 0..=2_592_000;
const OVERLAP_DEFAULT: i32 = 86_400;

/// A key to be made: of a new tenant, by `owner`, or one more of a `tenant` that there is.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewKey)]
struct Generate<'a> {
    /// Whose key it will be: 1 to 128 characters, not counting white space around them. Makes a new tenant.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128,
        pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$", example = "ada")]
    #[serde(borrow, default)]
    owner: Option<&'a RawValue>,
    /// In place of `owner`: the number of a tenant that shall have one more key.
    #[schema(value_type = Option<i32>, minimum = 1)]
    #[serde(borrow, default)]
    tenant: Option<&'a RawValue>,
    /// Requests that the new tenant may make in any 60 s, in place of the bus's setting.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    rate_limit_per_minute: Option<&'a RawValue>,
    /// Unfinished intents that the new tenant may have, in place of the bus's setting.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_000_000_000)]
    #[serde(borrow, default)]
    max_open_intents: Option<&'a RawValue>,
    /// What the key may be used for, of `publish`, `work`, `read`, `values`. Without it: everything.
    #[schema(value_type = Option<Vec<openapi::Scope>>, min_items = 1)]
    #[serde(borrow, default)]
    scopes: Option<&'a RawValue>,
    /// In which namespaces intents may be published, claimed and looked at, at most 100. Without it: in all.
    #[schema(value_type = Option<Vec<NamespaceName>>, min_items = 1, max_items = 100)]
    #[serde(borrow, default)]
    namespaces: Option<&'a RawValue>,
    /// Seconds after which the key ends by itself. Without it: never.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 315_360_000)]
    #[serde(borrow, default)]
    expires_in: Option<&'a RawValue>,
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

/// How a key is rotated.
#[derive(Deserialize, ToSchema)]
#[schema(as = Rotation)]
struct Rotate<'a> {
    /// Seconds for which the old key goes on, so that everybody can take up the new one.
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 2_592_000, default = 86_400)]
    #[serde(borrow, default)]
    overlap_seconds: Option<&'a RawValue>,
}

/// What a key shall reach. What is left out stays as it is; null stands for everything.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewReach)]
struct Scopes<'a> {
    /// What it may be used for, of `publish`, `work`, `read`, `values`.
    #[schema(value_type = Option<Vec<openapi::Scope>>, min_items = 1)]
    #[serde(borrow, default)]
    scopes: Present<'a>,
    /// In which namespaces, at most 100.
    #[schema(value_type = Option<Vec<NamespaceName>>, min_items = 1, max_items = 100)]
    #[serde(borrow, default)]
    namespaces: Present<'a>,
}

/// Makes a key, which is shown this once: for a new tenant, or for one that there is.
#[utoipa::path(
    post,
    path = "/admin/generate_key",
    tag = "operators",
    request_body(content = Generate, example = json!({"owner": "ada", "scopes": ["publish", "read"]})),
    responses(
        (status = 201, description = "The key. Nothing shows it again.", body = wire::GeneratedKey),
        (status = 400, description = "`invalid_json`, `invalid_namespace`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn generate_key(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Generate<'_> = body::object(&request.body)?;
    let owner = owner(body.owner)?;
    let rate_limit = integer(body.rate_limit_per_minute, "rate_limit_per_minute", LIMITS)?;
    let max_open = integer(body.max_open_intents, "max_open_intents", LIMITS)?;
    let tenant = integer(body.tenant, "tenant", 1..=i32::MAX)?;
    let holder = match (tenant, &owner) {
        (None, Some(owner)) => Holder::New { owner, rate_limit, max_open },
        (Some(tenant), None) if rate_limit.is_none() && max_open.is_none() => Holder::Tenant(tenant.into()),
        (Some(_), None) => {
            return Err(Error::invalid("Limits belong to the tenant: change them at /admin/tenants/{number}/limits."));
        }
        (Some(_), Some(_)) => return Err(Error::invalid("Send owner for a new tenant, or tenant for one there is.")),
        (None, None) => return Err(keys::no_owner()),
    };
    let (scopes, namespaces) = (scopes(body.scopes)?, namespaces(body.namespaces)?);
    let new = NewKey {
        holder,
        scopes: scopes.as_deref(),
        namespaces: namespaces.as_deref(),
        expires_in: integer(body.expires_in, "expires_in", EXPIRES_IN)?.map(f64::from),
    };
    let api_key = ids::generate_key()?;
    let made = state.store.create_key(&request.admission, &request.by, &new, &key_hash(&api_key)).await?;
    json(StatusCode::CREATED, &generated(api_key, made))
}

fn owner(field: Option<&RawValue>) -> Result<Option<String>> {
    text(field, "owner", ErrorCode::InvalidRequest)?.map(|owner| keys::owner(&owner)).transpose()
}

fn generated(api_key: String, made: MadeKey) -> wire::GeneratedKey {
    wire::GeneratedKey { api_key, owner: made.owner, id: made.id, tenant: made.tenant, expires_at: made.expires_at }
}

/// Lists keys, the newest first. Never the keys themselves: nobody has them but their holders.
#[utoipa::path(
    get,
    path = "/admin/keys",
    operation_id = "list_keys",
    tag = "operators",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = wire::Keys)),
)]
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let (before, limit) = (before_number(&query)?, page_size(&query, PAGE_DEFAULT)?);
    state.store.admit(&request.admission).await?;
    let page = state.store.list_keys(before, limit).await?;
    ok(&wire::Keys {
        keys: page.keys.into_iter().map(detail).collect(),
        next: page.next.map(|number| number.to_string()),
    })
}

fn detail(key: ListedKey) -> wire::KeyDetail {
    wire::KeyDetail {
        id: key.id,
        tenant: key.tenant,
        owner: key.owner,
        created_at: key.created_at,
        revoked_at: key.revoked_at,
        expires_at: key.expires_at,
        valid: key.valid,
        scopes: key.scopes,
        namespaces: key.namespaces,
        rate_limit_per_minute: key.rate_limit,
        max_open_intents: key.max_open,
        open_intents: key.open_intents,
    }
}

/// Makes a key that reaches what an older one does, and lets that one end after an overlap.
#[utoipa::path(
    post,
    path = "/admin/keys/{number}/rotate",
    operation_id = "rotate_key",
    tag = "operators",
    request_body(content = Option<Rotate>, example = json!({"overlap_seconds": 86_400})),
    responses(
        (status = 201, description = "The new key. Nothing shows it again.", body = wire::GeneratedKey),
        (status = 400, description = "`invalid_json`"),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`conflict`"),
    ),
)]
pub async fn rotate(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let number = path_number(&http, "key")?;
    let sent: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    let body: Rotate<'_> = body::object(sent)?;
    let overlap = integer(body.overlap_seconds, "overlap_seconds", OVERLAP)?.unwrap_or(OVERLAP_DEFAULT);
    let api_key = ids::generate_key()?;
    let hash = key_hash(&api_key);
    let made = state.store.rotate_key(&request.admission, &request.by, number, &hash, overlap.into()).await?;
    state.keys.forget_number(number);
    json(StatusCode::CREATED, &generated(api_key, made))
}

/// Changes what a key reaches, within a second on every replica.
#[utoipa::path(
    post,
    path = "/admin/keys/{number}/scopes",
    operation_id = "set_scopes",
    tag = "operators",
    request_body(content = Scopes, example = json!({"scopes": ["work"], "namespaces": ["default"]})),
    responses(
        (status = 200, description = "The key as it is now.", body = wire::KeyDetail),
        (status = 400, description = "`invalid_json`, `invalid_namespace`"),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn set_scopes(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let number = path_number(&http, "key")?;
    let body: Scopes<'_> = body::object(&request.body)?;
    let scopes = body.scopes.0.map(|field| scopes(given(Some(field)))).transpose()?;
    let namespaces = body.namespaces.0.map(|field| namespaces(given(Some(field)))).transpose()?;
    if scopes.is_none() && namespaces.is_none() {
        return Err(Error::invalid("Send scopes, namespaces or both."));
    }
    let new = NewReach {
        scopes: scopes.as_ref().map(Option::as_deref),
        namespaces: namespaces.as_ref().map(Option::as_deref),
    };
    let changed = state.store.set_scopes(&request.admission, &request.by, number, &new).await?;
    state.keys.forget_number(number);
    ok(&detail(changed))
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
    revoke(&state, &request, Which::Hash(&key_hash(&key))).await
}

/// Revokes the key of a number, as `/admin/revoke_key` does.
#[utoipa::path(
    post,
    path = "/admin/keys/{number}/revoke",
    operation_id = "revoke_key_by_number",
    tag = "operators",
    responses(
        (status = 200, description = "Revoked.", body = wire::Revoked),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn revoke_number(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    revoke(&state, &request, Which::Number(path_number(&http, "key")?)).await
}

async fn revoke(state: &Shared, request: &AdminRequest, which: Which<'_>) -> Result<HttpResponse> {
    let hash = state.store.revoke_key(&request.admission, &request.by, which).await?;
    state.keys.forget(&hash.ok_or_else(|| Error::not_found("No such key."))?);
    ok(&wire::Revoked { ok: true })
}
