//! What every request goes through on its way in and every answer on its way out: the checks that need no key, the headers
//! that each answer carries, one log line, one observation.

use std::{net::IpAddr, time::Instant};

use actix_web::{
    Error as ActixError, HttpMessage, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{
            CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue, REFERRER_POLICY,
            TRANSFER_ENCODING, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    web::Data,
};
use intent_bus_protocol::{generation::Declared, headers, names::is_request_id};
use opentelemetry::{Context, context::FutureExt};
use uuid::Uuid;

use super::{auth::Who, dashboard, error::Refused, routes};
use crate::{
    app::State,
    config::sections::Trusted,
    error::{Error, ErrorCode, Result},
    telemetry::{
        logging::REQUESTS,
        traces::requests::{Answered, end_request, trace_id, trace_parent},
    },
};

/// Seconds after which a request is slow.
const SLOW: f64 = 1.0;

/// What finds a request in the log, for handlers that write it down.
pub struct RequestId(pub String);

/// The middleware around all routes.
///
/// # Errors
/// What the framework refuses before any handler.
pub async fn wrap(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, ActixError> {
    let began = Instant::now();
    let state = request.app_data::<Data<State>>().cloned();
    let id = request_id(&request);
    let declared =
        request.headers().get(headers::INTENT_VERSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let method = request.method().clone();
    // Only operators' acts are written down with it.
    if request.path().starts_with("/admin/") {
        request.extensions_mut().insert(RequestId(id.clone()));
    }

    // Ends with this future, also if the client has hung up.
    let _under_way = state.clone().map(UnderWay::begin);
    let span = state.as_deref().and_then(|state| begin_span(&request, state));
    let checked = state.as_deref().map_or(Ok(()), |state| check(&request, state));
    let mut answer = match (checked, &span) {
        (Ok(()), None) => next.call(request).await?.map_into_left_body(),
        (Ok(()), Some(span)) => next.call(request).with_context(span.clone()).await?.map_into_left_body(),
        (Err(error), _) => request.into_response(error.error_response()).map_into_right_body(),
    };

    let Some(state) = state else { return Ok(answer) };
    let route = answer.request().match_pattern();
    if let Some(page) = dashboard::failure_page(&answer, &id) {
        // The page takes the place of the answer, not of what the log has to say of it.
        let refused = answer.response_mut().extensions_mut().remove::<Refused>();
        answer = answer.into_response(page).map_into_right_body();
        if let Some(refused) = refused {
            answer.response_mut().extensions_mut().insert(refused);
        }
    }
    let version = Declared::parse(declared.as_deref(), state.auth.protocol).answer_version();
    put_headers(&mut answer, &id, version, &state);
    let known = Answered {
        method: method_label(&method),
        route: route.as_deref(),
        status: answer.status().as_u16(),
        error: answer.response().extensions().get::<Refused>().map(|refused| refused.code.as_str()),
        request_id: &id,
        tenant: answer.request().extensions().get::<Who>().and_then(|who| who.tenant()),
    };
    let seconds = began.elapsed().as_secs_f64();
    state.metrics.answered(known.method, known.route.unwrap_or("unknown"), known.status, seconds);
    log(&known, &answer, seconds, span.as_ref());
    if let Some(span) = &span {
        end_request(span, &known);
    }
    Ok(answer)
}

/// Begins the span of a request. Probes have none: they come every few seconds and tell nothing.
fn begin_span(request: &ServiceRequest, state: &State) -> Option<Context> {
    if !state.store.traces.are_on() || routes::is_probe(request.path()) {
        return None;
    }
    let peer = request.peer_addr().map(|address| address.ip());
    let https = came_by_https(request.headers(), peer, &state.proxy.trusted);
    state.store.traces.begin_request(method_label(request.method()), https, request.headers())
}

/// A request that is being served.
struct UnderWay(Data<State>);

impl UnderWay {
    fn begin(state: Data<State>) -> Self {
        state.metrics.began();
        Self(state)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.metrics.ended();
    }
}

/// A method as the metrics have it. Any client can make up methods, and each label would be kept for ever.
fn method_label(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}

fn request_id(request: &ServiceRequest) -> String {
    request
        .headers()
        .get(headers::REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_request_id(id))
        .map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}

fn check(request: &ServiceRequest, state: &State) -> Result<()> {
    let headers = request.headers();
    // Both lengths at once is how requests are smuggled past proxies.
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(Error::invalid("Send Content-Length or Transfer-Encoding, not both."));
    }
    let encoded =
        headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Error::new(
            ErrorCode::UnsupportedMediaType,
            "Bodies are taken as they are: send no Content-Encoding.",
        ));
    }
    let peer = request.peer_addr().map(|address| address.ip());
    let https = came_by_https(headers, peer, &state.proxy.trusted);
    if state.proxy.enforce_https && !https && !routes::is_probe(request.path()) {
        return Err(Error::new(ErrorCode::HttpsRequired, "Use HTTPS."));
    }
    Ok(())
}

/// Whether the proxy in front was reached by HTTPS. The first entry of `X-Forwarded-Proto` is the client's side.
fn came_by_https(headers: &actix_web::http::header::HeaderMap, peer: Option<IpAddr>, trusted: &Trusted) -> bool {
    trusted.trusts(peer)
        && headers
            .get("x-forwarded-proto")
            .and_then(|value| value.to_str().ok()?.split(',').next())
            .is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

fn put_headers<B>(answer: &mut ServiceResponse<B>, id: &str, version: &'static str, state: &State) {
    let unauthorized_admin =
        answer.status() == StatusCode::UNAUTHORIZED && answer.request().path().starts_with("/admin/");
    let draining = state.is_draining();
    let headers = answer.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static(headers::INTENT_VERSION), HeaderValue::from_static(version));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static(headers::REQUEST_ID), id);
    }
    if unauthorized_admin {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"intent-bus\", charset=\"UTF-8\""));
    }
    if draining {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        answer.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
}

/// A claim that may wait for work: it is no sign of trouble if it takes long.
pub(super) struct Waits;

/// One line for each request. What is no error of the bus is told where somebody is refused or waits for long; everything else
/// only to those who ask for it.
fn log<B>(known: &Answered<'_>, answer: &ServiceResponse<B>, seconds: f64, span: Option<&Context>) {
    let Answered { method, route, status, error, request_id, .. } = *known;
    let route = route.unwrap_or("unknown");
    let extensions = answer.response().extensions();
    let slow = seconds >= SLOW && extensions.get::<Waits>().is_none();
    let cause = extensions.get::<Refused>().and_then(|refused| refused.cause.as_deref());
    let trace_id = || match span {
        Some(span) => trace_id(span),
        None => trace_parent(answer.request().headers()).map(|parent| parent.trace_id()),
    };
    let caller = || answer.request().extensions().get::<Who>().map(ToString::to_string);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: REQUESTS,
                method, route, status, seconds, request_id, trace_id = trace_id(), caller = caller(), error, cause,
                "request"
            )
        };
    }
    match status {
        500 => line!(error),
        501.. => line!(warn),
        401 | 403 | 429 => line!(info),
        _ if slow => line!(info),
        _ => line!(debug),
    }
}
