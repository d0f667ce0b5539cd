//! What is not handed out for now: pause, resume.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{
    Frame, filters,
    form::{Form, done},
    render,
};
use crate::{
    domain::names::{Goal, Namespace},
    error::Result,
    http::{Shared, auth::AdminRequest, target::Query},
    store::operators::pauses::Pause,
};

const SECTION: &str = "/admin/dashboard/pauses";

#[derive(Template)]
#[template(path = "pauses.html")]
struct List {
    frame: Frame,
    pauses: Vec<Pause>,
    /// What the form begins with.
    namespace: String,
    goal: String,
}

/// `GET /admin/dashboard/pauses`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    render(&List {
        frame: Frame::of(&http, &state, SECTION, "Pauses")?,
        pauses: state.store.pauses().await?,
        namespace: query.get("namespace")?.unwrap_or("default").to_owned(),
        goal: query.get("goal")?.unwrap_or_default().to_owned(),
    })
}

/// `POST /admin/dashboard/pauses/pause`
pub async fn pause(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let form = Form::read(&http, &request, &state)?;
    let (namespace, goal) = named(&form)?;
    let (admission, goal) = (&request.admission, goal.as_ref().map(Goal::as_str));
    let new = state.store.pause(admission, &request.by, namespace.as_str(), goal).await?;
    let what = words(&namespace, goal);
    Ok(done(&state, SECTION, &if new { format!("{what} is paused.") } else { format!("{what} was paused already.") }))
}

/// `POST /admin/dashboard/pauses/resume`
pub async fn resume(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let form = Form::read(&http, &request, &state)?;
    let (namespace, goal) = named(&form)?;
    let (admission, goal) = (&request.admission, goal.as_ref().map(Goal::as_str));
    let new = state.store.resume(admission, &request.by, namespace.as_str(), goal).await?;
    let what = words(&namespace, goal);
    Ok(done(&state, SECTION, &if new { format!("{what} goes on.") } else { format!("{what} was not paused.") }))
}

fn named(form: &Form) -> Result<(Namespace, Option<Goal>)> {
    let namespace = Namespace::parse(form.get("namespace").unwrap_or_default())?;
    Ok((namespace, form.get("goal").map(Goal::parse).transpose()?))
}

fn words(namespace: &Namespace, goal: Option<&str>) -> String {
    let namespace = namespace.as_str();
    goal.map_or_else(|| format!("Namespace {namespace}"), |goal| format!("Goal {goal} in namespace {namespace}"))
}
