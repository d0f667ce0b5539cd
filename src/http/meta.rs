//! About the bus itself: name, health, probes, metrics.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
};
use intent_bus_protocol::wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, auth::MetricsReader, ok};
use crate::error::{Error, Result};

/// The version of this server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A probe's answer.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// Always true: the probe of a replica that is not well gets an error.
    ok: bool,
}

/// Name and version, for people.
#[utoipa::path(
    get,
    path = "/",
    tag = "bus",
    responses((status = 200, description = "A line or two of text.", body = String)),
)]
pub async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .body(format!("Intent Bus {VERSION}\nPOST /intent to publish, POST /claim to work. /docs/ explains.\n"))
}

/// The process serves.
///
/// `ts` is the replica's clock, in unix seconds.
#[utoipa::path(
    get,
    path = "/health",
    tag = "bus",
    responses((status = 200, description = "It serves.", body = wire::Health)),
)]
pub async fn health() -> Result<HttpResponse> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    ok(&wire::Health { ok: true, ts: now.as_secs_f64(), version: VERSION.to_owned() })
}

/// The process serves.
///
/// Says nothing of the database, since restarting the replica would not mend that.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "bus",
    responses((status = 200, description = "It serves.", body = Ready)),
)]
pub async fn livez() -> Result<HttpResponse> {
    ok(&Ready { ok: true })
}

/// The replica can do its work.
///
/// Postgres answers, the schema is there, and the replica is not stopping.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "bus",
    responses(
        (status = 200, description = "It can do its work.", body = Ready),
        (status = 503, description = "`database_busy`"),
    ),
)]
pub async fn readyz(state: Shared) -> Result<HttpResponse> {
    if state.is_draining() {
        return Err(Error::busy("the replica is stopping"));
    }
    if !state.is_prepared() {
        return Err(Error::busy("the database has not been prepared yet"));
    }
    state.store.has_schema().await?;
    ok(&Ready { ok: true })
}

/// Metrics, in Prometheus's text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "bus",
    responses((status = 200, description = "Samples.", body = String)),
)]
pub async fn metrics(state: Shared, reader: MetricsReader) -> Result<HttpResponse> {
    state.store.admit(&reader.admission).await?;
    text_of_metrics(&state)
}

/// The same without a token, on the listener inside the cluster.
///
/// # Errors
/// None but a fault.
pub async fn open_metrics(state: Shared) -> Result<HttpResponse> {
    text_of_metrics(&state)
}

fn text_of_metrics(state: &Shared) -> Result<HttpResponse> {
    let text = state.metrics.text(&state.store)?;
    Ok(HttpResponse::build(StatusCode::OK).insert_header(("Content-Type", prometheus::TEXT_FORMAT)).body(text))
}
