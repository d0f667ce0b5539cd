//! `GET /admin/intents`: search, page by page.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;

use super::fields::{PAGE_DEFAULT, filter, given_in, page_size};
use crate::{
    error::Result,
    http::{Shared, auth::AdminRequest, ok, openapi::SearchQuery, target::Query},
    store::operators::search::{Cursor, Found},
};

/// Searches intents, the newest first.
///
/// A page looks at 20,000 intents at most. If hardly any of them match it comes early, with `searched_until` and with what it has
/// found until then, maybe nothing; `next` goes on from there.
#[utoipa::path(
    get,
    path = "/admin/intents",
    operation_id = "search_intents",
    tag = "operators",
    params(SearchQuery),
    responses(
        (status = 200, description = "A page.", body = wire::FoundIntents),
        (status = 400, description = "`invalid_namespace`, `invalid_goal`"),
    ),
)]
pub async fn search(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let filter = filter(&query)?;
    let limit = page_size(&query, PAGE_DEFAULT)?;
    let before = given_in(&query, "before")?.map(Cursor::parse).transpose()?;
    state.store.admit(&request.admission).await?;
    let page = state.store.search(&filter, before, limit).await?;
    ok(&wire::FoundIntents {
        intents: page.found.into_iter().map(found).collect(),
        next: page.next.map(|cursor| cursor.encode()),
        searched_until: page.searched_until,
    })
}

pub(super) fn found(found: Found) -> wire::FoundIntent {
    wire::FoundIntent {
        id: found.id.to_string(),
        tenant: found.tenant,
        owner: found.owner,
        namespace: found.namespace,
        goal: found.goal,
        status: found.state.as_str().to_owned(),
        priority: found.priority.into(),
        visibility: if found.public { "public" } else { "private" }.to_owned(),
        claim_attempts: found.claim_attempts.into(),
        max_attempts: found.max_attempts.into(),
        worker_id: found.worker_id,
        created_at: found.created_at,
        run_at: found.run_at,
        claim_expires_at: found.claim_expires_at,
        completed_at: found.completed_at,
        last_error: found.last_error,
    }
}
