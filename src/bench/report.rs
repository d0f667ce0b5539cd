//! What a run says in the end: one JSON object, or lines for a person.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    Plan,
    idle::Idle,
    latency::Latency,
    load::rate,
    stats::{Book, Operation, Stats},
};

/// The report. Its fields are the keys of the JSON.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) cycles: u64,
    pub(super) seconds: f64,
    cycles_per_second: f64,
    batch: u32,
    signed: bool,
    publishers: usize,
    workers: usize,
    urls: usize,
    goal: String,
    rate: Option<f64>,
    backlog: u64,
    other_backlog: u64,
    wait: u64,
    operations: BTreeMap<&'static str, Line>,
    empty_claims: u64,
    retries: u64,
    generator_cpu_seconds: f64,
    generator_cpu_us_per_cycle: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_seconds: Option<f64>,
    series: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Delays>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_polls: Option<IdlePolls>,
}

/// One operation. `count` is of requests, `intents` of what was in them.
#[derive(Serialize)]
struct Line {
    count: u64,
    intents: u64,
    errors: u64,
    by_reason: BTreeMap<String, u64>,
    #[serde(flatten)]
    times: Times,
}

#[allow(clippy::struct_field_names, reason = "the keys of the JSON say their unit")]
#[derive(Serialize)]
struct Times {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p99_9_ms: f64,
    max_ms: f64,
}

/// From the acknowledgement of a publish to the answer of the claim; and from its sending.
#[derive(Serialize)]
struct Delays {
    count: u64,
    #[serde(flatten)]
    from_acknowledged: Times,
    from_sent: Times,
}

#[derive(Serialize)]
struct IdlePolls {
    polls: usize,
    opened_in_seconds: f64,
    from_acknowledged_ms: f64,
    from_sent_ms: f64,
}

impl Report {
    /// Of a run that took so long and cost so much.
    pub(super) fn new(plan: &Plan, stats: &Stats, took: Duration, cpu: Duration) -> Self {
        let lines = Operation::ALL.map(|operation| (operation.name(), stats.with(operation, Line::new)));
        let cycles = stats.cycles();
        let cpu_each = 1e6 / rate(cycles, cpu);
        Self {
            cycles,
            seconds: rounded(took.as_secs_f64()),
            cycles_per_second: rounded(rate(cycles, took)),
            batch: plan.messages.batch,
            signed: plan.signed,
            publishers: plan.publishers,
            workers: plan.workers,
            urls: plan.endpoints.len(),
            goal: plan.goal.clone(),
            rate: plan.rate,
            backlog: plan.backlog,
            other_backlog: plan.other_backlog,
            wait: plan.messages.wait.as_secs(),
            operations: lines.into_iter().collect(),
            empty_claims: stats.empty_claims(),
            retries: stats.retries(),
            generator_cpu_seconds: rounded(cpu.as_secs_f64()),
            generator_cpu_us_per_cycle: cpu_each.is_finite().then(|| rounded(cpu_each)),
            series_seconds: plan.series.map(|every| every.as_secs_f64()),
            series: Vec::new(),
            latency: None,
            idle_polls: None,
        }
    }

    pub(super) fn with_series(self, series: &[f64]) -> Self {
        Self { series: series.iter().copied().map(rounded).collect(), ..self }
    }

    pub(super) fn with_latency(self, latency: &Latency) -> Self {
        let delays = Delays {
            count: latency.from_sent.len(),
            from_acknowledged: Times::new(&latency.from_acknowledged),
            from_sent: Times::new(&latency.from_sent),
        };
        Self { latency: Some(delays), ..self }
    }

    pub(super) fn with_idle(self, idle: &Idle) -> Self {
        let idle = IdlePolls {
            polls: idle.polls,
            opened_in_seconds: rounded(idle.opened_in.as_secs_f64()),
            from_acknowledged_ms: rounded(idle.from_acknowledged.as_secs_f64() * 1e3),
            from_sent_ms: rounded(idle.from_sent.as_secs_f64() * 1e3),
        };
        Self { idle_polls: Some(idle), ..self }
    }
}

impl Line {
    fn new(book: &Book) -> Self {
        let Book { times, intents, errors, by_reason } = book;
        let (intents, errors, by_reason) = (*intents, *errors, by_reason.clone());
        Self { count: times.len(), intents, errors, by_reason, times: Times::new(times) }
    }
}

impl Times {
    #[allow(clippy::cast_precision_loss, reason = "ten minutes are far below 2⁵³ µs")]
    fn new(times: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1e3;
        let at = |quantile| ms(times.value_at_quantile(quantile));
        Self { p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p99_9_ms: at(0.999), max_ms: ms(times.max()) }
    }
}

/// To three digits after the point.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cycles, seconds, cycles_per_second, publishers, workers, batch, .. } = self;
        let signed = if self.signed { "signed" } else { "unsigned" };
        if self.latency.is_none() && self.idle_polls.is_none() {
            writeln!(f, "{cycles_per_second:.1} cycles per second: {cycles} in {seconds:.2} s")?;
            writeln!(f, "{publishers} publishers, {workers} workers, batches of {batch}, {signed}\n")?;
        }
        writeln!(f, "{:<10}{:>10}{:>8}   p50 ms   p90 ms   p99 ms p99.9 ms   max ms", "", "requests", "errors")?;
        for operation in Operation::ALL {
            let Some(Line { count, errors, times, .. }) = self.operations.get(operation.name()) else { continue };
            writeln!(f, "{:<10}{count:>10}{errors:>8}{times}", operation.name())?;
        }
        for (name, line) in &self.operations {
            for (reason, count) in &line.by_reason {
                writeln!(f, "{name} was answered {reason} {count} times")?;
            }
        }
        writeln!(f, "\n{} empty claims, {} requests sent again when told to", self.empty_claims, self.retries)?;
        write!(f, "The generator took {:.2} s of processor time", self.generator_cpu_seconds)?;
        if let Some(each) = self.generator_cpu_us_per_cycle {
            write!(f, ", {each:.1} µs per cycle")?;
        }
        writeln!(f, ".")?;
        if let Some(Delays { count, from_acknowledged, from_sent }) = &self.latency {
            writeln!(f, "\nTo a waiting worker{count:>9} times{from_acknowledged}   from the acknowledgement")?;
            writeln!(f, "{:>34}{from_sent}   from the sending", "")?;
        }
        if let Some(IdlePolls { polls, from_acknowledged_ms, from_sent_ms, .. }) = &self.idle_polls {
            writeln!(
                f,
                "\nOne of {polls} waiting polls got the intent {from_acknowledged_ms:.2} ms after its publish was \
                 acknowledged, {from_sent_ms:.2} ms after it was sent."
            )?;
        }
        Ok(())
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms } = self;
        write!(f, "{p50_ms:>9.2}{p90_ms:>9.2}{p99_ms:>9.2}{p99_9_ms:>9.2}{max_ms:>9.2}")
    }
}
