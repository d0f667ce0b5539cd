//! `POST /admin/purge` and `POST /admin/cleanup`.

use actix_web::HttpResponse;
use intent_bus_protocol::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::fields::flag;
use crate::{
    app::State,
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

/// What is to be deleted.
#[derive(Deserialize, ToSchema)]
#[schema(as = Purge)]
struct Purge<'a> {
    /// True says that you mean it.
    #[schema(value_type = Option<bool>, default = false)]
    #[serde(borrow, default)]
    confirm: Option<&'a RawValue>,
    /// In place of `confirm`: delete nothing, say how many it would be.
    #[schema(value_type = Option<bool>, default = false)]
    #[serde(borrow, default)]
    dry_run: Option<&'a RawValue>,
    /// All namespaces, unless one is named.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
}

/// Deletes all intents, of one namespace or of all.
#[utoipa::path(
    post,
    path = "/admin/purge",
    tag = "operators",
    request_body(content = Purge, example = json!({"confirm": true, "namespace": "default"})),
    responses(
        (status = 200, description = "Deleted, or what would be.", body = wire::Purged),
        (status = 400, description = "`invalid_json`, `invalid_namespace`"),
    ),
)]
pub async fn purge(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    let body: Purge<'_> = body::object(&request.body)?;
    let dry_run = flag(body.dry_run, "dry_run", false)?;
    let confirmed = flag(body.confirm, "confirm", false)?;
    if !dry_run && !confirmed {
        return Err(Error::invalid("This deletes intents for ever. Send {\"confirm\": true} if you mean it."));
    }
    let namespace = text(body.namespace, "namespace", ErrorCode::InvalidNamespace)?
        .map(|text| Namespace::parse(&text))
        .transpose()?;
    let namespace = namespace.as_ref().map(Namespace::as_str);
    let purged = if dry_run {
        state.store.admit(&request.admission).await?;
        state.store.would_purge(namespace).await?
    } else {
        let purged = state.store.purge(&request.admission, &request.by, namespace).await?;
        refresh(&state).await;
        purged
    };
    ok(&wire::Purged {
        ok: true,
        dry_run,
        purged: wire::PurgedCounts { unfinished: purged.unfinished, finished: purged.finished },
    })
}

/// What was just deleted is gone from the metrics, too. If they cannot be read now, they are on their timer.
pub(in crate::http) async fn refresh(state: &State) {
    if let Err(error) = state.metrics.read_bus(&state.store, true).await {
        tracing::warn!(?error, "the metrics of the bus could not be read after a change; they are a few seconds old");
    }
}

/// Runs a pass of maintenance now and says what it has done.
#[utoipa::path(
    post,
    path = "/admin/cleanup",
    tag = "operators",
    responses((status = 200, description = "What was done, by kind.", body = wire::CleanedUp)),
)]
pub async fn cleanup(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let done = maintenance::pass(&state.store, state.retention_days, &mut maintenance::Sweep::default()).await?;
    refresh(&state).await;
    ok(&wire::CleanedUp {
        lapsed_claims: done.lapsed,
        expired_intents: done.expired,
        moved_payloads: done.moved,
        values: done.values,
        emptied_slots: done.slots,
        dropped_partitions: done.dropped,
    })
}
