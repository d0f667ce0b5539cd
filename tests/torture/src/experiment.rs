//! How an experiment runs: load, a while in peace, the chaos, a while in peace again, then everything is drained and held against
//! the log.

use std::{
    fmt, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::{
    check::{Findings, Kind, Rules, Violation, check},
    cluster::{Cluster, Setup},
    load::{Habits, Load, random},
    log::{Event, now, rate},
};

/// How long clients get to be warm.
const WARM: Duration = Duration::from_secs(2);
/// How long everything may take to come to its end once nothing is broken any more: three leases, and the backoffs of intents that
/// have lost several.
const DRAINED_IN: Duration = Duration::from_secs(60);
/// What is due when that is over gets so much longer.
const OVERDUE_FOR: Duration = Duration::from_secs(10);

/// What an experiment is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// Its name.
    pub name: &'static str,
    /// What all its decisions come from.
    pub seed: u64,
    /// How long the chaos lasts, if not as long as it usually does.
    pub seconds: Option<u64>,
    /// How long the peace before and after is, if not as long as it usually is.
    pub peace: Option<u64>,
    /// The long form.
    pub long: bool,
}

impl Context {
    /// How long the chaos lasts.
    #[must_use]
    pub fn chaos(&self, short: u64, long: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.long { long } else { short }))
    }

    /// One of two.
    #[must_use]
    pub const fn pick<T: Copy>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }

    /// How long the peace before and after is.
    fn peace(&self) -> Duration {
        Duration::from_secs(self.peace.unwrap_or(if self.long { 60 } else { 5 }))
    }

    /// Its random numbers, apart from those of its clients.
    #[must_use]
    pub fn random(&self) -> StdRng {
        random(self.seed, u64::MAX)
    }
}

/// A named experiment.
pub struct Scenario {
    /// As it is asked for.
    pub name: &'static str,
    /// What is done to the bus.
    pub what: &'static str,
    /// When it passes, besides being safe.
    pub passes: &'static str,
    /// Whether the short run of CI has it.
    pub in_ci: bool,
    /// Does it.
    pub run: fn(Context) -> BoxFuture<'static, Result<Report>>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What was measured, and whether it is as it should be.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// In words.
    pub figure: String,
    /// Whether the scenario's own condition holds.
    pub holds: bool,
}

impl Verdict {
    /// A figure with a condition.
    pub fn of(figure: impl Into<String>, holds: bool) -> Self {
        Self { figure: figure.into(), holds }
    }

    /// A figure of which nothing is asked.
    pub fn told(figure: impl Into<String>) -> Self {
        Self::of(figure, true)
    }
}

/// What came out.
#[derive(Debug)]
pub struct Report {
    /// Of what.
    pub context: Context,
    /// How long all of it took.
    pub took: Duration,
    /// What was found. None: it could not be run here.
    pub findings: Option<Findings>,
    /// Fulfilments a second before the chaos, and after it.
    pub recovery: Option<(f64, f64)>,
    /// What the scenario measures.
    pub verdict: Verdict,
}

impl Report {
    /// Of an experiment for which something is missing here.
    #[must_use]
    pub fn skipped(context: Context, why: &str) -> Self {
        let verdict = Verdict::told(format!("skipped: {why}"));
        Self { context, took: Duration::ZERO, findings: None, recovery: None, verdict }
    }

    /// Whether it is safe, its own condition holds, and work was done: under load, after the chaos as well.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict.holds
            && self.recovery.is_none_or(|(_, after)| after > 0.0)
            && self.findings.as_ref().is_none_or(|found| found.is_safe() && found.figures.published > 0)
    }

    /// A row of a table in Markdown: name, seed, what was seen, recovery, passed.
    #[must_use]
    pub fn row(&self) -> String {
        let findings = self.findings.as_ref().map(|findings| format!("; {findings}")).unwrap_or_default();
        let recovery = match self.recovery {
            Some((before, after)) if before > 0.0 => {
                format!("{:.0} % ({before:.0} → {after:.0}/s)", 100.0 * after / before)
            }
            _ => String::new(),
        };
        let passed = match &self.findings {
            None => "skipped",
            Some(_) if self.passed() => "passed",
            Some(_) => "**FAILED**",
        };
        let Context { name, seed, .. } = self.context;
        let took = self.took.as_secs();
        format!("| {name} | {seed} | {took} s | {}{findings} | {recovery} | {passed} |", self.verdict.figure)
    }
}

