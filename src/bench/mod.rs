//! `intent-bus bench`: measures a bus from outside, by publishing, claiming and fulfilling intents.
//!
//! It is a client of the protocol and of nothing else: any server that speaks it can be measured, and compared. Here are
//! the arguments and what follows from them. `load` is the run under load (`publisher`, `worker`), on connections
//! (`connection`, `client`) that carry requests (`operations`); `latency` and `idle` are runs of another kind.
//! `stats` keeps the books, `report` shows them.
//!
//! All of it runs on one thread, beside the server as a rule: what it takes of the processors it takes from what it
//! measures, and so it says how much that was.

mod backlog;
mod client;
pub(crate) mod connection;
mod idle;
mod latency;
mod load;
pub(crate) mod operations;
mod progress;
mod publisher;
mod report;
mod stats;
mod worker;

use std::{process::ExitCode, rc::Rc, time::Duration};

use bytes::Bytes;
use clap::Args;
use tokio::{runtime, task::LocalSet};

use self::{
    client::Client,
    connection::Endpoint,
    operations::{Requests, Subject, Target, random_hex, target_of},
    report::Report,
    stats::{Stats, cpu_time},
};
use crate::error::{Error, Result};

/// How far publishing may be ahead of fulfilling unless told otherwise: a tenant's limit of unfinished intents.
const WINDOW: u64 = 2000;
/// What a long poll of `--latency` and `--idle-polls` asks for, in seconds.
const LONG_POLL: u32 = 20;

/// What can be chosen.
#[derive(Args)]
pub struct Arguments {
    /// A replica. Several, given one by one or with commas, get the connections in turn.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:5000")]
    url: Vec<String>,
    /// The API key.
    #[arg(long, env = "INTENT_API_KEY", hide_env_values = true)]
    key: String,
    /// Connections that publish.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    publishers: u32,
    /// Connections that claim and fulfil.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Measure so many cycles, however long that takes.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    intents: Option<u64>,
    /// Measure for so long.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Run for so long before measuring.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// Intents in one request. More than one goes to the batch endpoints.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
    /// Sign the requests. So it is unless told otherwise.
    #[arg(long, overrides_with = "no_sign")]
    sign: bool,
    /// Do not sign the requests.
    #[arg(long, overrides_with = "sign")]
    no_sign: bool,
    /// Publish so many intents per second, all publishers together, however the bus keeps up. The times of a publish
    /// then count from the moment at which it was to be sent.
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// How many intents may be published and not yet fulfilled. 2000 by default, and more with batches.
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    window: Option<u64>,
    /// First publish so many intents, which stay there: only what the run publishes gets claimed on top.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with_all = ["latency", "idle_polls"])]
    backlog: u64,
    /// First publish so many intents with another goal.
    #[arg(long, value_name = "N", default_value_t = 0)]
    other_backlog: u64,
    /// The goal of the intents. A new one for each run by default.
    #[arg(long)]
    goal: Option<String>,
    /// The namespace of the intents.
    #[arg(long)]
    namespace: Option<String>,
    /// Bytes of payload in each intent, 10 at least.
    #[arg(long, value_name = "N", default_value_t = 32)]
    payload_bytes: usize,
    /// Let claims wait so many seconds for an intent. Without it, workers that find nothing ask again after 2 to 20 ms.
    #[arg(long, value_name = "S", default_value_t = 0)]
    wait: u32,
    /// Measure instead, so many times, how long an intent takes to a worker that waits, with nothing else going on. It
    /// is published at the first URL, and claimed at the last.
    #[arg(long, value_name = "N", conflicts_with_all = ["intents", "idle_polls", "rate"])]
    latency: Option<u32>,
    /// Open instead so many connections that wait for an intent for `--seconds`, then publish one.
    #[arg(long, value_name = "N", conflicts_with_all = ["intents", "rate"])]
    idle_polls: Option<u32>,
    /// Tell the rate of every so many seconds, too.
    #[arg(long, value_name = "S", value_parser = seconds)]
    series: Option<Duration>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|error| error.to_string())?;
    if rate.is_finite() && rate >= 0.001 { Ok(rate) } else { Err("a rate is 0.001 or more".to_owned()) }
}

/// The run as it was asked for, with all that can be made ready before it.
struct Plan {
    endpoints: Vec<Rc<Endpoint>>,
    requests: Rc<Requests>,
    subject: Rc<Subject>,
    messages: Rc<Messages>,
    goal: String,
    signed: bool,
    publishers: usize,
    workers: usize,
    intents: Option<u64>,
    seconds: Duration,
    warmup: Duration,
    rate: Option<f64>,
    window: u64,
    backlog: u64,
    other_backlog: u64,
    series: Option<Duration>,
    json: bool,
}

