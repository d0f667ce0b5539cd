//! Metrics in Prometheus's text format: counters of this replica, and totals of the whole bus as last counted in Postgres.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::{
    domain::intent::State,
    error::{Error, Result},
    store::Store,
};

/// The metrics of one replica.
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    maintenance: IntCounterVec,
    intents: IntGaugeVec,
    dead_letters: IntGauge,
    keys: IntGauge,
    pool: IntGaugeVec,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken twice.
    pub fn new() -> Result<Self> {
        Self::register().map_err(Error::fault)
    }

    fn register() -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            requests: HistogramVec::new(
                HistogramOpts::new(
                    "intent_bus_http_request_duration_seconds",
                    "Time to answer a request, by route and status.",
                )
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
                &["method", "route", "status"],
            )?,
            maintenance: IntCounterVec::new(
                Opts::new("intent_bus_maintenance_total", "What maintenance of this replica has done, by kind."),
                &["kind"],
            )?,
            intents: IntGaugeVec::new(
                Opts::new(
                    "intent_bus_intents_total",
                    "Intents of the whole bus by state and namespace, as last counted.",
                ),
                &["status", "namespace"],
            )?,
            dead_letters: IntGauge::new(
                "intent_bus_dead_letters_total",
                "Dead intents of the whole bus, as last counted.",
            )?,
            keys: IntGauge::new("intent_bus_tester_keys_total", "Keys that tenants may use.")?,
            pool: IntGaugeVec::new(
                Opts::new("intent_bus_database_connections", "Connections to Postgres of this replica, by state."),
                &["state"],
            )?,
        };
        for collector in [
            Box::new(metrics.requests.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(metrics.maintenance.clone()),
            Box::new(metrics.intents.clone()),
            Box::new(metrics.dead_letters.clone()),
            Box::new(metrics.keys.clone()),
            Box::new(metrics.pool.clone()),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ] {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// Counts an answered request.
    pub fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        self.requests.with_label_values(&[method, route, &status.to_string()]).observe(seconds);
    }

    /// Counts what a pass of maintenance has done.
    pub fn maintained(&self, kind: &str, count: u64) {
        self.maintenance.with_label_values(&[kind]).inc_by(count);
    }

    /// The text of all metrics. The totals are read as last counted; when the database is away they are left as they were.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub async fn text(&self, store: &Store) -> Result<String> {
        if let Err(error) = self.read_totals(store).await {
            tracing::warn!(?error, "the totals could not be read");
        }
        let pool = store.pool_status();
        for (state, count) in [("open", pool.size), ("idle", pool.available), ("waited_for", pool.waiting)] {
            self.pool.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(Error::fault)?;
        String::from_utf8(text).map_err(Error::fault)
    }

    async fn read_totals(&self, store: &Store) -> Result<()> {
        let totals = store.totals(false).await?;
        self.intents.reset();
        for total in &totals {
            self.intents.with_label_values(&[total.state.as_str(), &total.namespace]).set(total.count);
        }
        let dead = totals.iter().filter(|total| total.state == State::Dead).map(|total| total.count).sum();
        self.dead_letters.set(dead);
        self.keys.set(store.count_keys().await?);
        Ok(())
    }
}
