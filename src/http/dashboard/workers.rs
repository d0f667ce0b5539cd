//! Workers that have asked for work of late.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Frame, filters, links, render};
use crate::{
    error::Result,
    http::{Shared, auth::AdminRequest, target::Query},
    store::operators::workers::{Worker, WorkerCursor},
};

/// Lines of a page.
const LINES: i64 = 100;

#[derive(Template)]
#[template(path = "workers.html")]
struct List {
    frame: Frame,
    workers: Vec<Worker>,
    next: Option<String>,
    first_page: bool,
}

/// `GET /admin/dashboard/workers`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    let before = query.get("before")?.filter(|text| !text.is_empty()).map(WorkerCursor::parse).transpose()?;
    let page = state.store.workers(before.as_ref(), LINES).await?;
    render(&List {
        frame: Frame::of(&http, &state, "/admin/dashboard/workers", "Workers")?,
        workers: page.workers,
        next: page.next.map(|next| links::query(&[("before", &next.encode())])),
        first_page: before.is_none(),
    })
}
