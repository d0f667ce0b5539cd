//! Where spans wait for the thread that sends them. Whoever ends a span never waits: what does not fit is dropped and counted,
//! and a collector that hangs holds up nobody but that thread.
//!
//! The SDK's own batch processor does not tell how many it has dropped.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::exporter;
use crate::{
    config::traces::{self, Collector},
    error::{Error, Result},
};

/// Longest time for which the end of the process waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Spans of this process that were not sent.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Spans that wait.
#[derive(Debug)]
pub(super) struct Queue {
    settings: traces::Queue,
    waiting: Mutex<Waiting>,
    /// A batch has gathered, or the queue is closed.
    enough: Notify,
    /// All that waited when the queue was closed is sent.
    empty: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    spans: Vec<SpanData>,
    dropped: u64,
    closed: bool,
}

/// What the SDK gives its spans to.
#[derive(Debug)]
pub(super) struct Queued(pub(super) Arc<Queue>);

impl Queue {
    /// An empty one, and the thread that sends what comes. It has a runtime of its own.
    pub(super) fn start(collector: &Collector, resource: &Resource) -> Result<Arc<Self>> {
        let (sent, empty) = watch::channel(false);
        let queue =
            Arc::new(Self { settings: collector.queue, waiting: Mutex::default(), enough: Notify::new(), empty });
        let (for_thread, collector, resource) = (Arc::clone(&queue), collector.clone(), resource.clone());
        let (told, is_started) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return told.send(Err(Error::fault(error))).unwrap_or_default(),
            };
            runtime.block_on(async {
                match exporter::new(&collector, &resource) {
                    Ok(exporter) => {
                        let _ = told.send(Ok(()));
                        for_thread.send(&exporter).await;
                    }
                    Err(error) => {
                        let _ = told.send(Err(error));
                    }
                }
            });
            let _ = sent.send(true);
        };
        thread::Builder::new().name("traces".to_owned()).spawn(run).map_err(Error::fault)?;
        is_started.recv().map_err(Error::fault)??;
        Ok(queue)
    }

    fn push(&self, span: SpanData) {
        let enough = {
            let mut waiting = self.lock();
            if waiting.closed || waiting.spans.len() >= self.settings.size {
                waiting.dropped += 1;
                return;
            }
            waiting.spans.push(span);
            waiting.spans.len() == self.settings.batch
        };
        if enough {
            self.enough.notify_one();
        }
    }

    /// Sends what waits whenever a batch has gathered or some time has passed, until the queue is closed.
    async fn send(&self, exporter: &SpanExporter) {
        loop {
            let _ = timeout(self.settings.delay, self.enough.notified()).await;
            let (mut spans, dropped, closed) = {
                let mut waiting = self.lock();
                (std::mem::take(&mut waiting.spans), std::mem::take(&mut waiting.dropped), waiting.closed)
            };
            if dropped > 0 {
                DROPPED.fetch_add(dropped, Ordering::Relaxed);
                tracing::warn!(
                    spans = dropped,
                    "spans were dropped: the collector of the traces takes them too slowly"
                );
            }
            while !spans.is_empty() {
                let rest = spans.split_off(spans.len().min(self.settings.batch));
                self.send_batch(exporter, spans).await;
                spans = rest;
            }
            if closed {
                return;
            }
        }
    }

    async fn send_batch(&self, exporter: &SpanExporter, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let error = match timeout(self.settings.timeout, exporter.export(batch)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        DROPPED.fetch_add(count, Ordering::Relaxed);
        tracing::warn!(spans = count, error, "the collector of the traces has not taken a batch");
    }

    /// Lets no more in.
    fn shut(&self) {
        self.lock().closed = true;
        self.enough.notify_one();
    }

    /// Lets no more in, and waits for what is there to be sent, but not for long.
    pub(super) async fn close(&self) {
        self.shut();
        let mut empty = self.empty.clone();
        if !matches!(timeout(LAST_SPANS, empty.wait_for(|empty| *empty)).await, Ok(Ok(_))) {
            tracing::warn!("the last spans were not sent: the collector of the traces does not answer");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Queued {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.shut();
        Ok(())
    }
}
