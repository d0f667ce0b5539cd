//! The audit log: what operators did.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

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
    lines: Vec<Shown>,
    next: Option<String>,
    first_page: bool,
}

/// A line as people read it.
struct Shown {
    line: Line,
    /// What it was done to.
    subject: String,
    /// The page of that.
    page: Option<String>,
}

impl Shown {
    fn of(mut line: Line) -> Self {
        let target = line.target.as_deref().unwrap_or_default();
        let on = |kind: &str| Some(format!("/admin/dashboard/{kind}/{target}"));
        let (subject, page) = match line.action.as_str() {
            "pause" | "resume" => (paused(target, line.details.take().as_deref()), None),
            "cancel" | "retry" => (format!("intent {target}"), on("intents")),
            "generate_key" | "rotate_key" | "revoke_key" | "set_scopes" => (format!("key {target}"), on("keys")),
            "set_limits" => (format!("tenant {target}"), None),
            "purge" if line.target.is_none() => ("all namespaces".to_owned(), None),
            "purge" => (format!("namespace {target}"), None),
            "redrive" => ("dead letters".to_owned(), None),
            _ => (target.to_owned(), None),
        };
        line.details = line.details.filter(|details| details != "{}");
        Self { line, subject, page }
    }
}

/// Of a pause the goal is in the details. None there: it is all of the namespace.
fn paused(namespace: &str, details: Option<&str>) -> String {
    let details: Option<Value> = details.and_then(|details| serde_json::from_str(details).ok());
    match details.as_ref().and_then(|details| details["goal"].as_str()) {
        Some(goal) => format!("goal {goal} in namespace {namespace}"),
        None => format!("namespace {namespace}, all goals"),
    }
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
        lines: lines.into_iter().map(Shown::of).collect(),
        next,
        first_page: before.is_none(),
    })
}
