//! Dead letters: a list, and putting many back at once. What a redrive would do is shown before it can be done.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{
    Frame, filters,
    form::{Form, done},
    intents::Asked,
    render,
    words::many,
};
use crate::{
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, target::Query},
    store::operators::{
        redrive::{Candidates, Redrive},
        search::{Cursor, Filter, Found, Page, Phase},
    },
};

const SECTION: &str = "/admin/dashboard/dead";
/// Lines of a page.
const LINES: i64 = 50;
/// Dead letters that one redrive may put back.
const MOST: i64 = 10_000;
/// How many become due in a second, unless the form says otherwise.
const PER_SECOND: i32 = 50;

#[derive(Template)]
#[template(path = "dead.html")]
struct List {
    frame: Frame,
    asked: Asked,
    problem: Option<String>,
    found: Vec<Found>,
    next: Option<String>,
    searched_until: Option<f64>,
    first_page: bool,
}

/// `GET /admin/dashboard/dead`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    let asked = Asked { state: String::new(), id: String::new(), ..Asked::of(&query)? };
    let (filter, problem) = match asked.filter() {
        Ok(filter) => (Some(Filter { phase: Some(Phase::Dead), ..filter }), None),
        Err(error) => (None, Some(error.message().to_owned())),
    };
    let before = query.get("before")?.filter(|text| !text.is_empty()).map(Cursor::parse).transpose()?;
    let page = match &filter {
        Some(filter) => state.store.search(filter, before, LINES).await?,
        None => Page::default(),
    };
    let bad = problem.is_some();
    let mut answer = render(&List {
        frame: Frame::of(&http, &state, SECTION, "Dead letters")?,
        next: page.next.map(|next| asked.query(&next.encode())),
        asked,
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

#[derive(Template)]
#[template(path = "redrive.html")]
struct Preview {
    frame: Frame,
    asked: Asked,
    limit: i64,
    per_second: i32,
    candidates: Candidates,
    /// Seconds until the last of them is due.
    takes: f64,
}

impl Preview {
    /// The same filter for the form that does it.
    fn hidden(&self) -> [(&'static str, &str); 6] {
        let Asked { goal, namespace, tenant, error, since, until, .. } = &self.asked;
        [
            ("goal", goal),
            ("namespace", namespace),
            ("tenant", tenant),
            ("error", error),
            ("since", since),
            ("until", until),
        ]
    }

    /// Where to look on when nothing was found as far as one look goes.
    fn next(&self) -> Option<String> {
        let Candidates { count: 0, more: true, searched_until: Some(until), .. } = self.candidates else { return None };
        let asked = Asked { since: typed(until), ..self.asked.clone() };
        let query = asked.query("");
        Some(format!("{SECTION}/redrive{query}&limit={}&per_second={}", self.limit, self.per_second))
    }
}

/// `GET /admin/dashboard/dead/redrive`: what would be put back.
pub async fn preview(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let query = Query::of(&http)?;
    let asked = Asked { state: String::new(), id: String::new(), ..Asked::of(&query)? };
    let redrive = redrive(&asked, query.get("limit")?, query.get("per_second")?)?;
    let candidates = state.store.redrive_candidates(&redrive).await?;
    #[allow(clippy::cast_precision_loss, reason = "at most ten thousand")]
    let takes = candidates.count as f64 / f64::from(redrive.per_second);
    render(&Preview {
        frame: Frame::of(&http, &state, SECTION, "Put dead letters back")?,
        asked,
        limit: redrive.limit,
        per_second: redrive.per_second,
        candidates,
        takes,
    })
}

/// `POST /admin/dashboard/dead/redrive/start`
pub async fn start(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let form = Form::read(&http, &request, &state)?;
    let asked = Asked::of_form(&form);
    let redrive = redrive(&asked, form.get("limit"), form.get("per_second"))?;
    let redriven = state.store.redrive(&request.admission, &request.by, &redrive).await?;
    let mut text = format!("{} put back.", many(redriven.count, "dead letter"));
    if redriven.count > 1 {
        text = format!("{text} {} become due in each second.", redrive.per_second);
    }
    if redriven.more {
        text.push_str(" There may be more: do it again to go on.");
    }
    Ok(done(&state, &format!("{SECTION}{}", asked.query("")), &text))
}

fn redrive(asked: &Asked, limit: Option<&str>, per_second: Option<&str>) -> Result<Redrive> {
    let number = |typed: Option<&str>, name: &str, unset: i64, most: i64| {
        let typed = typed.map(str::trim).filter(|typed| !typed.is_empty());
        typed
            .map_or(Some(unset), |typed| typed.parse().ok())
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| Error::invalid(format!("{name} is a whole number from 1 to {most}. Go back and mend it.")))
    };
    let per_second = number(per_second, "How many become due in a second", PER_SECOND.into(), 1000)?;
    Ok(Redrive {
        filter: Filter { phase: Some(Phase::Dead), ..asked.filter()? },
        limit: number(limit, "How many to put back", 1000, MOST)?,
        per_second: i32::try_from(per_second).map_err(Error::fault)?,
    })
}

/// A moment as a form has it, to the millisecond before: what browsers take.
fn typed(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "what is out of range is cut")]
    let time = jiff::Timestamp::from_millisecond((seconds * 1000.0).floor() as i64).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

impl List {
    /// The first page of what is listed.
    fn here(&self) -> String {
        format!("{SECTION}{}", self.asked.query(""))
    }

    /// Where the redrive of what is listed begins.
    fn redrive_link(&self) -> String {
        format!("{SECTION}/redrive{}", self.asked.query(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(candidates: Candidates) -> String {
        let asked = Asked { goal: "a&b".to_owned(), since: "2026-01-31T12:00".to_owned(), ..Asked::default() };
        let frame = Frame::bare("Put dead letters back");
        Preview { frame, asked, limit: 5, per_second: 7, candidates, takes: 0.0 }.render().unwrap_or_default()
    }

    #[test]
    fn it_says_how_long_it_takes_until_all_can_be_claimed() {
        let page = |count: i64, takes| {
            let frame = Frame::bare("Put dead letters back");
            let candidates = Candidates { count, ..Candidates::default() };
            let page = Preview { frame, asked: Asked::default(), limit: 5, per_second: 7, candidates, takes };
            page.render().unwrap_or_default()
        };
        assert!(page(1, 0.1).contains("with all of its attempts anew. It can be claimed at once."));
        assert!(page(7, 1.0).contains("They can be claimed at once."));
        assert!(page(84, 12.0).contains("They can be claimed over the next 12 s, 7 more each second."));
    }

    #[test]
    fn a_look_that_has_found_nothing_yet_offers_to_go_on_where_it_ended() {
        let ended = Candidates { more: true, searched_until: Some(1_769_860_800.123_9), ..Candidates::default() };
        let page = preview(ended);
        let next = "/admin/dashboard/dead/redrive?goal=a%26b&#38;since=2026-01-31T12%3A00%3A00.123&#38;limit=5&#38;per_second=7";
        assert!(page.contains(&format!("href=\"{next}\"")), "{page}");
        assert!(!page.contains("no dead letter is like that"), "{page}");
    }

    #[test]
    fn a_look_that_has_come_to_the_end_says_that_there_is_nothing() {
        let page = preview(Candidates::default());
        assert!(page.contains("no dead letter is like that") && !page.contains("Look on"), "{page}");
    }
}
