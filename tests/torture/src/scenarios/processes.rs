//! Replicas and workers that die, stand still, are replaced, or have a clock of their own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, anyhow};
use hyper::Method;
use rand::RngExt;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    bus::PATIENCE,
    cluster::{Cluster, FAKETIME, Setup, previous_binary, session_name},
    crew::Crew,
    experiment::{Context, Report, Scenario, Verdict, under_load},
    http::Request,
    load::{CAPABILITY, GOAL, Habits},
    log::{Outcome, What, now, operations, rate},
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "replica-killed",
        what: "every 2 s one of 3 replicas is killed (SIGKILL) and started again",
        passes: "safe",
        in_ci: true,
        run: |context| Box::pin(replica_killed(context)),
    },
    Scenario {
        name: "worker-killed",
        what: "every second one of 2 processes with 8 workers each is killed (SIGKILL) and replaced",
        passes: "safe",
        in_ci: false,
        run: |context| Box::pin(worker_killed(context)),
    },
    Scenario {
        name: "worker-stopped",
        what: "a process of 8 workers stands still (SIGSTOP) for 10 s, past all its leases, and goes on",
        passes: "safe, and at least one late finish",
        in_ci: false,
        run: |context| Box::pin(worker_stopped(context)),
    },
    Scenario {
        name: "replica-stopped",
        what: "one of 3 replicas stands still (SIGSTOP) for 12 s (long: 30 s), a transaction of it open, and goes on",
        passes: "safe, and a transaction was open",
        in_ci: false,
        run: |context| Box::pin(replica_stopped(context)),
    },
    Scenario {
        name: "clocks-off",
        what: "the clocks of two replicas are 10 min fast and 10 min slow",
        passes: "safe, no fresh signature is refused, and GET /health of each tells the time that it was given",
        in_ci: false,
        run: |context| Box::pin(clocks_off(context)),
    },
    Scenario {
        name: "poison-pill",
        what: "an intent of the highest priority kills each worker that takes it",
        passes: "safe, it is dead after its 3 attempts, of which 3 processes have died, and others are fulfilled all the while",
        in_ci: false,
        run: |context| Box::pin(poison_pill(context)),
    },
    Scenario {
        name: "rolling-upgrade",
        what: "each replica is replaced under load: the new one takes over, then the old one gets SIGTERM",
        passes: "safe, and no operation without an answer",
        in_ci: false,
        run: |context| Box::pin(rolling_upgrade(context)),
    },
    Scenario {
        name: "migrating-upgrade",
        what: "replicas of an earlier release (BUS_PREVIOUS_BINARY) are replaced under load by ones that change the schema first",
        passes: "safe, and no operation without an answer",
        in_ci: false,
        run: |context| Box::pin(migrating_upgrade(context)),
    },
];

async fn replica_killed(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 300);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, random, lasts| {
        let (until, mut kills) = (Instant::now() + lasts, 0);
        while Instant::now() < until {
            let number = random.random_range(0..cluster.places.len());
            cluster.fell(number, Signal::KILL).await?;
            kills += 1;
            sleep(Duration::from_millis(500)).await;
            cluster.raise(number).await?;
            sleep(Duration::from_millis(1500)).await;
        }
        Ok(Verdict::told(format!("{kills} replicas killed")))
    })
    .await
}

/// Work that takes long enough to be interrupted.
fn slow() -> Habits {
    // No more of it than these workers can do, or what waits for them would look stuck.
    Habits { workers: 2, work: 0.05..0.4, rate: 20.0, ..Habits::default() }
}

async fn worker_killed(context: Context) -> Result<Report> {
    let lasts = context.chaos(10, 300);
    under_load(context, Setup::default(), slow(), lasts, async |cluster, random, lasts| {
        let mut crews = Vec::new();
        for number in 0..2 {
            crews.push(Crew::start(cluster, &slow(), context.seed, number).await?);
        }
        let (until, mut kills) = (Instant::now() + lasts, 0);
        while Instant::now() < until {
            sleep(Duration::from_secs(1)).await;
            let unlucky = random.random_range(0..crews.len());
            crews[unlucky].kill().await?;
            kills += 1;
            crews[unlucky] = Crew::start(cluster, &slow(), context.seed, 2 + kills).await?;
        }
        for crew in &mut crews {
            crew.kill().await?;
        }
        Ok(Verdict::told(format!("{kills} processes of workers killed")))
    })
    .await
}

