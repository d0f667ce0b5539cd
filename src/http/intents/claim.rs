//! `POST /claim`: take the next intent, or the next few, if there are any; or wait for one.

use std::{ops::RangeInclusive, pin::pin, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue, RETRY_AFTER},
};
use intent_bus_protocol::{
    headers, limits,
    names::{is_label, is_request_id},
    wire,
};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    domain::{
        hash::key_hash,
        ids::ClaimToken,
        intent::Claimed,
        lanes::Reach,
        names::{Goal, Namespace},
    },
    error::{Error, Result},
    http::{
        Shared,
        auth::{Caller, ClientRequest},
        envelope::Waits,
        ok,
        openapi::{ClaimAnswer, ClaimHeaders, ClaimQuery},
        target::Query,
    },
    store::intents::claim::{Claim, Retryable},
    telemetry::traces::messages::Operation,
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Longest name of a worker, in characters.
const WORKER_MAX: usize = 128;
/// Most capabilities of one worker: each is a lane or two to look into.
const CAPABILITIES_MAX: usize = 32;

/// Claims an intent.
#[utoipa::path(
    post,
    path = "/claim",
    tag = "workers",
    params(ClaimQuery, ClaimHeaders),
    responses(
        (status = 200, description = "An intent, and a lease on it; with `limit` a list of them.", body = ClaimAnswer),
        (status = 204, description = "Nothing to do for this worker."),
        (status = 400, description = "`invalid_namespace`, `invalid_goal`"),
        (status = 403, description = "`forbidden`"),
    ),
)]
pub async fn claim(state: Shared, http: HttpRequest, request: ClientRequest) -> Result<HttpResponse> {
    let query = Query::of(&http)?;
    let mut reach = asked_for(&http, &query, &request.caller)?;
    let limit = whole(query.get("limit")?, "limit", limits::BATCH)?;
    let (wait, preferred) = wait(&http, &query)?;
    let request_id = request_id(&http)?;
    if let Some(publisher) = query.get("publisher")? {
        (reach.publisher, reach.public) = (publisher_of(&state, &request.caller, publisher).await?, false);
    }
    let reach = Arc::new(reach);
    let count = usize::try_from(limit.unwrap_or(1)).map_err(Error::fault)?;
    let retryable = match request_id {
        Some(id) => {
            let key = state.token_key().await?.request(request.caller.tenant, id, &reach);
            Some(Arc::new(Retryable::new(key, count)))
        }
        None => None,
    };
    let token = |number| match &retryable {
        Some(request) => request.key.token(number, request.salt),
        None => ClaimToken::generate(),
    };
    let mut tokens = (0..count).map(|number| Some(token(number))).collect::<Vec<_>>();
    let claim = Claim {
        reach: Arc::clone(&reach),
        tenant: request.caller.tenant,
        tokens: tokens.iter().flatten().map(ClaimToken::hash).collect(),
        retryable: retryable.clone(),
        lease: f64::from(state.limits.claim_timeout),
        admission: request.admission,
        round: Uuid::new_v4(),
        waits: !wait.is_zero(),
    };
    if !wait.is_zero() {
        // Seen while it waits.
        state.store.workers.asked(request.caller.tenant, &reach, 0);
    }
    let span = state.store.traces.begin(Operation::Claim);
    span.worker(reach.worker.as_deref());
    // By reference: by value it would lie in the state of `around` a second time, and replicas hold thousands of these.
    let leases = span.around(pin!(state.store.claim_waiting(claim, wait))).await?;
    span.received(leases.iter().map(|lease| &lease.claimed), limit.is_some());
    state.store.workers.asked(request.caller.tenant, &reach, leases.len());
    let lease_seconds = i32::try_from(state.limits.claim_timeout).map_err(Error::fault)?;
    let mut intents = Vec::with_capacity(leases.len());
    for mut lease in leases {
        let seconds = lease.earlier.as_ref().map_or(lease_seconds, |earlier| earlier.left);
        let token = match (lease.earlier.and_then(|earlier| earlier.salt), &retryable) {
            (Some(salt), Some(request)) => Some(request.key.token(lease.token, salt)),
            _ => tokens.get_mut(lease.token).and_then(Option::take),
        };
        let token = token.ok_or_else(|| Error::fault("two claims have one token"))?;
        let Some(payload) = lease.claimed.payload.take() else {
            // The intent is gone as well.
            tracing::warn!(id = %lease.claimed.id, "an intent was purged while it was claimed");
            continue;
        };
        intents.push(claimed(lease.claimed, payload, token, seconds)?);
    }
    let mut answer = match (limit, intents.len()) {
        (_, 0) => HttpResponse::NoContent().insert_header((RETRY_AFTER, state.store.seconds_between_claims())).finish(),
        (None, _) => one(&intents.swap_remove(0))?,
        (Some(_), _) => ok(&wire::ClaimedMany { intents })?,
    };
    if !wait.is_zero() {
        answer.extensions_mut().insert(Waits);
    }
    if let Some(id) = request_id {
        let name = HeaderName::from_static(headers::CLAIM_REQUEST_ID);
        answer.headers_mut().insert(name, HeaderValue::from_str(id).map_err(Error::fault)?);
    }
    if preferred {
        let applied = format!("wait={}", wait.as_secs());
        answer.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_str(&applied).map_err(Error::fault)?);
    }
    Ok(answer)
}

/// The answer with one intent, whose trace is in its header, too.
fn one(intent: &wire::Claimed) -> Result<HttpResponse> {
    let mut answer = ok(intent)?;
    if let Some(traceparent) = &intent.traceparent {
        let value = HeaderValue::from_str(traceparent).map_err(Error::fault)?;
        answer.headers_mut().insert(HeaderName::from_static(headers::TRACEPARENT), value);
    }
    Ok(answer)
}

