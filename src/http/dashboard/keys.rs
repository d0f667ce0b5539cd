//! Keys and their tenants: make, rotate, limit, scope, revoke. A key is shown once, in the answer to the form that made it.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{
    Frame, filters,
    form::{Form, done},
    links, number, render,
    seal::{GoodToken, KEY_FORM_LIFE},
};
use crate::{
    domain::{
        hash::key_hash,
        ids,
        keys::{self, LIMITS},
        scopes::Scope,
    },
    error::{Error, Result},
    http::{Shared, auth::AdminRequest, target::Query},
    store::{
        admission::{Admission, Refusal},
        keys::manage::{Holder, ListedKey, NewKey, NewLimits, NewReach, Which},
    },
};

const SECTION: &str = "/admin/dashboard/keys";
/// Lines of a page.
const LINES: i64 = 50;
/// For how long the old key goes on when a new one takes its place: seconds, and words.
const OVERLAPS: [(i64, &str); 5] =
    [(0, "not at all"), (600, "10 minutes"), (3600, "an hour"), (86_400, "a day"), (604_800, "a week")];
/// When a key ends by itself: days, and words.
const LIVES: [(i64, &str); 5] =
    [(0, "never"), (1, "after a day"), (7, "after a week"), (30, "after 30 days"), (365, "after a year")];

