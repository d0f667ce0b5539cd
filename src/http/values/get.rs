//! `GET /get/{key}`: read a value.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    http::{Shared, auth::ClientRequest, ok, target},
};

/// Longest key, in characters.
pub(in crate::http) const KEY_MAX: usize = 512;

/// Reads a value.
#[utoipa::path(
    get,
    path = "/get/{key}",
    operation_id = "get_value",
    tag = "values",
    responses(
        (status = 200, description = "The value, as text.", body = wire::Value),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn get(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let key = key(&http, "/get/")?;
    let value = state.store.get(&request.admission, request.caller.tenant, &key).await?;
    let value = value.ok_or_else(|| Error::not_found("No value under this key: it was never set or has expired."))?;
    let value = String::from_utf8(value).map_err(Error::fault)?;
    ok(&wire::Value { value: RawValue::from_string(value).map_err(Error::fault)? })
}

/// The key that follows the prefix: any text, slashes included.
pub(super) fn key(http: &HttpRequest, prefix: &str) -> Result<String> {
    let key = target::rest(http, prefix)?;
    if key.chars().count() > KEY_MAX {
        return Err(Error::invalid(format!("A key has at most {KEY_MAX} characters.")));
    }
    Ok(key)
}