impl Plan {
    fn new(arguments: Arguments) -> Result<Self> {
        let goal = match arguments.goal {
            Some(goal) => goal,
            None => format!("bench-{}", random_hex()?),
        };
        let subject = |goal| Subject::new(goal, arguments.namespace.clone(), arguments.payload_bytes);
        let special = arguments.latency.is_some() || arguments.idle_polls.is_some();
        let (batch, wait) = if special { (1, LONG_POLL) } else { (arguments.batch, arguments.wait) };
        let in_flight = u64::from(batch) * u64::from(arguments.publishers + arguments.workers);
        let window = arguments.window.unwrap_or(WINDOW + if batch > 1 { in_flight } else { 0 });
        let endpoint = |url: &String| Endpoint::parse(url).map(Rc::new);
        Ok(Self {
            endpoints: arguments.url.iter().map(endpoint).collect::<Result<_>>()?,
            requests: Rc::new(Requests::new(arguments.key, !arguments.no_sign)?),
            messages: Rc::new(Messages::new(subject(goal.clone()), batch, wait)?),
            subject: Rc::new(subject(goal.clone())),
            goal,
            signed: !arguments.no_sign,
            publishers: arguments.publishers as usize,
            workers: arguments.workers as usize,
            intents: arguments.intents,
            seconds: arguments.seconds,
            warmup: arguments.warmup,
            rate: arguments.rate,
            // A window smaller than one request would never open.
            window: window.max(batch.into()),
            backlog: arguments.backlog,
            other_backlog: arguments.other_backlog,
            series: arguments.series,
            json: arguments.json,
        })
    }

    /// A client on a connection of its own. The number decides to which replica.
    async fn client(&self, index: usize, stats: &Rc<Stats>) -> Result<Client> {
        let endpoint = &self.endpoints[index % self.endpoints.len()];
        Client::open(Rc::clone(endpoint), Rc::clone(&self.requests), Rc::clone(stats)).await
    }
}

/// The targets and bodies that are the same all along.
struct Messages {
    subject: Subject,
    /// Intents in one request.
    batch: u32,
    /// How long a claim waits.
    wait: Duration,
    publish: Target,
    /// Of a whole batch.
    intents: Bytes,
    claim: Rc<Target>,
    /// Fulfils a batch.
    fulfill: Target,
}

impl Messages {
    fn new(subject: Subject, batch: u32, wait: u32) -> Result<Self> {
        let single = batch == 1;
        Ok(Self {
            publish: target_of(if single { "/intent" } else { "/intents" }.to_owned())?,
            intents: if single { subject.intent() } else { subject.intents(batch) }.into(),
            claim: Rc::new(subject.claim((!single).then_some(batch), wait)?),
            fulfill: target_of("/fulfill".to_owned())?,
            wait: Duration::from_secs(wait.into()),
            batch,
            subject,
        })
    }

    /// Publishes so many, up to a batch.
    fn publish(&self, count: u32) -> (&Target, Bytes) {
        let body = if count == self.batch { self.intents.clone() } else { self.subject.intents(count).into() };
        (&self.publish, body)
    }

    /// Claims so many, up to a batch.
    fn claim(&self, limit: u32) -> Result<Rc<Target>> {
        if limit == self.batch {
            return Ok(Rc::clone(&self.claim));
        }
        let wait = u32::try_from(self.wait.as_secs()).unwrap_or(0);
        self.subject.claim(Some(limit), wait).map(Rc::new)
    }
}

/// Runs, and prints what came of it.
///
/// # Errors
/// When the bus cannot be reached, or refuses what no repetition will make it take.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (latency, idle_polls) = (arguments.latency, arguments.idle_polls);
    let plan = Plan::new(arguments)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Error::fault)?;
    let report = LocalSet::new().block_on(&runtime, measured(&plan, latency, idle_polls))?;
    if plan.json {
        println!("{}", serde_json::to_string(&report).map_err(Error::fault)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn measured(plan: &Plan, latency: Option<u32>, idle_polls: Option<u32>) -> Result<Report> {
    let stats = Rc::new(Stats::new()?);
    backlog::publish(plan, &stats, &Rc::new(plan.subject.other()), plan.other_backlog).await?;
    backlog::publish(plan, &stats, &plan.subject, plan.backlog).await?;
    if let Some(times) = latency {
        stats.measure(true);
        let (began, cpu) = (std::time::Instant::now(), cpu_time());
        let latency = latency::run(plan, &stats, times).await?;
        let report = Report::new(plan, &stats, began.elapsed(), cpu_time().saturating_sub(cpu));
        return Ok(report.with_latency(&latency));
    }
    if let Some(polls) = idle_polls {
        let idle = idle::run(plan, &stats, polls as usize).await?;
        return Ok(Report::new(plan, &stats, idle.took, idle.cpu).with_idle(&idle));
    }
    let measured = load::run(plan, &stats).await?;
    Ok(Report::new(plan, &stats, measured.took, measured.cpu).with_series(&measured.series))
}
