//! Spans of what goes to Postgres: a client's span for each statement, by the name of its file, and one for each flight. Never a
//! statement's text or parameters.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::Span;

use super::Traces;

impl Traces {
    /// Runs a statement in a span below the one that runs, if that is recorded.
    pub(crate) async fn statement<T>(
        &self,
        name: Option<&'static str>,
        running: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let Some(mut span) = name.and_then(|name| self.begin_statement(name)) else { return running.await };
        let done = running.await;
        if let Err(error) = &done {
            // The code, and not the message, which may repeat a value.
            let code = error.code().map_or("connection", |code| code.code()).to_owned();
            span.set_attribute(KeyValue::new("db.response.status_code", code.clone()));
            span.set_attribute(KeyValue::new("error.type", code.clone()));
            span.set_status(Status::error(code));
        }
        done
    }

    fn begin_statement(&self, name: &'static str) -> Option<Span> {
        let inner = self.0.as_ref()?;
        inner.child(name, |builder| {
            let mut attributes = inner.database.clone();
            attributes.push(KeyValue::new("db.query.summary", name));
            builder.with_kind(SpanKind::Client).with_attributes(attributes)
        })
    }

    /// Whether a statement would have a span now.
    pub(crate) fn is_recording(&self) -> bool {
        self.0.is_some() && Context::map_current(|current| current.span().span_context().is_sampled())
    }

    /// Begins the span of a flight: the child of the one request that it carries, or linked to each of several. None: none of
    /// them is recorded.
    pub(crate) fn begin_flight<'a>(
        &self,
        kind: &'static str,
        carried: usize,
        asked_by: impl Iterator<Item = &'a SpanContext>,
    ) -> Option<Context> {
        let inner = self.0.as_ref()?;
        let mut asked_by = asked_by.peekable();
        let first = asked_by.peek().copied()?;
        let builder = SpanBuilder::from_name(kind)
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new("intent_bus.flight_requests", i64::try_from(carried).unwrap_or(i64::MAX))]);
        let span = if carried == 1 {
            let parent = Context::new().with_remote_span_context(first.clone());
            inner.tracer.build_with_context(builder, &parent)
        } else {
            let links = asked_by.map(|span| Link::new(span.clone(), Vec::new(), 0)).collect();
            inner.tracer.build_with_context(builder.with_links(links), &Context::new())
        };
        Some(Context::new().with_span(span))
    }
}

/// Ends the span of a flight. `failure`: why it has brought no answers.
pub(crate) fn end_flight(flight: &Context, failure: Option<&'static str>) {
    let span = flight.span();
    if let Some(failure) = failure {
        span.set_attribute(KeyValue::new("error.type", failure));
        span.set_status(Status::error(failure));
    }
    span.end();
}
