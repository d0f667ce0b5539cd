//! Metrics in Prometheus's text format. Those of this replica are counted where things happen; those of the whole bus are read from
//! Postgres on a timer, never at a scrape. docs/metrics.md lists them all.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector, process_collector::ProcessCollector,
};

use super::{
    flow::{Flow, OTHER},
    logging, traces,
};
use crate::{
    domain::intent::State,
    error::{Error, Result},
    store::{
        Store,
        bus::{Figures, GoalDepth, TableSize},
        totals::Total,
    },
};

/// Namespaces with series of their own in what is told of the whole bus, and pauses.
const NAMESPACES: usize = 50;
/// Partitions with series of their own, the largest.
const PARTITIONS: usize = 50;
/// Time between two counts of all keys.
const COUNT_KEYS_EVERY: Duration = Duration::from_secs(60);

/// The metrics of one replica.
pub struct Metrics {
    registry: Registry,
    replica: OfReplica,
    bus: OfBus,
    /// Nobody reads what is half written, and two never write at once. Has the moment at which keys were last counted.
    writing: Mutex<Option<Instant>>,
}

struct OfReplica {
    requests: HistogramVec,
    in_flight: IntGauge,
    maintenance: IntCounterVec,
    maintained_at: Gauge,
    connections: IntGaugeVec,
    connections_max: IntGauge,
    queued: IntGaugeVec,
    waiting_claims: IntGauge,
    clock_offset: Gauge,
    /// By what happens to what the replica tells of itself. Counted elsewhere, for the whole process.
    untold: [IntCounter; 3],
}

struct OfBus {
    intents: IntGaugeVec,
    dead_letters: IntGauge,
    keys: IntGauge,
    open: IntGaugeVec,
    oldest: GaugeVec,
    counted_at: Gauge,
    read_at: Gauge,
    replicas: IntGauge,
    workers: IntGauge,
    pauses: IntGauge,
    paused: IntGaugeVec,
    live_rows: IntGaugeVec,
    dead_rows: IntGaugeVec,
    table_bytes: IntGaugeVec,
    partitions: IntGaugeVec,
    partition_bytes: IntGaugeVec,
    oldest_snapshot: Gauge,
    nonces: IntGauge,
}

impl Metrics {
    /// Registers everything, what `flow` counts included.
    ///
    /// # Errors
    /// When a name is taken twice.
    pub fn new(flow: &Flow) -> Result<Self> {
        Self::register(flow).map_err(Error::fault)
    }

    fn register(flow: &Flow) -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            replica: OfReplica::new()?,
            bus: OfBus::new()?,
            writing: Mutex::default(),
        };
        let collectors = metrics.replica.collectors().into_iter().chain(metrics.bus.collectors());
        for collector in collectors.chain([Box::new(ProcessCollector::for_self()) as Box<dyn Collector>]) {
            metrics.registry.register(collector)?;
        }
        let build = gauges("intent_bus_build_info", "1, with the version of the server.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics.registry.register(Box::new(build))?;
        flow.register(&metrics.registry)?;
        Ok(metrics)
    }

    /// Counts a request that has begun.
    pub fn began(&self) {
        self.replica.in_flight.inc();
    }

    /// Counts a request that has ended, answered or given up.
    pub fn ended(&self) {
        self.replica.in_flight.dec();
    }

    /// Counts an answered request.
    pub fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        self.replica.requests.with_label_values(&[method, route, &status.to_string()]).observe(seconds);
    }

    /// Counts what a pass of maintenance has done.
    pub fn maintained(&self, kind: &str, count: u64) {
        self.replica.maintenance.with_label_values(&[kind]).inc_by(count);
    }

    /// Notes that a pass of maintenance has succeeded now.
    pub fn maintenance_succeeded(&self) {
        self.replica.maintained_at.set(now());
    }

    /// How far this replica's clock is ahead of the database's, in seconds.
    pub fn set_clock_offset(&self, seconds: f64) {
        self.replica.clock_offset.set(seconds);
    }

    /// The text of all metrics, with those of the bus as they were last read.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn text(&self, store: &Store) -> Result<String> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replica.look_at(store);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(Error::fault)?;
        String::from_utf8(text).map_err(Error::fault)
    }

    /// Reads what is told of the whole bus. All keys are counted once a minute only, or `at_once`.
    ///
    /// # Errors
    /// `database_busy`; what was known stays.
    pub async fn read_bus(&self, store: &Store, at_once: bool) -> Result<()> {
        let counted_at = || self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let count_keys = at_once || counted_at().is_none_or(|at| at.elapsed() >= COUNT_KEYS_EVERY);
        let (totals, goals) = (store.totals(false).await?, store.goal_depths().await?);
        let (figures, tables) = (store.figures(count_keys).await?, store.table_sizes().await?);
        let mut counted_at = counted_at();
        if let Some(keys) = figures.keys {
            self.bus.keys.set(keys);
            *counted_at = Some(Instant::now());
        }
        self.bus.set_totals(totals);
        self.bus.set_goals(&goals);
        self.bus.set_figures(&figures);
        self.bus.set_tables(&tables);
        let pauses = store.pauses.all();
        self.bus.pauses.set(whole(pauses.len()));
        self.bus.paused.reset();
        for (namespace, goal) in pauses.into_iter().take(NAMESPACES) {
            self.bus.paused.with_label_values(&[namespace, goal.unwrap_or_default()]).set(1);
        }
        self.bus.read_at.set(now());
        Ok(())
    }
}

