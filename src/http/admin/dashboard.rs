//! `GET /admin/dashboard`: what is on the bus, for operators. Rendered here, loads nothing but one style sheet, shows neither
//! keys nor tokens nor payloads; whatever comes from clients is escaped text.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, ContentType},
};
use askama::Template;

use crate::{
    domain::intent::{DeadLetter, State},
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, meta::VERSION},
    store::{intents::look::Recent, keys::manage::ListedKey, totals::Total},
};

/// Lines of each list.
const LINES: i64 = 25;

/// Nothing from outside, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page {
    version: &'static str,
    totals: [(&'static str, i64); 4],
    by_namespace: Vec<Total>,
    recent: Vec<Recent>,
    dead: Vec<DeadLetter>,
    keys: Vec<ListedKey>,
}

/// Shows the dashboard.
#[utoipa::path(
    get,
    path = "/admin/dashboard",
    tag = "operators",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
pub async fn dashboard(state: Shared, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let by_namespace = state.store.totals(true).await?;
    let total =
        |wanted: State| by_namespace.iter().filter(|total| total.state == wanted).map(|total| total.count).sum();
    let page = Page {
        version: VERSION,
        totals: [State::Open, State::Claimed, State::Fulfilled, State::Dead]
            .map(|state| (state.as_str(), total(state))),
        recent: state.store.recent(LINES).await?,
        dead: state.store.dead_letters(LINES).await?,
        keys: state.store.list_keys(None, LINES).await?.keys,
        by_namespace,
    };
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(page.render().map_err(Error::fault)?))
}

/// The style sheet of the dashboard.
#[utoipa::path(
    get,
    path = "/admin/style.css",
    operation_id = "dashboard_style",
    tag = "operators",
    responses((status = 200, description = "The style sheet.", body = String, content_type = "text/css")),
)]
pub async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Content-Type", "text/css; charset=utf-8"))
        .body(include_str!("../../../templates/style.css"))
}

/// Filters of the template.
#[allow(
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    unreachable_pub,
    reason = "the shape that the template engine asks for"
)]
mod filters {
    /// Unix seconds as a date and time of UTC, to the second.
    #[askama::filter_fn]
    pub(super) fn utc(seconds: &f64, _: &dyn askama::Values) -> askama::Result<String> {
        #[allow(clippy::cast_possible_truncation, reason = "whole seconds are enough")]
        let time = jiff::Timestamp::from_second(*seconds as i64).unwrap_or_default();
        Ok(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }
}