/// How long to wait for an intent, and whether that was asked for by `Prefer`.
fn wait(http: &HttpRequest, query: &Query) -> Result<(Duration, bool)> {
    if let Some(seconds) = whole(query.get("wait")?, "wait", limits::WAIT)? {
        return Ok((Duration::from_secs(seconds), false));
    }
    let preferred = http
        .headers()
        .get_all(PREFER)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // What follows a semicolon are parameters of the preference.
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find_map(|(name, value)| {
            let is_wait = name.trim().eq_ignore_ascii_case("wait");
            if is_wait { value.trim().trim_matches('"').parse::<u64>().ok() } else { None }
        });
    // A preference is no order: what is longer than may be is as long as may be.
    let most = u64::try_from(*limits::WAIT.end()).map_err(Error::fault)?;
    Ok((Duration::from_secs(preferred.unwrap_or(0).min(most)), preferred.is_some()))
}

/// The id of this request, by which it may come again.
fn request_id(http: &HttpRequest) -> Result<Option<&str>> {
    let Some(value) = http.headers().get(headers::CLAIM_REQUEST_ID) else { return Ok(None) };
    let id = value.to_str().ok().filter(|id| is_request_id(id)).ok_or_else(|| {
        Error::invalid("X-Claim-Request-ID has 1 to 128 letters, digits, dots, underscores, colons or hyphens.")
    })?;
    Ok(Some(id))
}

/// A whole number of the query.
fn whole(text: Option<&str>, name: &str, range: RangeInclusive<i32>) -> Result<Option<u64>> {
    text.map(|text| {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let number = number.filter(|number| range.contains(number)).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| {
            Error::invalid(format!("{name} must be a whole number from {} to {}.", range.start(), range.end()))
        })
    })
    .transpose()
}

fn claimed(claimed: Claimed, payload: Vec<u8>, token: ClaimToken, lease: i32) -> Result<wire::Claimed> {
    let payload = String::from_utf8(payload).map_err(Error::fault)?;
    Ok(wire::Claimed {
        id: claimed.id.to_string(),
        namespace: claimed.namespace,
        goal: claimed.goal,
        payload: RawValue::from_string(payload).map_err(Error::fault)?,
        claim_attempts: claimed.claim_attempts.into(),
        priority: claimed.priority.into(),
        target_worker: claimed.target_worker,
        required_capability: claimed.required_capability,
        claim_token: token.reveal(),
        claim_timeout: lease,
        traceparent: claimed.traceparent,
    })
}

/// What the worker asks for, of its own intents and of everybody's public ones.
fn asked_for(http: &HttpRequest, query: &Query, caller: &Caller) -> Result<Reach> {
    let namespace = query.get("namespace")?.map_or_else(|| Ok(Namespace::default()), Namespace::parse)?;
    caller.reaches.allow_in(namespace.as_str())?;
    let goal = query.get("goal")?.map(Goal::parse).transpose()?;
    Ok(Reach {
        publisher: Some(caller.tenant),
        public: true,
        namespace: namespace.as_str().to_owned(),
        goal: goal.map(|goal| goal.as_str().to_owned()),
        worker: worker(http, query)?,
        capabilities: capabilities(http, query)?,
    })
}

/// Whose intents are asked for. A key that nobody has publishes nothing.
async fn publisher_of(state: &Shared, caller: &Caller, key: &str) -> Result<Option<i64>> {
    let hash = key_hash(key);
    if bool::from(hash.ct_eq(&caller.key_hash)) {
        return Ok(Some(caller.tenant));
    }
    if !caller.is_root() {
        return Err(Error::forbidden("publisher must be your own key. Leave it out to claim public intents too."));
    }
    Ok(state.keys.find(&hash).await?.map(|key| key.tenant))
}

/// A header's value as text. The SDKs send names as they are, so bytes beyond ASCII count as Latin-1.
fn header_text(http: &HttpRequest, name: &str) -> Option<String> {
    http.headers().get(name).map(|value| value.as_bytes().iter().map(|&byte| char::from(byte)).collect())
}

/// The header's value before the query's. Both have to be good, also the one that does not count.
fn worker(http: &HttpRequest, query: &Query) -> Result<Option<String>> {
    let by_header = header_text(http, headers::WORKER_ID).as_deref().map(read_worker).transpose()?;
    let by_query = query.get("worker_id")?.map(read_worker).transpose()?;
    Ok(by_header.or(by_query).filter(|name| !name.is_empty()))
}

fn read_worker(name: &str) -> Result<String> {
    if name.chars().count() > WORKER_MAX || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "A worker's name has at most {WORKER_MAX} characters, none of them control characters."
        )));
    }
    Ok(name.trim().to_owned())
}

/// As [`worker`].
fn capabilities(http: &HttpRequest, query: &Query) -> Result<Vec<String>> {
    let by_header = header_text(http, headers::WORKER_CAPABILITIES).as_deref().map(read_capabilities).transpose()?;
    let by_query = query.get("capabilities")?.map(read_capabilities).transpose()?;
    Ok(by_header.or(by_query).unwrap_or_default())
}

fn read_capabilities(list: &str) -> Result<Vec<String>> {
    let entries: Vec<&str> = list.split(',').map(|entry| entry.trim_matches([' ', '\t'])).collect();
    let mut names: Vec<String> = entries.iter().filter(|name| !name.is_empty()).map(ToString::to_string).collect();
    if entries.len() > CAPABILITIES_MAX || !names.iter().all(|name| is_label(name)) {
        return Err(Error::invalid(format!(
            "A worker names at most {CAPABILITIES_MAX} capabilities, each of 1 to 64 letters, digits, dots, underscores, colons or hyphens."
        )));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
