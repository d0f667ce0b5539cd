//! Deleting all intents, of one namespace or of all. Whoever means it types what shall go.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{
    Frame, filters,
    form::{Form, done},
    render,
    words::many,
};
use crate::{
    domain::names::Namespace,
    error::{Error, Result},
    http::{Shared, admin::upkeep::refresh, auth::AdminRequest},
    store::totals::Total,
};

const SECTION: &str = "/admin/dashboard/purge";
/// What is typed in place of a namespace's name. It is none: names have no space.
const EVERYTHING: &str = "all namespaces";

#[derive(Template)]
#[template(path = "purge.html")]
struct Page {
    frame: Frame,
    totals: Vec<Total>,
    everything: &'static str,
}

/// `GET /admin/dashboard/purge`
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let frame = Frame::of(&http, &state, SECTION, "Purge")?;
    render(&Page { frame, totals: state.store.totals(false).await?, everything: EVERYTHING })
}

/// `POST /admin/dashboard/purge/start`
pub async fn start(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let form = Form::read(&http, &request, &state)?;
    let typed = form.get("namespace").unwrap_or_default();
    let again = form.get("again").unwrap_or_default();
    if typed != again || typed.is_empty() {
        return Err(Error::invalid(format!(
            "Nothing was deleted. Type the namespace's name twice, or twice \u{201c}{EVERYTHING}\u{201d}."
        )));
    }
    let namespace = if typed == EVERYTHING { None } else { Some(Namespace::parse(typed)?) };
    let purged = state.store.purge(&request.admission, &request.by, namespace.as_ref().map(Namespace::as_str)).await?;
    refresh(&state).await;
    let text = format!(
        "{} and {} deleted.",
        many(purged.unfinished, "unfinished intent"),
        many(purged.finished, "finished one")
    );
    Ok(done(&state, SECTION, &text))
}