async fn worker_stopped(context: Context) -> Result<Report> {
    let rounds = context.pick(1, 20);
    let mut late = 0;
    // Nobody is late but who was stopped.
    let prompt = Habits { sluggish: 0.0, ..slow() };
    let kind = prompt.clone();
    let mut report = under_load(context, Setup::default(), prompt, context.chaos(10, 10), async |cluster, _, lasts| {
        for round in 0..rounds {
            let mut crew = Crew::start(cluster, &kind, context.seed, round).await?;
            sleep(Duration::from_secs(2)).await;
            crew.signal(Signal::STOP)?;
            sleep(lasts).await;
            crew.signal(Signal::CONT)?;
            sleep(Duration::from_secs(2)).await;
            crew.kill().await?;
        }
        let lease = f64::from(cluster.setup.lease);
        // Asked before it stood still, or at once when it went on: answered a lease and more after its claim.
        let operations = operations(&cluster.bus.log.events());
        let claimed: std::collections::HashMap<&str, f64> = operations
            .iter()
            .filter_map(|one| match &one.outcome {
                Outcome::Claimed(leases) => Some(leases.iter().map(|lease| (lease.token.as_str(), one.asked))),
                _ => None,
            })
            .flatten()
            .collect();
        late = operations
            .iter()
            .filter(|one| match &one.what {
                What::Fulfil { token, .. } => {
                    claimed.get(token.as_str()).is_some_and(|at| one.answered.is_finite() && one.answered > at + lease)
                }
                _ => false,
            })
            .count();
        Ok(Verdict::default())
    })
    .await?;
    report.verdict = Verdict::of(format!("{rounds} stopped, {late} late finishes"), late > 0);
    Ok(report)
}

async fn replica_stopped(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 30);
    // Failures take a transaction of several steps: between two of them it can be met.
    let habits = Habits { fails: 0.1, ..Habits::default() };
    under_load(context, Setup::default(), habits, lasts, async |cluster, random, lasts| {
        let number = random.random_range(0..cluster.places.len());
        let (session, name) = (cluster.database.session().await?, session_name(number));
        let (mut open, mut tries): (i64, _) = (0, 0);
        while open == 0 && tries < STOPS {
            if tries > 0 {
                cluster.replica(number)?.signal(Signal::CONT)?;
                sleep(Duration::from_secs_f64(random.random_range(0.02..0.05))).await;
            }
            cluster.replica(number)?.signal(Signal::STOP)?;
            tries += 1;
            // What Postgres was told before comes to its end first.
            sleep(Duration::from_millis(20)).await;
            open = session.query_one(OPEN, &[&name]).await?.try_get(0)?;
        }
        sleep(lasts).await;
        cluster.replica(number)?.signal(Signal::CONT)?;
        let figure = format!("stopped for {} s with {open} transactions open, at the {tries}. try", lasts.as_secs());
        Ok(Verdict::of(figure, open > 0))
    })
    .await
}

/// How often a replica is stopped until a transaction is open.
const STOPS: usize = 300;
/// Transactions of a replica that wait for it.
const OPEN: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in transaction%'";

async fn clocks_off(context: Context) -> Result<Report> {
    if !Path::new(FAKETIME).exists() {
        return Ok(Report::skipped(context, "Debian's package faketime is not installed"));
    }
    let clocks: [f64; 3] = [600.0, -600.0, 0.0];
    let setup = Setup { clocks: clocks.to_vec(), ..Setup::default() };
    let (mut refused, mut off) = (0, Vec::new());
    let lasts = context.chaos(8, 300);
    let mut report = under_load(context, setup, Habits::default(), lasts, async |cluster, _, lasts| {
        sleep(lasts).await;
        let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(403, _));
        let signed = |what: &What| matches!(what, What::Publish { .. } | What::Claim { .. });
        let operations = operations(&cluster.bus.log.events());
        refused = operations.iter().filter(|one| signed(&one.what) && is_refused(&one.outcome)).count();
        for number in 0..cluster.places.len() {
            off.push(clock(cluster, number).await? - now());
        }
        Ok(Verdict::default())
    })
    .await?;
    let is_off = off.iter().zip(clocks).all(|(off, asked)| (off - asked).abs() < 5.0);
    let told: Vec<String> = off.iter().map(|off| format!("{off:+.0} s")).collect();
    let figure = format!("clocks off by {}; {refused} fresh signatures refused", told.join(", "));
    report.verdict = Verdict::of(figure, refused == 0 && is_off);
    Ok(report)
}

/// What time it is for the replica of a place, in unix seconds.
async fn clock(cluster: &Cluster, number: usize) -> Result<f64> {
    let request = Request { method: Method::GET, path: "/health".to_owned(), headers: Vec::new(), body: String::new() };
    let sent = cluster.bus.http.send(cluster.replica(number)?.address, &request, PATIENCE).await;
    let said: Value = serde_json::from_slice(&sent.map_err(|why| anyhow!(why))?.body)?;
    said["ts"].as_f64().ok_or_else(|| anyhow!("GET /health tells no time"))
}

