//! The span of a request: a server's, as OpenTelemetry's conventions for HTTP have it. Paths, queries and headers are not in it:
//! they hold what clients put there, a key as a `publisher` for one. The route says what was asked for.

use std::str::FromStr;

use actix_web::http::header::HeaderMap;
use intent_bus_protocol::headers;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer},
};

use super::Traces;
use crate::domain::trace::TraceParent;

const TRACESTATE: &str = "tracestate";

/// What is known of a request when it is answered.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Of those that are known, else `_OTHER`.
    pub method: &'a str,
    /// The pattern of the path. None: there is no such path.
    pub route: Option<&'a str>,
    /// The answer's status.
    pub status: u16,
    /// The code of the error.
    pub error: Option<&'static str>,
    /// The request's name.
    pub request_id: &'a str,
    /// Whose key it was.
    pub tenant: Option<i64>,
}

/// The trace that a request says it belongs to. None, if it says none, or several.
#[must_use]
pub fn trace_parent(sent: &HeaderMap) -> Option<TraceParent> {
    let mut values = sent.get_all(headers::TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(one), None) => TraceParent::parse(one.to_str().ok()?),
        _ => None,
    }
}

impl Traces {
    /// Begins the span of a request. None: there are no traces. The handler is to run in what this gives.
    #[must_use]
    pub fn begin_request(&self, method: &str, https: bool, headers: &HeaderMap) -> Option<Context> {
        let inner = self.0.as_ref()?;
        let parent = trace_parent(headers).map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(remote(parent, trace_state(headers)))
        });
        let builder = SpanBuilder::from_name(method.to_owned()).with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("url.scheme", if https { "https" } else { "http" }),
            KeyValue::new("network.protocol.name", "http"),
        ]);
        let span = inner.tracer.build_with_context(builder, &parent);
        Some(Context::new().with_span(span))
    }

    /// The `traceparent` that a publication in this request is stored with: of the span that runs; where that is not recorded, or
    /// there are no traces here, what the client sent.
    #[must_use]
    pub fn to_store(&self, headers: &HeaderMap) -> Option<String> {
        let current = self.0.as_ref().map(|_| Context::map_current(|current| current.span().span_context().clone()));
        let current = current.filter(SpanContext::is_valid);
        match current {
            Some(current) if current.is_sampled() => Some(written(&current)),
            current => {
                let sent = trace_parent(headers).map(|sent| sent.to_string());
                sent.or_else(|| current.as_ref().map(written))
            }
        }
    }
}

/// Ends the span of a request.
pub fn end_request(context: &Context, answered: &Answered<'_>) {
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    if let Some(route) = answered.route {
        span.update_name(format!("{} {route}", answered.method));
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(answered.status)));
    span.set_attribute(KeyValue::new("intent_bus.request_id", answered.request_id.to_owned()));
    if let Some(tenant) = answered.tenant {
        span.set_attribute(KeyValue::new("intent_bus.tenant", tenant));
    }
    if let Some(error) = answered.error {
        span.set_attribute(KeyValue::new("error.type", error));
    }
    // What the client did wrong is no error of a server.
    if answered.status >= 500 {
        span.set_status(Status::error(answered.error.unwrap_or_default()));
    }
    span.end();
}

/// The trace of a span, as log lines name it.
#[must_use]
pub fn trace_id(context: &Context) -> Option<String> {
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

fn trace_state(headers: &HeaderMap) -> TraceState {
    let values: Vec<&str> = headers.get_all(TRACESTATE).filter_map(|value| value.to_str().ok()).collect();
    // The standard wants what cannot be read to be left aside.
    TraceState::from_str(&values.join(",")).unwrap_or_default()
}

/// What another process has told of its span.
pub(super) fn remote(parent: TraceParent, state: TraceState) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(parent.trace), SpanId::from_bytes(parent.span));
    SpanContext::new(trace, span, TraceFlags::new(parent.flags), true, state)
}

pub(super) fn written(context: &SpanContext) -> String {
    TraceParent {
        trace: context.trace_id().to_bytes(),
        span: context.span_id().to_bytes(),
        flags: context.trace_flags().to_u8(),
    }
    .to_string()
}
