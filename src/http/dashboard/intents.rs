//! Intents: search, one in full, and what can be done with it.

use actix_web::{HttpRequest, HttpResponse, http::header::LOCATION};
use askama::Template;

use super::{
    Frame, filters,
    form::{Form, done},
    links,
    pretty::pretty,
    render,
};
use crate::{
    domain::{ids::IntentId, intent::State as Stands},
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, target, target::Query},
    store::operators::{
        inspect::{Event, Excerpt, Inspected, What},
        search::{Cursor, Filter, Found, Page, Phase},
    },
};

const SECTION: &str = "/admin/dashboard/intents";
/// Lines of a page of results.
const LINES: i64 = 50;

/// What a search form holds, as it was typed.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub id: String,
    pub goal: String,
    pub namespace: String,
    pub state: String,
    pub tenant: String,
    pub worker: String,
    pub error: String,
    pub since: String,
    pub until: String,
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// `invalid_request` when a name is given twice.
    pub(super) fn of(query: &Query) -> Result<Self> {
        let text = |name| Ok::<_, Error>(query.get(name)?.unwrap_or_default().trim().replace('\0', ""));
        Ok(Self {
            id: text("id")?,
            goal: text("goal")?,
            namespace: text("namespace")?,
            state: text("state")?,
            tenant: text("tenant")?,
            worker: text("worker")?,
            error: text("error")?,
            since: text("since")?,
            until: text("until")?,
        })
    }

    /// As a form has sent it.
    pub(super) fn of_form(form: &Form) -> Self {
        let text = |name| form.get(name).unwrap_or_default().to_owned();
        Self {
            id: String::new(),
            goal: text("goal"),
            namespace: text("namespace"),
            state: String::new(),
            tenant: text("tenant"),
            worker: String::new(),
            error: text("error"),
            since: text("since"),
            until: text("until"),
        }
    }

    /// What to search for.
    ///
    /// # Errors
    /// `invalid_request`, with words for the person who typed it.
    pub(super) fn filter(&self) -> Result<Filter> {
        let text = |typed: &str| (!typed.is_empty()).then(|| typed.to_owned());
        let tenant = text(&self.tenant)
            .map(|typed| typed.parse().map_err(|_| Error::invalid("A tenant is a number: 0 is root.")))
            .transpose()?;
        let phase = text(&self.state)
            .map(|typed| Phase::parse(&typed).ok_or_else(|| Error::invalid("There is no such state.")))
            .transpose()?;
        let id = text(&self.id)
            .map(|typed| {
                IntentId::parse(&typed).ok_or_else(|| Error::invalid("An id has 32 hex digits. Paste all of it."))
            })
            .transpose()?;
        Ok(Filter {
            id,
            goal: text(&self.goal),
            namespace: text(&self.namespace),
            phase,
            tenant,
            worker: text(&self.worker),
            error: text(&self.error),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
        })
    }

    /// The same search as a query, on the page that begins here.
    pub(super) fn query(&self, before: &str) -> String {
        links::query(&[
            ("goal", &self.goal),
            ("namespace", &self.namespace),
            ("state", &self.state),
            ("tenant", &self.tenant),
            ("worker", &self.worker),
            ("error", &self.error),
            ("since", &self.since),
            ("until", &self.until),
            ("before", before),
        ])
    }

    /// Whether anything was asked for.
    pub(super) fn is_open(&self) -> bool {
        self.query("").is_empty()
    }
}

/// A moment as a form sends it: `2026-01-31T12:00`, in UTC.
fn moment(typed: &str) -> Result<Option<f64>> {
    if typed.is_empty() {
        return Ok(None);
    }
    let bad = |_| Error::invalid("A time looks like 2026-01-31T12:00, in UTC.");
    let civil: jiff::civil::DateTime = typed.trim_end_matches('Z').parse().map_err(bad)?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(bad)?;
    Ok(Some(zoned.timestamp().as_duration().as_secs_f64()))
}

#[derive(Template)]
#[template(path = "intents.html")]
struct List {
    frame: Frame,
    asked: Asked,
    states: [Phase; 6],
    problem: Option<String>,
    found: Vec<Found>,
    /// The query of the next page.
    next: Option<String>,
    searched_until: Option<f64>,
    first_page: bool,
}

