//! The HTTP side: the one table of routes, what every request goes through, and one handler for each verb.
//!
//! A request flows one way: `routes` → `envelope` (headers, HTTPS, log line) → an authenticated, typed input (`auth`,
//! `body`) → the handler → one function of the store → the answer, or an error that `error` turns into one.

pub mod admin;
pub mod auth;
pub mod body;
pub mod dashboard;
pub mod envelope;
pub mod error;
pub mod intents;
pub mod meta;
pub mod openapi;
pub mod routes;
pub mod target;
pub mod values;

use actix_web::{HttpResponse, http::StatusCode, http::header::ContentType, web::Data};
use serde::Serialize;

use crate::{
    app::State,
    error::{Error, Result},
};

/// What handlers share.
pub type Shared = Data<State>;

/// A JSON answer.
///
/// # Errors
/// `internal_error`, should the value not be writable.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<HttpResponse> {
    let bytes = serde_json::to_vec(body).map_err(Error::fault)?;
    Ok(HttpResponse::build(status).insert_header(ContentType::json()).body(bytes))
}

/// A JSON answer of 200.
///
/// # Errors
/// As [`json`].
pub fn ok(body: &impl Serialize) -> Result<HttpResponse> {
    json(StatusCode::OK, body)
}
