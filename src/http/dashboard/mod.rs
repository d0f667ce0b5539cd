//! `/admin/dashboard`: the bus for people. Pages are rendered here and work without a script; one small script keeps the
//! overview live, opens dialogs and writes times in the reader's zone. Nothing comes from outside and nothing is inline.
//! Pages show no claim token and no key (but the one that was just made), payloads and results only where one intent is
//! shown; whatever comes from clients is escaped text. What changes something is a form with a token (`seal`, `form`), and
//! answers with a redirect to a page that says what was done.

mod assets;
mod attention;
pub mod audit;
mod chart;
pub mod dead;
mod failure;
mod filters;
mod form;
pub mod intents;
pub mod keys;
mod links;
mod live;
mod overview;
pub mod pauses;
mod pretty;
pub mod purge;
mod seal;
mod words;
pub mod workers;

use std::time::SystemTime;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, ContentType},
};
use askama::Template;

pub(super) use self::{assets::__path_style, failure::page as failure_page, overview::__path_dashboard};
pub use self::{
    assets::{icon, script, style},
    live::{Live, events, fragments},
    overview::dashboard,
    seal::Seal,
};
use crate::{
    app::State,
    error::{Error, Result},
    http::{meta::VERSION, target::Query},
};

/// Nothing from outside, nothing inline; forms go to this bus only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The pages, as the navigation lists them.
const SECTIONS: &[(&str, &str)] = &[
    ("/admin/dashboard", "Overview"),
    ("/admin/dashboard/intents", "Intents"),
    ("/admin/dashboard/dead", "Dead letters"),
    ("/admin/dashboard/workers", "Workers"),
    ("/admin/dashboard/pauses", "Pauses"),
    ("/admin/dashboard/keys", "Keys"),
    ("/admin/dashboard/audit", "Audit log"),
    ("/admin/dashboard/purge", "Purge"),
];

/// What surrounds each page.
struct Frame {
    title: String,
    /// The path of the section that this page belongs to.
    section: &'static str,
    /// For the forms of the page.
    token: String,
    /// What was just done.
    note: Option<String>,
    sections: &'static [(&'static str, &'static str)],
    version: &'static str,
}

impl Frame {
    /// The frame of a page of this section.
    ///
    /// # Errors
    /// `invalid_request` when the query cannot be read.
    fn of(http: &HttpRequest, state: &State, section: &'static str, title: impl Into<String>) -> Result<Self> {
        let note = Query::of(http)?.get("note")?.and_then(|note| state.seal.read_note(note));
        Ok(Self { section, token: state.seal.form_token(SystemTime::now()), note, ..Self::bare(title) })
    }

    /// The frame of a page that belongs nowhere and has no form.
    fn bare(title: impl Into<String>) -> Self {
        let (title, token) = (title.into(), String::new());
        Self { title, section: "", token, note: None, sections: SECTIONS, version: VERSION }
    }
}

/// A page as an answer.
fn render(page: &impl Template) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(page.render().map_err(Error::fault)?))
}

/// A number in a query or a form, if there is one.
///
/// # Errors
/// `invalid_request` when it is none.
fn number(typed: Option<&str>) -> Result<Option<i64>> {
    typed
        .filter(|typed| !typed.is_empty())
        .map(|typed| typed.parse().map_err(|_| Error::invalid("This has to be a whole number.")))
        .transpose()
}