async fn poison_pill(context: Context) -> Result<Report> {
    let setup = Setup { lease: 2, ..Setup::default() };
    let calm = Habits { workers: 1, extends: 0.0, sluggish: 0.0, ..Habits::default() };
    // Workers within this process cannot do what the pill asks for.
    let kind = Habits { mortal: true, capable: true, ..calm.clone() };
    under_load(context, setup, calm, context.chaos(40, 60), async |cluster, random, lasts| {
        let mut crews = Vec::new();
        for number in 0..2 {
            crews.push(Crew::start(cluster, &kind, context.seed, number).await?);
        }
        let ada = cluster.tenants[1].clone();
        let key = format!("{:032x}", random.random::<u128>());
        let payload = json!({"key": key, "owner": ada.name, "public": true, "poison": true});
        let body = json!({"goal": GOAL, "payload": payload, "visibility": "public", "priority": 1000, "max_attempts": 3,
                          "backoff_base": 1, "required_capability": CAPABILITY});
        let request = ada.request(random, Method::POST, "/intent".to_owned(), body.to_string());
        let to = cluster.bus.targets.any(random);
        let what = What::Publish { tenant: ada.name, key, public: true };
        let Outcome::Published(id) = cluster.bus.ask(to, what, &request).await else {
            return Ok(Verdict::of("the pill was not published", false));
        };
        let taken = now();
        let session = cluster.database.session().await?;
        let dead = format!("SELECT claim_attempts::int8 FROM finished WHERE id = '{id}' AND state = 'dead'");
        let (until, mut deaths, mut attempts) = (Instant::now() + lasts, 0, None);
        while attempts.is_none() && Instant::now() < until {
            sleep(Duration::from_millis(200)).await;
            for crew in &mut crews {
                if crew.has_ended() {
                    deaths += 1;
                    *crew = Crew::start(cluster, &kind, context.seed, 2 + deaths).await?;
                }
            }
            attempts = session.query_opt(&dead, &[]).await?.map(|row| row.get::<_, i64>(0));
        }
        let others = rate(&cluster.bus.log.events(), taken, now());
        let attempts = attempts.unwrap_or_default();
        let figure = format!(
            "dead after {attempts} attempts, {deaths} processes of workers died of it, others fulfilled at {others:.0}/s"
        );
        Ok(Verdict::of(figure, attempts == 3 && deaths == 3 && others > 0.0))
    })
    .await
}

async fn rolling_upgrade(context: Context) -> Result<Report> {
    let rounds = context.pick(2, 10);
    let (mut report, failed) = replaced(context, None, rounds).await?;
    report.verdict = Verdict::of(format!("{} replicas replaced, {failed} operations failed", rounds * 3), failed == 0);
    Ok(report)
}

async fn migrating_upgrade(context: Context) -> Result<Report> {
    let Some(previous) = previous_binary()? else {
        return Ok(Report::skipped(context, "BUS_PREVIOUS_BINARY names no program of an earlier release"));
    };
    let (mut report, failed) = replaced(context, Some(previous), 1).await?;
    let holds = failed == 0 && report.verdict.holds;
    report.verdict = Verdict::of(format!("{}, {failed} operations failed", report.verdict.figure), holds);
    Ok(report)
}

/// Replaces all replicas, so many times. Comes back with the operations that were answered with trouble, or cut off; and with whether
/// the schema has changed on the way.
async fn replaced(context: Context, previous: Option<PathBuf>, rounds: usize) -> Result<(Report, usize)> {
    let settings = vec![("BUS_DRAIN_SECONDS", "2".to_owned())];
    // An earlier release need not know that a claim may be asked for again.
    let deaf = if previous.is_some() { 0.0 } else { Habits::default().deaf };
    let setup = Setup { settings, program: previous, ..Setup::default() };
    let mut failed = 0;
    let report =
        under_load(context, setup, Habits { deaf, ..Habits::default() }, context.chaos(0, 0), async |cluster, _, _| {
            let (session, newest) =
                (cluster.database.session().await?, "SELECT max(number)::int8 FROM schema_migrations");
            let before: i64 = session.query_one(newest, &[]).await?.try_get(0)?;
            cluster.setup.program = None;
            for _ in 0..rounds {
                for number in 0..cluster.places.len() {
                    cluster.replace(number).await?;
                }
            }
            let after: i64 = session.query_one(newest, &[]).await?.try_get(0)?;
            let operations = operations(&cluster.bus.log.events());
            // What is under way at this moment has no answer yet.
            let in_trouble = |outcome: &Outcome, at: f64| matches!(outcome, Outcome::Unknown(_)) && at.is_finite();
            failed = operations.iter().filter(|one| in_trouble(&one.outcome, one.answered)).count();
            Ok(Verdict::of(format!("from migration {before} to {after}"), after > before))
        });
    Ok((report.await?, failed))
}
