//! Too many at once, or for too long.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use hyper::Method;
use rand::RngExt;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    bus::PATIENCE,
    check::Rules,
    cluster::{Cluster, Setup},
    experiment::{Context, Report, Scenario, Verdict, drain, judge, under_load},
    load::{GOAL, Habits, Load, random},
    log::{Outcome, What, now, operations, rate},
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "herd",
        what: "2,000 claims wait on 3 replicas; then one intent is published",
        passes: "safe, one gets it, none of the others is answered before, and Postgres sees at most 6 claims for it (2 per replica)",
        in_ci: false,
        run: |context| Box::pin(herd(context)),
    },
    Scenario {
        name: "overload",
        what: "publishers send 3 times what the bus gets through, into tenants that may have 300 unfinished intents",
        passes: "safe, at least three times the peak is offered, goodput is at least 80 % of it, some is refused, every 429 and 503 has \
                 Retry-After, all that is due is drained afterwards",
        in_ci: false,
        run: |context| Box::pin(overload(context)),
    },
    Scenario {
        name: "starvation",
        what: "one tenant floods the bus with more than its workers get through; another publishes 2 a second",
        passes: "safe, at least 100 of the flood are left when it ends, the other's intents are claimed within 3 s (delays of up to 1.5 s \
                 included), and nothing that is due is left in the end",
        in_ci: false,
        run: |context| Box::pin(starvation(context)),
    },
    Scenario {
        name: "soak",
        what: "a steady load for 60 s (long: 1 h)",
        passes: "safe, memory and the table of unfinished intents in the last quarter no larger than in the second (+10 %, or 1 MiB)",
        in_ci: false,
        run: |context| Box::pin(soak(context)),
    },
];

/// How often claims were run in Postgres.
const CLAIMS: &str = "SELECT coalesce(sum(calls), 0)::int8 FROM pg_stat_statements WHERE query LIKE '%handed_out%'";

async fn herd(context: Context) -> Result<Report> {
    let began = Instant::now();
    let postgres = vec![("max_connections", "120"), ("shared_preload_libraries", "pg_stat_statements")];
    let mut cluster = Cluster::start(Setup { lease: 600, postgres, ..Setup::default() }, context.seed).await?;
    let session = cluster.database.session().await?;
    session.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    let count: usize = 2000;
    let mut waiting = JoinSet::new();
    let targets = cluster.bus.targets.all();
    for number in 0..count {
        let (bus, to) = (cluster.bus.clone(), targets[number % targets.len()]);
        let tenant = cluster.tenants[number % cluster.tenants.len()].clone();
        let mut random = random(context.seed, number as u64);
        waiting.spawn(async move {
            let path = format!("/claim?goal={GOAL}&wait=60");
            let request = tenant.request(&mut random, Method::POST, path, String::new());
            let what = What::Claim { tenant: tenant.name.clone(), request: None };
            bus.claim(to, what, &request, Duration::from_secs(70)).await.0
        });
    }
    // All of them have looked once when there are as many claims as there will be for a while.
    let (mut before, mut same) = (0_i64, 0);
    while same < 3 {
        sleep(Duration::from_secs(1)).await;
        let claims = session.query_one(CLAIMS, &[]).await?.try_get(0)?;
        same = if claims == before { same + 1 } else { 0 };
        before = claims;
    }
    let mut random = context.random();
    let (ada, key) = (cluster.tenants[1].clone(), format!("{:032x}", random.random::<u128>()));
    let payload = json!({"key": key, "owner": ada.name, "public": true});
    let body = json!({"goal": GOAL, "visibility": "public", "payload": payload}).to_string();
    let request = ada.request(&mut random, Method::POST, "/intent".to_owned(), body);
    let published = Instant::now();
    cluster.bus.ask(targets[0], What::Publish { tenant: ada.name, key, public: true }, &request).await;
    let (mut got, mut early, mut took) = (0, 0, Duration::ZERO);
    while got == 0 && early < count {
        match waiting.join_next().await {
            Some(Ok(Outcome::Claimed(leases))) if !leases.is_empty() => {
                (got, took) = (leases.len(), published.elapsed());
            }
            _ => early += 1,
        }
    }
    sleep(Duration::from_secs(2)).await;
    let claims = session.query_one(CLAIMS, &[]).await?.try_get::<_, i64>(0)? - before;
    let holds = got == 1 && early == 0 && claims <= 2 * i64::try_from(targets.len())?;
    let figure = format!("{count} waiting, {got} got it after {} ms, {claims} claims in Postgres", took.as_millis());
    waiting.abort_all();
    let rules = Rules::of_lease(cluster.setup.lease);
    let events = cluster.bus.log.events();
    let findings = Some(judge(&mut cluster, &events, &rules, context).await?);
    Ok(Report { context, took: began.elapsed(), findings, recovery: None, verdict: Verdict::of(figure, holds) })
}