/// `GET /admin/dashboard/intents`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    let asked = Asked::of(&query)?;
    let filter = asked.filter();
    if let Ok(Filter { id: Some(id), .. }) = &filter {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, format!("{SECTION}/{id}"))).finish());
    }
    let (filter, problem) = match filter {
        Ok(filter) => (Some(filter), None),
        Err(error) => (None, Some(error.message().to_owned())),
    };
    let before = query.get("before")?.filter(|text| !text.is_empty()).map(Cursor::parse).transpose()?;
    let page = match &filter {
        Some(filter) => state.store.search(filter, before, LINES).await?,
        None => Page::default(),
    };
    let bad = problem.is_some();
    let mut answer = render(&List {
        frame: Frame::of(&http, &state, SECTION, "Intents")?,
        next: page.next.map(|next| asked.query(&next.encode())),
        asked,
        states: Phase::ALL,
        problem,
        found: page.found,
        searched_until: page.searched_until,
        first_page: before.is_none(),
    })?;
    if bad {
        *answer.status_mut() = actix_web::http::StatusCode::BAD_REQUEST;
    }
    Ok(answer)
}

impl List {
    /// The first page of the same search.
    fn here(&self) -> String {
        format!("{SECTION}{}", self.asked.query(""))
    }
}

#[derive(Template)]
#[template(path = "intent.html")]
struct Detail {
    frame: Frame,
    it: Inspected,
    reasons: Vec<(&'static str, String)>,
    payload: Option<Shown>,
    result: Option<Shown>,
    trace_id: Option<String>,
    /// The page of its trace, where there is one.
    trace_url: Option<String>,
}

/// A payload or a result.
struct Shown {
    text: String,
    bytes: i64,
    cut: bool,
}

/// `GET /admin/dashboard/intents/{id}`
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    let it = state.store.inspect(&request.admission, id, state.limits.rate_per_minute).await?;
    let it = it.ok_or_else(|| Error::not_found("No such intent. It may be past its retention."))?;
    let is_text = it.result_type.as_deref() == Some("text");
    let show = |excerpt: &Excerpt, is_text: bool| Shown {
        text: match serde_json::from_str(&excerpt.text) {
            Ok(text) if is_text => text,
            _ if excerpt.cut => excerpt.text.clone(),
            _ => pretty(&excerpt.text),
        },
        bytes: excerpt.bytes,
        cut: excerpt.cut,
    };
    render(&Detail {
        frame: Frame::of(&http, &state, SECTION, format!("Intent {}", it.seen.id))?,
        reasons: it.why.iter().map(|reason| (reason.code(), reason.message(it.now))).collect(),
        payload: it.payload.as_ref().map(|payload| show(payload, false)),
        result: it.result.as_ref().map(|result| show(result, is_text)),
        trace_url: state.trace_url.as_ref().zip(it.trace_id()).map(|(url, id)| url.of(id)),
        trace_id: it.trace_id().map(str::to_owned),
        it,
    })
}

impl Detail {
    fn may_cancel(&self) -> bool {
        matches!(self.it.seen.state, Stands::Open | Stands::Claimed)
    }

    fn may_retry(&self) -> bool {
        self.it.seen.state == Stands::Dead
    }

    /// Seconds since the event before; of what is ahead, from now on.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn after(&self, place: &usize) -> Option<f64> {
        let (event, before) = (&self.it.timeline[*place], self.it.timeline.get(place.checked_sub(1)?)?);
        Some(event.at - if self.is_ahead(event) { self.it.now } else { before.at })
    }

    fn is_ahead(&self, event: &Event) -> bool {
        event.at > self.it.now
    }

    #[allow(clippy::unused_self, reason = "called by the template")]
    fn words(&self, event: &Event) -> &'static str {
        match event.what {
            What::Published => "published",
            What::Claimed => "claimed",
            What::Failed => "failed",
            What::Lapsed => "lease ended without an answer",
            What::LeaseEnds => "lease ends",
            What::Due => "can be claimed",
            What::Fulfilled => "fulfilled",
            What::Dead => "dead",
            What::TooLate => "reported too late, kept for you to see",
        }
    }
}

/// `POST /admin/dashboard/intents/{id}/cancel`
pub async fn cancel(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    Form::read(&http, &request, &state)?;
    state.store.cancel(&request.admission, &request.by, id).await?;
    Ok(done(&state, &format!("{SECTION}/{id}"), "This intent is cancelled: it is dead now."))
}

/// `POST /admin/dashboard/intents/{id}/retry`
pub async fn retry(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    Form::read(&http, &request, &state)?;
    state.store.retry(&request.admission, &request.by, id).await?;
    Ok(done(&state, &format!("{SECTION}/{id}"), "This intent is open again, with all its attempts before it."))
}
