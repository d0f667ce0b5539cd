//! About the bus itself: name, health, probes, metrics.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
};
use serde_json::json;

use super::{Shared, auth::MetricsReader, ok};
use crate::error::{Error, Result};

/// The version of this server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /`: name and version, for people.
pub async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .body(format!("Intent Bus {VERSION}\nPOST /intent to publish, POST /claim to work. /docs/ explains.\n"))
}

/// `GET /health`: the process serves. `ts` is the replica's clock, in unix seconds.
///
/// # Errors
/// None but a fault.
pub async fn health() -> Result<HttpResponse> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    ok(&json!({"ok": true, "ts": now.as_secs_f64(), "version": VERSION}))
}

/// `GET /livez`: the process serves. Says nothing of the database, since restarting the replica would not mend that.
///
/// # Errors
/// None but a fault.
pub async fn livez() -> Result<HttpResponse> {
    ok(&json!({"ok": true}))
}

/// `GET /readyz`: the replica can do its work: Postgres answers, the schema is there, and the replica is not stopping.
///
/// # Errors
/// `database_busy`.
pub async fn readyz(state: Shared) -> Result<HttpResponse> {
    if state.is_draining() {
        return Err(Error::busy("the replica is stopping"));
    }
    state.store.ready().await?;
    ok(&json!({"ok": true}))
}

/// `GET /metrics`: Prometheus's text format.
///
/// # Errors
/// `unauthorized`.
pub async fn metrics(state: Shared, _reader: MetricsReader) -> Result<HttpResponse> {
    text_of_metrics(state).await
}

/// The same without a token, on the listener inside the cluster.
///
/// # Errors
/// None but a fault.
pub async fn open_metrics(state: Shared) -> Result<HttpResponse> {
    text_of_metrics(state).await
}

async fn text_of_metrics(state: Shared) -> Result<HttpResponse> {
    let text = state.metrics.text(&state.store).await?;
    Ok(HttpResponse::build(StatusCode::OK).insert_header(("Content-Type", prometheus::TEXT_FORMAT)).body(text))
}
