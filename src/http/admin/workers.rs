//! `GET /admin/workers`: who has asked for work.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;

use super::fields::{PAGE_DEFAULT, given_in, page_size};
use crate::{
    error::Result,
    http::{Shared, auth::AdminRequest, ok, openapi::WorkersQuery, target::Query},
    store::operators::workers::{Worker, WorkerCursor},
};

/// Lists workers that have asked for work, those that were seen last first.
#[utoipa::path(
    get,
    path = "/admin/workers",
    operation_id = "list_workers",
    tag = "operators",
    params(WorkersQuery),
    responses((status = 200, description = "A page.", body = wire::Workers)),
)]
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let limit = page_size(&query, PAGE_DEFAULT)?;
    let before = given_in(&query, "before")?.map(WorkerCursor::parse).transpose()?;
    state.store.admit(&request.admission).await?;
    let page = state.store.workers(before.as_ref(), limit).await?;
    ok(&wire::Workers {
        workers: page.workers.iter().map(worker_of).collect(),
        next: page.next.map(|cursor| cursor.encode()),
    })
}

pub(super) fn worker_of(worker: &Worker) -> wire::Worker {
    wire::Worker {
        tenant: worker.tenant,
        owner: worker.owner.clone(),
        namespace: worker.namespace.clone(),
        worker_id: worker.worker_id.clone(),
        goals: worker.goals.clone(),
        capabilities: worker.capabilities.clone(),
        first_seen_at: worker.first_seen_at,
        seen_at: worker.seen_at,
        claims: worker.claims,
    }
}