impl OfReplica {
    fn new() -> prometheus::Result<Self> {
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let requests = HistogramOpts::new(
            "intent_bus_http_request_duration_seconds",
            "Time to answer a request, by route and status.",
        );
        let maintenance =
            Opts::new("intent_bus_maintenance_total", "What maintenance of this replica has done, by kind.");
        Ok(Self {
            requests: HistogramVec::new(requests.buckets(buckets), &["method", "route", "status"])?,
            in_flight: IntGauge::new(
                "intent_bus_http_requests_in_flight",
                "Requests that have not been answered yet.",
            )?,
            maintenance: IntCounterVec::new(maintenance, &["kind"])?,
            maintained_at: Gauge::new(
                "intent_bus_maintenance_last_success_timestamp_seconds",
                "When the last pass of maintenance succeeded. 0: none yet.",
            )?,
            connections: gauges(
                "intent_bus_database_connections",
                "Connections to Postgres of this replica, by state.",
                &["state"],
            )?,
            connections_max: IntGauge::new("intent_bus_database_connections_max", "Connections to Postgres allowed.")?,
            queued: gauges(
                "intent_bus_queued_items",
                "Intents and claims that wait for a flight, by kind.",
                &["kind"],
            )?,
            waiting_claims: IntGauge::new("intent_bus_waiting_claims", "Claims that wait for work.")?,
            clock_offset: Gauge::new("intent_bus_clock_offset_seconds", "The replica's clock less the database's.")?,
            untold: [
                IntCounter::new(
                    "intent_bus_log_lines_suppressed_total",
                    "Log lines that were not written since they repeated others.",
                )?,
                IntCounter::new(
                    "intent_bus_log_lines_lost_total",
                    "Log lines that were not written since nobody read those before.",
                )?,
                IntCounter::new(
                    "intent_bus_spans_dropped_total",
                    "Spans that were not sent since the collector did not take those before.",
                )?,
            ],
        })
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let untold = self.untold.iter().map(|counter| Box::new(counter.clone()) as Box<dyn Collector>);
        let others: Vec<Box<dyn Collector>> = vec![
            Box::new(self.requests.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.maintenance.clone()),
            Box::new(self.maintained_at.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.connections_max.clone()),
            Box::new(self.queued.clone()),
            Box::new(self.waiting_claims.clone()),
            Box::new(self.clock_offset.clone()),
        ];
        others.into_iter().chain(untold).collect()
    }