async fn overload(context: Context) -> Result<Report> {
    let began = Instant::now();
    let setup = Setup { settings: vec![("BUS_MAX_OPEN_INTENTS", "300".to_owned())], noted: false, ..Setup::default() };
    let mut cluster = Cluster::start(setup, context.seed).await?;
    let mut tenants = Vec::new();
    for name in ["ida", "ole", "pia"] {
        tenants.push(cluster.capped_tenant(name, 300).await?);
    }
    let lasts = context.chaos(8, 120);
    let still = Habits { sluggish: 0.0, extends: 0.0, twice: 0.0, peeks: 0.0, work: 0.0..0.001, ..Habits::default() };
    // As many as keep it busy: everybody sends the next when the last was answered.
    let busy = Habits { rate: f64::INFINITY, publishers: 4, workers: 6, ..still.clone() };
    let mut load = Load::start(&cluster.bus, &tenants, &busy, context.seed);
    sleep(Duration::from_secs(3)).await;
    let from = now();
    sleep(lasts).await;
    let peak = rate(&cluster.bus.log.events(), from, now());
    let more = Habits { rate: 3.0 * peak, publishers: 64, workers: 0, ..still };
    let mut flood = Load::start(&cluster.bus, &tenants, &more, context.seed + 1);
    sleep(Duration::from_secs(2)).await;
    let from = now();
    sleep(lasts).await;
    let events = cluster.bus.log.events();
    let goodput = rate(&events, from, now());
    let asked =
        operations(&events).iter().filter(|one| matches!(one.what, What::Publish { .. }) && one.asked >= from).count();
    flood.stop_publishing(PATIENCE).await?;
    load.stop_publishing(PATIENCE).await?;
    let overdue = drain(&cluster).await?;
    load.stop_working(PATIENCE).await?;
    let rules = Rules::of_lease(cluster.setup.lease);
    let events = cluster.bus.log.events();
    let findings = judge(&mut cluster, &events, &Rules { refusals: &[429], ..rules }, context).await?;
    let (with, without) = cluster.bus.refusals();
    let offered = rate_of(asked, lasts);
    let is_overload = peak > 10.0 && offered >= 3.0 * peak && with > 0;
    let holds = is_overload && goodput >= 0.8 * peak && without == 0 && overdue == 0;
    let figure = format!(
        "peak {peak:.0}/s, then {offered:.0}/s offered: {goodput:.0}/s ({:.0} %); {with} refused with Retry-After, {without} \
         without",
        100.0 * goodput / peak
    );
    let findings = Some(findings);
    Ok(Report { context, took: began.elapsed(), findings, recovery: None, verdict: Verdict::of(figure, holds) })
}

fn rate_of(count: usize, span: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / span.as_secs_f64()
}

