//! `POST /set/{key}`: keep a value for a while.

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use intent_bus_protocol::{json, limits, wire};
use serde::Deserialize;
use serde_json::value::RawValue;

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

/// The body, its values untouched.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    value: body::Present<'a>,
    #[serde(borrow, default)]
    ttl: Option<&'a RawValue>,
}

/// Stores a value.
///
/// # Errors
/// As documented in `/openapi.json`.
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
