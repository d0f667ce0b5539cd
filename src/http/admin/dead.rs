//! `/admin/dead`: dead letters.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, LINK},
};
use intent_bus_protocol::wire;
use serde_json::value::RawValue;

use super::fields::{filter, given_in, page_size};
use crate::{
    domain::intent::State,
    error::{Error, Result},
    http::{
        Shared,
        auth::AdminRequest,
        ok,
        openapi::DeadQuery,
        target::{self, Query},
    },
    store::operators::search::{Cursor, Filter, Phase},
};

/// Dead letters in the list, if nothing is said.
const NEWEST: i64 = 100;
/// The reason of a dead letter that gave none.
const NO_REASON: &str = "No reason was given.";

/// Lists the newest dead letters.
///
/// A header `Link` leads to the next page, if there is one; a page looks at 20,000 dead letters at most.
#[utoipa::path(
    get,
    path = "/admin/dead",
    operation_id = "list_dead_letters",
    tag = "operators",
    params(DeadQuery),
    responses(
        (status = 200, description = "Those that died last come first.", body = Vec<wire::DeadLetter>),
        (status = 400, description = "`invalid_namespace`, `invalid_goal`"),
    ),
)]
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let filter = Filter { phase: Some(Phase::Dead), id: None, ..filter(&query)? };
    let limit = page_size(&query, NEWEST)?;
    let before = given_in(&query, "before")?.map(Cursor::parse).transpose()?;
    state.store.admit(&request.admission).await?;
    let page = state.store.search(&filter, before, limit).await?;
    let letters: Vec<wire::DeadLetter> = page
        .found
        .into_iter()
        .map(|letter| wire::DeadLetter {
            intent_id: letter.id.to_string(),
            namespace: letter.namespace,
            goal: letter.goal,
            attempts: letter.claim_attempts.into(),
            reason: letter.last_error.unwrap_or_else(|| NO_REASON.to_owned()),
            created_at: letter.completed_at.unwrap_or(letter.run_at),
        })
        .collect();
    let mut answer = ok(&letters)?;
    if let Some(cursor) = page.next {
        let link = HeaderValue::from_str(&next_page(target::raw(&http), cursor)).map_err(Error::fault)?;
        answer.headers_mut().insert(LINK, link);
    }
    Ok(answer)
}

/// The link to the page behind this one: the same query, but for where it begins.
fn next_page(target: &str, cursor: Cursor) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // What could end the link before its end is encoded. Names are: nobody encodes the letters of `before`.
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("before="));
    let begins = format!("before={}", cursor.encode());
    let query = kept.chain([begins.as_str()]).collect::<Vec<_>>().join("&").replace('<', "%3C").replace('>', "%3E");
    format!("<{path}?{query}>; rel=\"next\"")
}

/// Shows one dead letter with its payload.
#[utoipa::path(
    get,
    path = "/admin/dead/{id}",
    operation_id = "show_dead_letter",
    tag = "operators",
    responses(
        (status = 200, description = "The dead letter.", body = wire::DeadLetterDetail),
        (status = 404, description = "`not_found`"),
    ),
)]
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let id = target::intent_id(&http)?;
    let no_letter = || Error::not_found("No such dead letter.");
    let seen = state.store.find_for(&request.admission, id).await?;
    let seen = seen.filter(|seen| seen.state == State::Dead).ok_or_else(no_letter)?;
    let payload = state.store.payload(&seen).await?.ok_or_else(no_letter)?;
    let payload = String::from_utf8(payload).map_err(Error::fault)?;
    ok(&wire::DeadLetterDetail {
        letter: wire::DeadLetter {
            intent_id: id.to_string(),
            namespace: seen.namespace,
            goal: seen.goal,
            attempts: seen.claim_attempts.into(),
            reason: seen.last_error.unwrap_or_else(|| NO_REASON.to_owned()),
            created_at: seen.completed_at.unwrap_or(seen.run_at),
        },
        payload: RawValue::from_string(payload).map_err(Error::fault)?,
    })
}