async fn starvation(context: Context) -> Result<Report> {
    let began = Instant::now();
    let mut cluster = Cluster::start(Setup::default(), context.seed).await?;
    let calm = Habits { sluggish: 0.0, extends: 0.0, peeks: 0.0, public: 0.0, ..Habits::default() };
    let flood = Habits { rate: f64::INFINITY, publishers: 6, workers: 2, work: 0.05..0.1, ..calm.clone() };
    let small = Habits { rate: 2.0, publishers: 1, workers: 1, ..calm.clone() };
    let (many, one) = (&cluster.tenants[1..2], &cluster.tenants[2..3]);
    let mut load = Load::start(&cluster.bus, many, &flood, context.seed);
    sleep(Duration::from_secs(3)).await;
    let mut other = Load::start(&cluster.bus, one, &small, context.seed + 1);
    sleep(context.chaos(12, 300)).await;
    load.stop_publishing(PATIENCE).await?;
    other.stop_publishing(PATIENCE).await?;
    let backlog = cluster.end().await?.intents.iter().filter(|intent| intent.is_unfinished()).count();
    // The flood is worked off by more hands, or this would take as long as it has lasted.
    let hands = Habits { publishers: 0, workers: 16, work: 0.0..0.001, ..calm };
    let mut help = Load::start(&cluster.bus, many, &hands, context.seed + 2);
    let overdue = drain(&cluster).await?;
    for load in [&mut load, &mut other, &mut help] {
        load.stop_working(PATIENCE).await?;
    }
    let events = cluster.bus.log.events();
    let mut waits = waits(&events, &one[0].name);
    waits.sort_by(f64::total_cmp);
    let slowest = waits.last().copied().unwrap_or(f64::INFINITY);
    let rules = Rules::of_lease(cluster.setup.lease);
    let findings = judge(&mut cluster, &events, &rules, context).await?;
    let holds = backlog >= 100 && slowest <= 3.0 && overdue == 0;
    let figure = format!(
        "{} of the small tenant, the slowest claimed after {slowest:.2} s; {backlog} were left when the flood ended",
        waits.len()
    );
    let findings = Some(findings);
    Ok(Report { context, took: began.elapsed(), findings, recovery: None, verdict: Verdict::of(figure, holds) })
}

/// How long intents of a tenant waited from their publication to their first claim, in seconds. Delays of up to 1.5 s are in it.
fn waits(events: &[crate::log::Event], of: &str) -> Vec<f64> {
    let operations = operations(events);
    let mut open: std::collections::HashMap<&str, f64> = std::collections::HashMap::new();
    let mut waits = Vec::new();
    for one in &operations {
        if let (What::Publish { tenant, .. }, Outcome::Published(id)) = (&one.what, &one.outcome)
            && tenant == of
        {
            open.entry(id).or_insert(one.answered);
        }
    }
    for one in &operations {
        if let Outcome::Claimed(leases) = &one.outcome {
            waits.extend(leases.iter().filter_map(|lease| open.remove(lease.id.as_str())).map(|at| one.answered - at));
        }
    }
    waits
}

async fn soak(context: Context) -> Result<Report> {
    let lasts = context.chaos(60, 3600);
    let habits = Habits { rate: 100.0, ..Habits::default() };
    let mut setup = Setup { noted: false, ..Setup::default() };
    if !context.long {
        // Or a table would have grown for all of the minute before it is vacuumed for the first time.
        setup.postgres.push(("autovacuum_naptime", "3"));
    }
    under_load(context, setup, habits, lasts, async |cluster, _, lasts| {
        let (session, until) = (cluster.database.session().await?, Instant::now() + lasts);
        let (mut memory, mut tables) = (Vec::new(), Vec::new());
        while Instant::now() < until {
            sleep(lasts / 60).await;
            let mut all = 0.0;
            for place in 0..cluster.places.len() {
                all += resident(cluster.replica(place)?.pid()?)?;
            }
            memory.push(all);
            let size = "SELECT pg_total_relation_size('intents')::float8 / 1048576";
            tables.push(session.query_one(size, &[]).await?.try_get::<_, f64>(0)?);
        }
        let quarter = memory.len() / 4;
        let highest = |all: &[f64], from: usize| all.iter().skip(from).take(quarter).copied().fold(0.0, f64::max);
        let grown = |all: &[f64]| highest(all, 3 * quarter) / highest(all, quarter).max(0.001) - 1.0;
        let (of_memory, of_table) = (grown(&memory), grown(&tables));
        let is_small = highest(&tables, 3 * quarter) - highest(&tables, quarter) < 1.0;
        let figure = format!(
            "memory of 3 replicas {:.0} MiB ({:+.1} %), table of unfinished intents {:.1} MiB ({:+.1} %)",
            highest(&memory, 3 * quarter),
            100.0 * of_memory,
            highest(&tables, 3 * quarter),
            100.0 * of_table
        );
        Ok(Verdict::of(figure, of_memory <= 0.1 && (of_table <= 0.1 || is_small)))
    })
    .await
}

/// Memory of a process, in MiB.
fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.ok_or_else(|| anyhow!("process {pid} has no memory: it has ended"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
