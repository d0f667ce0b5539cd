//! Traces, by OpenTelemetry: a span for each request ([`requests`]), for what it does with intents ([`messages`]), and for each
//! statement ([`statements`]). Off, unless the settings name a collector; then nothing here allocates or asks for the time.
//!
//! Spans are made by the SDK itself and not by way of the log's: they have links, kinds and names that are known late, and
//! several replicas in one process, as tests run them, have collectors of their own. The request's span is the current one
//! while its handler runs, so what is made below it finds it there.

mod exporter;
pub mod messages;
mod queue;
pub mod requests;
mod sampler;
pub mod statements;

use std::{borrow::Cow, fmt, sync::Arc};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{SpanBuilder, SpanContext, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span},
};

use self::{queue::Queue, sampler::ByLinks};
use crate::{config, error::Result};

/// Links of one span: the intents that one claim may take, and the requests that one flight may carry.
const LINKS: u32 = 1000;

/// The way to a collector, or none. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    tracer: SdkTracer,
    queue: Arc<Queue>,
    /// Which database the statements are for.
    database: Vec<KeyValue>,
}

/// Which database the statements are for, as spans name it.
#[derive(Debug, Default)]
pub struct DatabaseName {
    /// The database's name.
    pub name: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
}

impl Traces {
    /// Starts to send spans, from a thread of its own, if the settings say where to.
    ///
    /// # Errors
    /// When the collector's address, headers or certificate cannot be used.
    pub fn start(settings: &config::Traces, database: DatabaseName) -> Result<Self> {
        for complaint in &settings.complaints {
            tracing::warn!(complaint, "a setting of the traces cannot be used");
        }
        let Some(collector) = &settings.collector else { return Ok(Self(None)) };
        let attributes = collector.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_attributes(attributes)
            .with_attribute(KeyValue::new("telemetry.sdk.language", "rust"))
            .with_attribute(KeyValue::new("telemetry.sdk.name", "opentelemetry"))
            .build();
        let queue = Queue::start(collector, &resource)?;
        let provider = SdkTracerProvider::builder()
            .with_sampler(ByLinks::of(collector.sampler))
            .with_max_links_per_span(LINKS)
            .with_resource(resource)
            .with_span_processor(queue::Queued(Arc::clone(&queue)))
            .build();
        let scope = InstrumentationScope::builder("intent-bus").with_version(env!("CARGO_PKG_VERSION")).build();
        let mut known = vec![KeyValue::new("db.system.name", "postgresql")];
        known.extend(database.name.map(|name| KeyValue::new("db.namespace", Arc::<str>::from(name))));
        known.extend(database.host.map(|host| KeyValue::new("server.address", Arc::<str>::from(host))));
        known.extend(database.port.map(|port| KeyValue::new("server.port", i64::from(port))));
        Ok(Self(Some(Arc::new(Inner { tracer: provider.tracer_with_scope(scope), queue, database: known }))))
    }

    /// Whether there is a collector.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends what waits, for 2 s at most, and nothing after that.
    pub async fn close(&self) {
        if let Some(inner) = &self.0 {
            inner.queue.close().await;
        }
    }

    /// The span that runs, if it is recorded.
    pub(crate) fn current(&self) -> Option<SpanContext> {
        self.0.as_ref()?;
        Context::map_current(|current| Some(current.span().span_context().clone()).filter(SpanContext::is_sampled))
    }
}

/// Spans of this process that were not sent, since too many waited or the collector did not take them.
#[must_use]
pub fn dropped() -> u64 {
    queue::dropped()
}

impl Inner {
    /// A span below the one that runs, if that is recorded.
    fn child(&self, name: impl Into<Cow<'static, str>>, with: impl FnOnce(SpanBuilder) -> SpanBuilder) -> Option<Span> {
        Context::map_current(|current| {
            let recorded = current.span().span_context().is_sampled();
            recorded.then(|| self.tracer.build_with_context(with(SpanBuilder::from_name(name)), current))
        })
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("on", &self.are_on()).finish()
    }
}