#[derive(Template)]
#[template(path = "keys.html")]
struct List {
    frame: Frame,
    keys: Vec<ListedKey>,
    next: Option<String>,
    first_page: bool,
    scopes: [Scope; 4],
    lives: [(i64, &'static str); 5],
    /// What holds for tenants without limits of their own.
    rate_limit: i64,
    max_open: i64,
}

/// `GET /admin/dashboard/keys`
pub async fn list(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    state.store.admit(&request.admission).await?;
    let before = number(Query::of(&http)?.get("before")?)?;
    let page = state.store.list_keys(before, LINES).await?;
    render(&List {
        frame: Frame::of(&http, &state, SECTION, "Keys")?,
        keys: page.keys,
        next: page.next.map(|next| links::query(&[("before", &next.to_string())])),
        first_page: before.is_none(),
        scopes: Scope::ALL,
        lives: LIVES,
        rate_limit: state.limits.rate_per_minute.into(),
        max_open: state.limits.max_open_intents,
    })
}

#[derive(Template)]
#[template(path = "key.html")]
struct Detail {
    frame: Frame,
    key: ListedKey,
    scopes: [Scope; 4],
    overlaps: [(i64, &'static str); 5],
    rate_limit: i64,
    max_open: i64,
}

/// `GET /admin/dashboard/keys/{number}`
pub async fn show(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let wanted = key_number(&http)?;
    state.store.admit(&request.admission).await?;
    let page = state.store.list_keys(Some(wanted.saturating_add(1)), 1).await?;
    let key = page.keys.into_iter().find(|key| key.id == wanted).ok_or_else(no_such_key)?;
    render(&Detail {
        frame: Frame::of(&http, &state, SECTION, format!("Key {} of {}", key.id, key.owner))?,
        key,
        scopes: Scope::ALL,
        overlaps: OVERLAPS,
        rate_limit: state.limits.rate_per_minute.into(),
        max_open: state.limits.max_open_intents,
    })
}

#[derive(Template)]
#[template(path = "made.html")]
struct Made {
    frame: Frame,
    api_key: String,
    number: i64,
    owner: String,
    /// What the key took the place of, and how long that goes on.
    old: Option<(i64, &'static str)>,
}

/// `POST /admin/dashboard/keys/create`
pub async fn create(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let form = Form::read(&http, &request, &state)?;
    let scopes = scopes(&form)?;
    let namespaces = namespaces(&form)?;
    let tenant = number(form.get("tenant"))?;
    let owner = if tenant.is_none() { keys::owner(form.get("owner").unwrap_or_default())? } else { String::new() };
    let holder = match tenant {
        Some(tenant) => Holder::Tenant(tenant),
        None => {
            Holder::New { owner: &owner, rate_limit: limit(&form, "rate_limit")?, max_open: limit(&form, "max_open")? }
        }
    };
    #[allow(clippy::cast_precision_loss, reason = "some years at most")]
    let expires_in = match number(form.get("days"))? {
        None | Some(0) => None,
        Some(days @ 1..=3650) => Some(days as f64 * 86_400.0),
        Some(_) => return Err(Error::invalid("A key lives for 1 to 3650 days, or without an end.")),
    };
    let new = NewKey { holder, scopes: scopes.as_deref(), namespaces: namespaces.as_deref(), expires_in };
    let api_key = ids::generate_key()?;
    let admission = once(&request.admission, form.token);
    let made = state.store.create_key(&admission, &request.by, &new, &key_hash(&api_key)).await;
    let made = made.map_err(|error| not_again(&request.admission, error))?;
    let frame = Frame::of(&http, &state, SECTION, "New key")?;
    render(&Made { frame, api_key, number: made.id, owner: made.owner, old: None })
}

/// `POST /admin/dashboard/keys/{number}/rotate`
pub async fn rotate(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let old = key_number(&http)?;
    let form = Form::read(&http, &request, &state)?;
    let wanted = number(form.get("overlap"))?;
    let (overlap, words) = OVERLAPS
        .into_iter()
        .find(|(seconds, _)| Some(*seconds) == wanted)
        .ok_or_else(|| Error::invalid("Choose how long the old key goes on."))?;
    let api_key = ids::generate_key()?;
    let (admission, hash) = (once(&request.admission, form.token), key_hash(&api_key));
    #[allow(clippy::cast_precision_loss, reason = "a week at most")]
    let rotated = state.store.rotate_key(&admission, &request.by, old, &hash, overlap as f64).await;
    let made = rotated.map_err(|error| not_again(&request.admission, error))?;
    state.keys.forget_number(old);
    let frame = Frame::of(&http, &state, SECTION, "New key")?;
    render(&Made { frame, api_key, number: made.id, owner: made.owner, old: Some((old, words)) })
}

/// `POST /admin/dashboard/keys/{number}/reach`
pub async fn reach(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let wanted = key_number(&http)?;
    let form = Form::read(&http, &request, &state)?;
    let (scopes, namespaces) = (scopes(&form)?, namespaces(&form)?);
    let new = NewReach { scopes: Some(scopes.as_deref()), namespaces: Some(namespaces.as_deref()) };
    state.store.set_scopes(&request.admission, &request.by, wanted, &new).await?;
    state.keys.forget_number(wanted);
    Ok(done(
        &state,
        &format!("{SECTION}/{wanted}"),
        "What this key reaches was changed. Every replica knows within a second.",
    ))
}

/// `POST /admin/dashboard/keys/{number}/limits`
pub async fn limits(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let wanted = key_number(&http)?;
    let form = Form::read(&http, &request, &state)?;
    let tenant = number(form.get("tenant"))?.ok_or_else(|| Error::invalid("The tenant is missing."))?;
    let new = NewLimits { rate_limit: Some(limit(&form, "rate_limit")?), max_open: Some(limit(&form, "max_open")?) };
    let limits = state.store.set_limits(&request.admission, &request.by, tenant, new).await?;
    let text = format!("The limits of {} were changed. Every replica knows within a second.", limits.owner);
    Ok(done(&state, &format!("{SECTION}/{wanted}"), &text))
}

/// `POST /admin/dashboard/keys/{number}/revoke`
pub async fn revoke(state: Shared, http: HttpRequest, request: AdminRequest) -> Result<HttpResponse> {
    let wanted = key_number(&http)?;
    Form::read(&http, &request, &state)?;
    let hash = state.store.revoke_key(&request.admission, &request.by, Which::Number(wanted)).await?;
    state.keys.forget(&hash.ok_or_else(no_such_key)?);
    let text = "This key is revoked: refused here already, and by every replica within a second.";
    Ok(done(&state, &format!("{SECTION}/{wanted}"), text))
}

/// Lets a form that shows a key through once only: loading its answer again would send it again.
fn once(admission: &Admission, token: GoodToken) -> Admission {
    let signed = admission.signed.unwrap_or_else(|| token.signed());
    Admission { signed: Some(signed), ..admission.clone() }
}

/// The refusal of such a form, in words of forms.
fn not_again(admission: &Admission, error: Error) -> Error {
    // A request that is signed itself is refused as any other of its kind.
    let because = |refusal: Refusal| admission.signed.is_none() && error.message() == Error::from(refusal).message();
    if because(Refusal::Replayed) {
        Error::forbidden("This form was sent before, and its key was shown then. Open the page anew to make another.")
    } else if because(Refusal::Stale) {
        Error::forbidden(format!(
            "No key was made: a form that makes one is good for {} minutes. Load its page again, then send it.",
            KEY_FORM_LIFE / 60
        ))
    } else {
        error
    }
}

fn key_number(http: &HttpRequest) -> Result<i64> {
    http.match_info().get("number").and_then(|number| number.parse().ok()).ok_or_else(no_such_key)
}

fn no_such_key() -> Error {
    Error::not_found("No such key. The page of keys lists them.")
}

/// A limit; left empty it is the bus's setting.
fn limit(form: &Form, name: &str) -> Result<Option<i32>> {
    let bad = || Error::invalid(format!("A limit is a whole number from 1 to {}.", LIMITS.end()));
    form.get(name).map(|typed| typed.parse().ok().filter(|limit| LIMITS.contains(limit)).ok_or_else(bad)).transpose()
}

/// The scopes that are ticked. All of them: everything, also what a later release may add.
fn scopes(form: &Form) -> Result<Option<Vec<Scope>>> {
    if form.get("scope").is_none() {
        return Err(Error::invalid("A key without a scope is of no use. Tick one, or revoke the key."));
    }
    let ticked = keys::scopes(form.all("scope"))?;
    Ok(Scope::ALL.iter().any(|scope| !ticked.contains(scope)).then_some(ticked))
}

/// Namespaces with spaces or commas between them; none: all.
fn namespaces(form: &Form) -> Result<Option<Vec<String>>> {
    let typed = form.get("namespaces").unwrap_or_default();
    let mut names = typed.split([' ', ',', '\n', '\r', '\t']).filter(|name| !name.is_empty()).peekable();
    if names.peek().is_none() { Ok(None) } else { keys::namespaces(names).map(Some) }
}

impl Detail {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn has(&self, scope: &Scope) -> bool {
        self.key.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|name| name == scope.as_str()))
    }

    fn namespaces(&self) -> String {
        self.key.namespaces.as_deref().unwrap_or_default().join(", ")
    }
}
