//! `POST /set/{key}`: keep a value for a while.

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use intent_bus_protocol::{json, limits, wire};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::get::key;
use crate::{
    error::{Error, Result},
    http::{
        Shared,
        auth::ClientRequest,
        body::{self, integer, passed_on},
        ok,
    },
    store::kv::Entry,
};

/// A value to be kept for a while. Read with its values untouched.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewValue)]
struct Body<'a> {
    /// Any JSON. A string is kept as it is, anything else as the text of its compact JSON.
    #[schema(value_type = serde_json::Value, required = true, example = "active")]
    #[serde(borrow, default)]
    value: body::Present<'a>,
    /// For how many seconds.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 86400, default = 600)]
    #[serde(borrow, default)]
    ttl: Option<&'a RawValue>,
}

/// Stores a value.
#[utoipa::path(
    post,
    path = "/set/{key}",
    operation_id = "set_value",
    tag = "values",
    request_body(content = Body, example = json!({"value": {"step": 3}, "ttl": 600})),
    responses(
        (status = 200, description = "Stored.", body = wire::Stored),
        (status = 400, description = "`invalid_json`, `invalid_payload`"),
        (status = 409, description = "`conflict`"),
        (status = 422, description = "`idempotency_conflict`"),
    ),
)]
pub async fn set(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let key = key(&http, "/set/")?;
    let body: Body<'_> = body::object(&request.body)?;
    let value = body.value.0.ok_or_else(|| Error::invalid("value is missing."))?;
    let value = literal(passed_on(value, "value", state.limits.max_payload)?)?;
    let ttl = integer(body.ttl, "ttl", limits::TTL)?.unwrap_or(limits::TTL_DEFAULT);
    let idempotency = request.idempotency(&http)?;
    let entry = Entry { tenant: request.caller.tenant, key: &key, value: &value, ttl: f64::from(ttl) };
    state.store.set(&request.admission, idempotency.as_ref(), &entry).await?;
    ok(&wire::Stored { ok: true })
}

/// The JSON string literal that the value is kept and sent as: strings as they came, others as the text of their compact JSON.
fn literal(value: Bytes) -> Result<Bytes> {
    if value.starts_with(b"\"") {
        return Ok(value);
    }
    let text = std::str::from_utf8(&value).map_err(Error::fault)?;
    serde_json::to_vec(&json::compact(text)).map(Bytes::from).map_err(Error::fault)
}