/// Runs one under load. `chaos` gets the cluster, random numbers and how long it is to last.
pub async fn under_load(
    context: Context,
    setup: Setup,
    habits: Habits,
    chaos_lasts: Duration,
    chaos: impl AsyncFnOnce(&mut Cluster, &mut StdRng, Duration) -> Result<Verdict>,
) -> Result<Report> {
    let began = Instant::now();
    let mut cluster = Cluster::start(setup, context.seed).await?;
    run_on(&mut cluster, began, context, habits, chaos_lasts, chaos).await
}

/// The same on a cluster that is there.
pub async fn run_on(
    cluster: &mut Cluster,
    began: Instant,
    context: Context,
    habits: Habits,
    chaos_lasts: Duration,
    chaos: impl AsyncFnOnce(&mut Cluster, &mut StdRng, Duration) -> Result<Verdict>,
) -> Result<Report> {
    let habits = Habits { lease: cluster.setup.lease.into(), ..habits };
    let mut load = Load::start(&cluster.bus, &cluster.tenants, &habits, context.seed);
    sleep(WARM).await;
    let (before, peace) = (now(), context.peace());
    sleep(peace).await;
    let broken = now();
    ensure!(rate(&cluster.bus.log.events(), before, broken) > 0.0, "there is no load");
    let mut verdict = chaos(cluster, &mut context.random(), chaos_lasts).await?;
    sleep(WARM).await;
    let after = now();
    sleep(peace).await;
    let over = now();
    load.stop_publishing(Duration::from_secs(15)).await?;
    let overdue = drain(cluster).await?;
    load.stop_working(Duration::from_secs(20)).await?;
    let events = cluster.bus.log.events();
    let recovery = Some((rate(&events, before, broken), rate(&events, after, over)));
    let rules = Rules { lost: cluster.lost, ..Rules::of_lease(cluster.setup.lease) };
    let findings = judge(cluster, &events, &rules, context).await?;
    if overdue > 0 {
        verdict = Verdict::of(format!("{}; {overdue} were due and have not ended", verdict.figure), false);
    }
    Ok(Report { context, took: began.elapsed(), findings: Some(findings), recovery, verdict })
}

/// Holds the end against the log, and the servers' logs against what they should say.
pub async fn judge(cluster: &mut Cluster, events: &[Event], rules: &Rules, context: Context) -> Result<Findings> {
    let end = cluster.end().await?;
    let mut findings = check(events, &end, rules);
    let fault = |what| Violation { kind: Kind::Fault, what };
    findings.violations.extend(cluster.faults()?.into_iter().map(fault));
    if !findings.is_safe() {
        keep(events, &findings, context)?;
    }
    Ok(findings)
}

/// Waits until every intent has come to its end, or will be due only later. Comes back with how many are due all the same.
pub async fn drain(cluster: &Cluster) -> Result<i64> {
    let session = cluster.database.session().await?;
    let (deadline, left) =
        (Instant::now() + DRAINED_IN, format!("SELECT count(*), count(*) FILTER (WHERE {IS_DUE}) FROM intents"));
    loop {
        let row = session.query_one(&left, &[]).await?;
        let (all, due): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let now = Instant::now();
        if all == 0 || now >= deadline && due == 0 || now >= deadline + OVERDUE_FOR {
            return Ok(due);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// As [`crate::state::Intent::due_at`]: what is never visible again is due when its lease has ended.
const IS_DUE: &str = "coalesce(CASE WHEN visible_at = 'infinity' THEN lease_until ELSE visible_at END, '-infinity') <= clock_timestamp()";

/// Keeps the log and what was found in it, for whoever wants to know more.
fn keep(events: &[Event], findings: &Findings, context: Context) -> Result<()> {
    let folder = std::env::current_exe()?.parent().map_or_else(PathBuf::new, |folder| folder.join("torture-logs"));
    fs::create_dir_all(&folder)?;
    let name = format!("{}-{}", context.name, context.seed);
    let lines: Vec<String> = events.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    fs::write(folder.join(format!("{name}.jsonl")), lines.join("\n"))?;
    let found: Vec<String> =
        findings.violations.iter().map(|violation| format!("{:?}: {}", violation.kind, violation.what)).collect();
    fs::write(folder.join(format!("{name}.txt")), found.join("\n"))?;
    Ok(())
}
