//! The audit log: what operators did.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Frame, filters, links, render};
use crate::{
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, target::Query},
    store::operators::audit::Line,
};

/// Lines of a page.
const LINES: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct List {
    frame: Frame,
    lines: Vec<Line>,
    next: Option<String>,
    first_page: bool,
}

/// `GET /admin/dashboard/audit`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    let before = super::number(query.get("before")?)?;
    let lines = state.store.audit_log(before, LINES).await?;
    let full = i64::try_from(lines.len()).map_err(Error::fault)? == LINES;
    let next = lines.last().filter(|_| full).map(|last| links::query(&[("before", &last.id.to_string())]));
    render(&List {
        frame: Frame::of(&http, &state, "/admin/dashboard/audit", "Audit log")?,
        lines,
        next,
        first_page: before.is_none(),
    })
}
