//! What a request does with intents, as OpenTelemetry's conventions for messaging have it: the bus is the messaging system, a
//! goal the destination, an intent the message. Never a payload, a result, a key or a token.

use std::{borrow::Cow, fmt::Display};

use actix_web::http::header::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt,
    trace::{SpanKind, Status, TraceContextExt, TraceState},
};

use super::{
    Traces,
    requests::{remote, written},
};
use crate::{
    domain::{intent::Claimed, trace::TraceParent},
    error::Result,
    store::intents::finish::Settled,
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Intents are sent.
    Publish,
    /// Intents are received.
    Claim,
    /// Intents are settled: the work is done.
    Fulfill,
    /// Intents are settled: the work has failed.
    Fail,
    /// A lease is made longer.
    Extend,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Claim => "claim",
            Self::Fulfill => "fulfill",
            Self::Fail => "fail",
            Self::Extend => "extend",
        }
    }

    const fn kind(self) -> (&'static str, SpanKind) {
        match self {
            Self::Publish => ("send", SpanKind::Producer),
            Self::Claim => ("receive", SpanKind::Client),
            Self::Fulfill | Self::Fail | Self::Extend => ("settle", SpanKind::Client),
        }
    }
}

/// The span of what a request does with intents. It ends with this value.
#[derive(Debug)]
pub struct Messages(Option<(Operation, Context)>);

impl Traces {
    /// Begins the span of an operation below that of its request, if that is recorded.
    #[must_use]
    pub fn begin(&self, operation: Operation) -> Messages {
        let Some(inner) = &self.0 else { return Messages(None) };
        let (kind, span_kind) = operation.kind();
        let span = inner.child(operation.name(), |builder| {
            builder.with_kind(span_kind).with_attributes([
                KeyValue::new("messaging.system", "intent_bus"),
                KeyValue::new("messaging.operation.name", operation.name()),
                KeyValue::new("messaging.operation.type", kind),
            ])
        });
        Messages(span.map(|span| (operation, Context::map_current(|current| current.with_span(span)))))
    }
}

impl Messages {
    /// What all the intents are for; what differs among them is left out.
    pub fn all_for<'a>(&self, mut each: impl Iterator<Item = (&'a str, &'a str)>) {
        let Some((operation, context)) = &self.0 else { return };
        let Some((namespace, goal)) = each.next() else { return };
        let (mut one_namespace, mut one_goal) = (true, true);
        for (other_namespace, other_goal) in each {
            one_namespace &= namespace == other_namespace;
            one_goal &= goal == other_goal;
        }
        let span = context.span();
        if one_namespace {
            span.set_attribute(KeyValue::new("intent_bus.namespace", namespace.to_owned()));
        }
        if one_goal {
            span.set_attribute(KeyValue::new("messaging.destination.name", goal.to_owned()));
            span.update_name(format!("{} {goal}", operation.name()));
        }
    }

    /// The one intent, by its id.
    pub fn id(&self, id: impl Display) {
        self.set("messaging.message.id", || id.to_string().into());
    }

    /// Bytes of the one intent's payload.
    pub fn size(&self, bytes: usize) {
        self.set("messaging.message.body.size", || Value::from(bytes));
    }

    /// How many intents there are, in a request that may bring many.
    pub fn count(&self, count: usize) {
        self.set("messaging.batch.message_count", || Value::from(count));
    }

    /// How many of them were refused.
    pub fn refused(&self, count: usize) {
        if count > 0 {
            self.set("intent_bus.refused_count", || Value::from(count));
        }
    }

    /// Which claim of the intent it is.
    pub fn attempt(&self, attempt: i16) {
        self.set("intent_bus.attempt", || Value::from(usize::try_from(attempt).unwrap_or_default()));
    }

    /// The worker.
    pub fn worker(&self, name: Option<&str>) {
        if let Some(name) = name {
            self.set("intent_bus.worker", || name.to_owned().into());
        }
    }

    /// The span that has published an intent, as the intent tells.
    pub fn link(&self, traceparent: Option<&str>) {
        let Some((_, context)) = &self.0 else { return };
        if let Some(parent) = traceparent.and_then(TraceParent::parse) {
            context.span().add_link(remote(parent, TraceState::default()), Vec::new());
        }
    }

    /// What was claimed: one intent, or many by a request that may bring many.
    pub fn received<'a>(&self, claimed: impl ExactSizeIterator<Item = &'a Claimed> + Clone, many: bool) {
        if self.0.is_none() {
            return;
        }
        self.all_for(claimed.clone().map(|claimed| (claimed.namespace.as_str(), claimed.goal.as_str())));
        if many || claimed.len() == 0 {
            self.count(claimed.len());
        } else if let Some(one) = claimed.clone().next() {
            self.id(one.id);
            self.attempt(one.claim_attempts);
        }
        for claimed in claimed {
            self.link(claimed.traceparent.as_deref());
        }
    }

    /// What the claims were for that were settled.
    pub fn settled<'a>(&self, settled: impl Iterator<Item = &'a Settled> + Clone) {
        if self.0.is_none() {
            return;
        }
        self.all_for(settled.clone().map(|settled| (settled.namespace.as_str(), settled.goal.as_str())));
        let mut each = settled.clone();
        if let (Some(one), None) = (each.next(), each.next()) {
            self.attempt(one.attempt);
            self.worker(one.worker.as_deref());
        }
        for settled in settled {
            self.link(settled.traceparent.as_deref());
        }
    }

    /// The `traceparent` that what is published here is stored with.
    #[must_use]
    pub fn to_store(&self, traces: &Traces, sent: &HeaderMap) -> Option<String> {
        match &self.0 {
            Some((_, context)) => Some(written(context.span().span_context())),
            None => traces.to_store(sent),
        }
    }

    /// Does it, below the span, which keeps why it fails.
    ///
    /// # Errors
    /// Those of what is done.
    pub async fn around<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &self.0 {
            None => work.await,
            Some((_, context)) => {
                let done = work.with_context(context.clone()).await;
                self.outcome(&done);
                done
            }
        }
    }

    /// Keeps why it has failed.
    pub fn outcome<T>(&self, outcome: &Result<T>) {
        if let (Some((_, context)), Err(error)) = (&self.0, outcome) {
            let (span, code) = (context.span(), error.code().as_str());
            span.set_attribute(KeyValue::new("error.type", code));
            // Not the message of the error: it may repeat what was sent.
            span.set_status(Status::error(code));
        }
    }

    fn set(&self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some((_, context)) = &self.0 {
            let value = match value() {
                Value::Text(text) => KeyValue::new(name, text),
                Value::Number(number) => KeyValue::new(name, number),
            };
            context.span().set_attribute(value);
        }
    }
}

/// What an attribute may be.
enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if let Some((_, context)) = &self.0 {
            context.span().end();
        }
    }
}
