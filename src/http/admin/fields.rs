//! Fields that several of the operators' requests have: what is searched for, pages, flags, lists of names.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;
use serde_json::value::RawValue;

use crate::{
    domain::{
        ids::IntentId,
        keys,
        names::{Goal, Namespace},
        scopes::Scope,
    },
    error::{Error, Result},
    http::{
        body::{given, number},
        target::Query,
    },
    store::operators::search::{Filter, Phase, read_digits},
};

/// Rows of a page.
pub(super) const PAGE: RangeInclusive<i64> = 1..=200;
/// Rows of a page for which no number is given.
pub(super) const PAGE_DEFAULT: i64 = 50;
/// Moments that can be asked for, in unix seconds: until the end of the year 9999.
pub(super) const MOMENTS: RangeInclusive<f64> = 0.0..=253_402_300_799.0;
/// Longest text to be searched for, in characters.
const TEXT_MAX: usize = 256;

/// A value of the query. What is empty counts as absent, since forms send all their fields.
pub(super) fn given_in<'a>(query: &'a Query, name: &str) -> Result<Option<&'a str>> {
    Ok(query.get(name)?.filter(|value| !value.is_empty()))
}

/// What a query searches for.
pub(super) fn filter(query: &Query) -> Result<Filter> {
    let get = |name| given_in(query, name);
    let id = |text: &str| IntentId::parse(text).ok_or_else(|| Error::invalid("id must be 32 hex digits."));
    Ok(Filter {
        id: get("id")?.map(id).transpose()?,
        goal: get("goal")?.map(Goal::parse).transpose()?.map(|goal| goal.as_str().to_owned()),
        namespace: get("namespace")?.map(Namespace::parse).transpose()?.map(|name| name.as_str().to_owned()),
        phase: get("state")?.map(phase).transpose()?,
        tenant: get("tenant")?.map(|text| whole(text, "tenant", 0..=i64::MAX)).transpose()?,
        worker: get("worker")?.map(|text| plain(text, "worker")).transpose()?,
        error: get("error")?.map(|text| plain(text, "error")).transpose()?,
        since: get("since")?.map(|text| moment(text, "since")).transpose()?,
        until: get("until")?.map(|text| moment(text, "until")).transpose()?,
    })
}

fn phase(word: &str) -> Result<Phase> {
    Phase::parse(word).ok_or_else(|| {
        let known = Phase::ALL.map(Phase::as_str).join(", ");
        Error::invalid(format!("state must be one of {known}."))
    })
}

/// How many rows a page shall have.
pub(super) fn page_size(query: &Query, default: i64) -> Result<i64> {
    given_in(query, "limit")?.map_or(Ok(default), |text| whole(text, "limit", PAGE))
}

/// The number before which a page shall begin.
pub(super) fn before_number(query: &Query) -> Result<Option<i64>> {
    let foreign = || Error::invalid("before is not what a page of this list gave as next. Leave it out to begin anew.");
    given_in(query, "before")?.map(|text| read_digits(text, 18).ok_or_else(foreign)).transpose()
}

/// The number that the path names.
pub(super) fn path_number(http: &HttpRequest, what: &'static str) -> Result<i64> {
    let text = http.match_info().get("number").unwrap_or_default();
    whole(text, what, 1..=i64::MAX).map_err(|_| Error::not_found(format!("No such {what}: it is named by its number.")))
}

fn whole(text: &str, name: &str, range: RangeInclusive<i64>) -> Result<i64> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        Error::invalid(format!("{name} must be a whole number from {} to {}.", range.start(), range.end()))
    })
}

fn moment(text: &str, name: &str) -> Result<f64> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| MOMENTS.contains(seconds))
        .ok_or_else(|| Error::invalid(format!("{name} must be a moment in unix seconds.")))
}

/// A moment in a body.
pub(super) fn moment_in(field: Option<&RawValue>, name: &str) -> Result<Option<f64>> {
    number(field, name, MOMENTS)
}

/// Text that Postgres can hold.
pub(super) fn plain(text: &str, name: &str) -> Result<String> {
    if text.chars().count() > TEXT_MAX || text.contains('\0') {
        return Err(Error::invalid(format!("{name} has at most {TEXT_MAX} characters, none of them NUL.")));
    }
    Ok(text.to_owned())
}

/// A field that holds true or false.
pub(super) fn flag(field: Option<&RawValue>, name: &str, default: bool) -> Result<bool> {
    match given(field).map(RawValue::get) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Error::invalid(format!("{name} must be true or false."))),
    }
}

/// A field that lists scopes. None: all.
pub(super) fn scopes(field: Option<&RawValue>) -> Result<Option<Vec<Scope>>> {
    given(field).map(|raw| keys::scopes(names(raw, keys::no_scopes)?.iter().map(String::as_str))).transpose()
}

/// A field that lists namespaces. None: all.
pub(super) fn namespaces(field: Option<&RawValue>) -> Result<Option<Vec<String>>> {
    given(field).map(|raw| keys::namespaces(names(raw, keys::no_namespaces)?.iter().map(String::as_str))).transpose()
}

fn names(raw: &RawValue, wrong: fn() -> Error) -> Result<Vec<String>> {
    serde_json::from_str(raw.get()).map_err(|_| wrong())
}
