//! `POST /admin/purge` and `POST /admin/cleanup`.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::names::Namespace,
    error::{Error, ErrorCode, Result},
    http::{
        Shared,
        auth::AdminRequest,
        body::{self, text},
        ok,
    },
    maintenance,
};

#[derive(Deserialize)]
struct Purge<'a> {
    #[serde(borrow, default)]
    confirm: Option<&'a RawValue>,
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
}

/// Deletes all intents, of one namespace or of all.
///
/// # Errors
/// As documented in `/openapi.json`.
pub async fn purge(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Purge<'_> = body::object(&request.body)?;
    if body.confirm.is_none_or(|confirm| confirm.get() != "true") {
        return Err(Error::invalid("This deletes intents for ever. Send {\"confirm\": true} if you mean it."));
    }
    let namespace = text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?
        .map(|text| Namespace::parse(&text))
        .transpose()?;
    state.store.admit(&request.admission).await?;
    let purged = state.store.purge(namespace.as_ref().map(Namespace::as_str)).await?;
    ok(&wire::Purged { ok: true, purged: wire::PurgedCounts { unfinished: purged.unfinished, finished: purged.finished } })
}

/// Runs a pass of maintenance now and says what it has done.
///
/// # Errors
/// As documented in `/openapi.json`.
pub async fn cleanup(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let done = maintenance::pass(&state.store, state.retention_days, &mut maintenance::Sweep::default()).await?;
    ok(&wire::CleanedUp {
        lapsed_claims: done.lapsed,
        expired_intents: done.expired,
        moved_payloads: done.moved,
        values: done.values,
        emptied_slots: done.slots,
        dropped_partitions: done.dropped,
    })
}
