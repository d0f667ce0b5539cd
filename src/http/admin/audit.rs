//! `GET /admin/audit`: what operators did.

use actix_web::{HttpRequest, HttpResponse};
use intent_bus_protocol::wire;
use serde_json::value::RawValue;

use super::fields::{PAGE_DEFAULT, before_number, page_size};
use crate::{
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, ok, openapi::PageQuery, target::Query},
};

/// Lists what operators did, the newest first.
#[utoipa::path(
    get,
    path = "/admin/audit",
    operation_id = "list_audit_log",
    tag = "operators",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = wire::AuditLog)),
)]
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let (before, limit) = (before_number(&query)?, page_size(&query, PAGE_DEFAULT)?);
    state.store.admit(&request.admission).await?;
    let mut lines = state.store.audit_log(before, limit + 1).await?;
    let page = usize::try_from(limit).map_err(Error::fault)?;
    let more = lines.len() > page;
    lines.truncate(page);
    let next = lines.last().filter(|_| more).map(|line| line.id.to_string());
    let lines = lines.into_iter().map(|line| {
        Ok(wire::AuditLine {
            id: line.id,
            at: line.at,
            actor: line.actor,
            action: line.action,
            target: line.target,
            details: line.details.map(RawValue::from_string).transpose().map_err(Error::fault)?,
            request_id: line.request_id,
        })
    });
    ok(&wire::AuditLog { lines: lines.collect::<Result<_>>()?, next })
}