    /// Reads what is not counted but stands.
    fn look_at(&self, store: &Store) {
        let pool = store.pool_status();
        for (state, count) in [("open", pool.size), ("idle", pool.available), ("waited_for", pool.waiting)] {
            self.connections.with_label_values(&[state]).set(whole(count));
        }
        self.connections_max.set(whole(pool.max_size));
        let untold = [logging::suppressed(), logging::lost(), traces::dropped()];
        for (counter, count) in self.untold.iter().zip(untold) {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        for (kind, count) in store.queued() {
            self.queued.with_label_values(&[kind]).set(whole(count));
        }
        self.waiting_claims.set(whole(store.waiting_claims()));
    }
}

impl OfBus {
    fn new() -> prometheus::Result<Self> {
        let of_goal = ["namespace", "goal"];
        Ok(Self {
            intents: gauges(
                "intent_bus_intents_total",
                "Intents of the whole bus by state and namespace, as last counted.",
                &["status", "namespace"],
            )?,
            dead_letters: IntGauge::new(
                "intent_bus_dead_letters_total",
                "Dead intents of the whole bus, as last counted.",
            )?,
            keys: IntGauge::new("intent_bus_tester_keys_total", "Keys that tenants may use.")?,
            open: gauges(
                "intent_bus_open_intents",
                "Unfinished intents of the whole bus by goal and phase, as last counted.",
                &["namespace", "goal", "phase"],
            )?,
            oldest: GaugeVec::new(
                Opts::new(
                    "intent_bus_oldest_claimable_age_seconds",
                    "For how long the oldest of the intents that are claimable could have been claimed. 0: none is.",
                ),
                &of_goal,
            )?,
            counted_at: Gauge::new(
                "intent_bus_counted_timestamp_seconds",
                "When unfinished intents were last counted, by the database's clock.",
            )?,
            read_at: Gauge::new(
                "intent_bus_read_timestamp_seconds",
                "When this replica last read the metrics of the whole bus.",
            )?,
            replicas: IntGauge::new("intent_bus_replicas", "Replicas that gave a sign of life in the last 30 s.")?,
            workers: IntGauge::new("intent_bus_workers", "Workers that asked for work in the last 5 minutes.")?,
            pauses: IntGauge::new("intent_bus_pauses", "Goals and whole namespaces of which nothing is handed out.")?,
            paused: gauges(
                "intent_bus_paused",
                "1: nothing of it is handed out. No goal: the whole namespace.",
                &of_goal,
            )?,
            live_rows: gauges("intent_bus_database_live_rows", "Rows of a table, by estimate.", &["table"])?,
            dead_rows: gauges("intent_bus_database_dead_rows", "Dead rows of a table, by estimate.", &["table"])?,
            table_bytes: gauges("intent_bus_database_table_bytes", "Size of a table with its indexes.", &["table"])?,
            partitions: gauges("intent_bus_database_partitions", "Partitions of a table.", &["table"])?,
            partition_bytes: gauges(
                "intent_bus_database_partition_bytes",
                "Size of a partition with its indexes, of the largest.",
                &["table", "partition"],
            )?,
            oldest_snapshot: Gauge::new(
                "intent_bus_database_oldest_snapshot_seconds",
                "Age of the oldest transaction that keeps dead rows from being removed.",
            )?,
            nonces: IntGauge::new("intent_bus_nonces", "Nonces kept, by estimate.")?,
        })
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.intents.clone()),
            Box::new(self.dead_letters.clone()),
            Box::new(self.keys.clone()),
            Box::new(self.open.clone()),
            Box::new(self.oldest.clone()),
            Box::new(self.counted_at.clone()),
            Box::new(self.read_at.clone()),
            Box::new(self.replicas.clone()),
            Box::new(self.workers.clone()),
            Box::new(self.pauses.clone()),
            Box::new(self.paused.clone()),
            Box::new(self.live_rows.clone()),
            Box::new(self.dead_rows.clone()),
            Box::new(self.table_bytes.clone()),
            Box::new(self.partitions.clone()),
            Box::new(self.partition_bytes.clone()),
            Box::new(self.oldest_snapshot.clone()),
            Box::new(self.nonces.clone()),
        ]
    }

    /// Namespaces come from clients: those with the most intents have series of their own.
    fn set_totals(&self, mut totals: Vec<Total>) {
        self.dead_letters.set(totals.iter().filter(|total| total.state == State::Dead).map(|total| total.count).sum());
        totals.sort_by_key(|total| std::cmp::Reverse(total.count));
        let mut apart: Vec<&str> = Vec::with_capacity(NAMESPACES);
        for total in &totals {
            if apart.len() < NAMESPACES && !apart.contains(&total.namespace.as_str()) {
                apart.push(&total.namespace);
            }
        }
        self.intents.reset();
        for total in &totals {
            let namespace = if apart.contains(&total.namespace.as_str()) { &total.namespace } else { OTHER };
            self.intents.with_label_values(&[total.state.as_str(), namespace]).add(total.count);
        }
    }

    fn set_goals(&self, goals: &[GoalDepth]) {
        self.open.reset();
        self.oldest.reset();
        for depth in goals {
            let [namespace, goal] =
                if depth.goal.is_empty() { [OTHER, OTHER] } else { [depth.namespace.as_str(), depth.goal.as_str()] };
            let phases = [
                ("claimable", depth.claimable),
                ("waiting", depth.waiting),
                ("claimed", depth.claimed),
                ("past_lease", depth.past_lease),
            ];
            for (phase, count) in phases {
                self.open.with_label_values(&[namespace, goal, phase]).add(count);
            }
            self.oldest.with_label_values(&[namespace, goal]).set(depth.oldest_age.unwrap_or_default());
        }
    }

    fn set_figures(&self, figures: &Figures) {
        self.counted_at.set(figures.counted_at.unwrap_or_default());
        self.replicas.set(figures.replicas);
        self.workers.set(figures.workers);
        self.oldest_snapshot.set(figures.oldest_snapshot);
    }

    fn set_tables(&self, parts: &[TableSize]) {
        let mut tables: BTreeMap<&str, Vec<&TableSize>> = BTreeMap::new();
        for part in parts {
            tables.entry(&part.name).or_default().push(part);
        }
        for (name, parts) in tables {
            let sum = |of: fn(&TableSize) -> i64| parts.iter().map(|part| of(part)).sum();
            self.live_rows.with_label_values(&[name]).set(sum(|part| part.live));
            self.dead_rows.with_label_values(&[name]).set(sum(|part| part.dead));
            self.table_bytes.with_label_values(&[name]).set(sum(|part| part.bytes));
            if parts.iter().any(|part| part.partition.is_some()) {
                self.partitions.with_label_values(&[name]).set(whole(parts.len()));
            }
            if name == "nonces" {
                self.nonces.set(sum(|part| part.live));
            }
        }
        // Days pass, and their partitions with them.
        self.partition_bytes.reset();
        let partitions = parts.iter().filter_map(|part| Some((part, part.partition.as_deref()?)));
        for (part, partition) in partitions.take(PARTITIONS) {
            self.partition_bytes.with_label_values(&[&part.name, partition]).set(part.bytes);
        }
    }
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Unix seconds by this replica's clock, as Prometheus compares them with its own.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
