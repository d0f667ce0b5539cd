//! Requests of operators: by the admin token, the dashboard's password, or under protocol 1.1 the root key. Each way that
//! has no secret set is closed.

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{AUTHORIZATION, HOST, ORIGIN},
    },
    web::Data,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use intent_bus_protocol::headers;

use super::{Who, client, header, is_secret, signature};
use crate::{
    app::State,
    error::{Error, ErrorCode, Result},
    http::{body, envelope::RequestId},
    store::{
        admission::Admission,
        operators::audit::{Actor, By},
    },
};

/// Longest body of an admin request, in bytes.
const BODY_MAX: usize = 65_536;

/// An authenticated request of an operator.
pub struct AdminRequest {
    /// Who it is, for the audit log.
    pub by: By,
    /// The nonce, where the root key has signed the request.
    pub admission: Admission,
    /// The body.
    pub body: Bytes,
}

/// A request that may read the metrics: an operator's, or one with the metrics token.
pub struct MetricsReader {
    /// The nonce, where the root key has signed the request.
    pub admission: Admission,
}

async fn authenticate(request: &HttpRequest, payload: &mut Payload) -> Result<AdminRequest> {
    let state = request.app_data::<Data<State>>().ok_or_else(|| Error::fault("the state is not there"))?;
    if let Some(token) = header(request, headers::ADMIN_TOKEN) {
        return if is_secret(token, state.auth.admin.as_ref()) {
            with_body(request, payload, state, Actor::AdminToken).await
        } else {
            Err(unauthorized())
        };
    }
    if let Some(password) = basic_password(request) {
        if !is_secret(&password, state.auth.dashboard.as_ref()) {
            return Err(unauthorized());
        }
        same_site(request)?;
        return with_body(request, payload, state, Actor::Dashboard).await;
    }
    let key = header(request, headers::API_KEY).ok_or_else(unauthorized)?;
    let caller = client::find_caller(state, key).await?.ok_or_else(unauthorized)?;
    Who::from(&caller).note(request);
    let generation = client::declared(request, state).generation();
    if !(caller.is_root() && generation.root_key_is_admin()) {
        return Err(Error::forbidden("This needs X-Admin-Token, or under protocol 1.1 the root key."));
    }
    let body = body::read(request.headers(), payload, BODY_MAX, state.limits.request_timeout).await?;
    let signed = signature::is_signed(request)
        .then(|| signature::check(state, request, &body, key, caller.tenant))
        .transpose()?;
    if signed.is_none() && state.auth.require_signatures {
        return Err(Error::bad_signature("This bus takes signed requests only, or X-Admin-Token."));
    }
    let admission = Admission { tenant: caller.tenant, rate_limit: None, signed };
    Ok(AdminRequest { by: by(request, Actor::RootKey), admission, body })
}

fn by(request: &HttpRequest, actor: Actor) -> By {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    By::new(actor, request_id)
}

async fn with_body(request: &HttpRequest, payload: &mut Payload, state: &State, actor: Actor) -> Result<AdminRequest> {
    Who::Operator.note(request);
    let body = body::read(request.headers(), payload, BODY_MAX, state.limits.request_timeout).await?;
    Ok(AdminRequest { by: by(request, actor), admission: Admission::default(), body })
}

/// The password that a browser sends for user `admin`.
fn basic_password(request: &HttpRequest) -> Option<String> {
    let encoded = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    decoded.strip_prefix("admin:").map(str::to_owned)
}

/// A browser sends its password with requests that other sites' pages make, too. Those may not change anything, and they get no
/// answer that a page has asked for: only a person who follows a link.
pub(in crate::http) fn same_site(request: &HttpRequest) -> Result<()> {
    let elsewhere = || Err(Error::forbidden("This request comes from another site's page."));
    if request.method() == Method::GET || request.method() == Method::HEAD {
        let of_a_page = header(request, "sec-fetch-site") == Some("cross-site")
            && header(request, "sec-fetch-mode") != Some("navigate");
        return if of_a_page { elsewhere() } else { Ok(()) };
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let own_origin =
        |origin: &str| text(HOST).is_some_and(|host| origin.split_once("://").is_some_and(|(_, from)| from == host));
    let foreign = match (header(request, "sec-fetch-site"), text(ORIGIN)) {
        (Some(site), _) => !["same-origin", "none"].contains(&site),
        (None, Some(origin)) => !own_origin(origin),
        (None, None) => false,
    };
    if foreign { elsewhere() } else { Ok(()) }
}

fn unauthorized() -> Error {
    Error::new(
        ErrorCode::Unauthorized,
        "X-Admin-Token, or the dashboard's password of the user admin, is missing or wrong. A way whose secret is not set is closed.",
    )
}

impl FromRequest for AdminRequest {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { authenticate(&request, &mut payload).await })
    }
}

impl FromRequest for MetricsReader {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let state = request.app_data::<Data<State>>().ok_or_else(|| Error::fault("the state is not there"))?;
            let bearer =
                request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            match bearer {
                Some(token) if is_secret(token, state.auth.metrics.as_ref()) => {
                    Ok(Self { admission: Admission::default() })
                }
                Some(_) => Err(unauthorized()),
                None => authenticate(&request, &mut payload).await.map(|request| Self { admission: request.admission }),
            }
        })
    }
}
