//! The same request many times at once, on all replicas.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use hyper::Method;
use intent_bus_protocol::headers;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

use crate::{
    check::Rules,
    cluster::{Cluster, Setup},
    experiment::{Context, Report, Scenario, Verdict, judge},
    http::Request,
    load::GOAL,
    log::{Outcome, What},
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "idempotency-race",
        what: "64 clients publish under the same 100 keys (long: 1,000) at once, on 3 replicas",
        passes: "safe, every client that is answered gets the same id, one intent for each key",
        in_ci: false,
        run: |context| Box::pin(race(context, Race::Key)),
    },
    Scenario {
        name: "replay-race",
        what: "one signed request is sent 100 times at once, on 3 replicas, for 50 rounds (long: 1,000)",
        passes: "safe, exactly one is let in each time",
        in_ci: true,
        run: |context| Box::pin(race(context, Race::Nonce)),
    },
];

#[derive(Clone, Copy, PartialEq)]
enum Race {
    Key,
    Nonce,
}

async fn race(context: Context, race: Race) -> Result<Report> {
    let began = Instant::now();
    // Nobody works on them: a long lease, so that none counts as stuck.
    let mut cluster = Cluster::start(Setup { lease: 600, ..Setup::default() }, context.seed).await?;
    let mut random = context.random();
    let (rounds, at_once) = match race {
        Race::Key => (context.pick(100, 1000), 64),
        Race::Nonce => (context.pick(50, 1000), 100),
    };
    let (mut once, mut unknown, mut others) = (0, 0, 0);
    for round in 0..rounds {
        let outcomes = one_round(&cluster, &mut random, race, at_once, round).await?;
        let mut ids = BTreeSet::new();
        let (mut let_in, mut unanswered) = (0, 0);
        for outcome in outcomes {
            match outcome {
                Outcome::Published(id) => {
                    let_in += 1;
                    ids.insert(id);
                }
                Outcome::Unknown(_) => unanswered += 1,
                Outcome::Refused(403, _) if race == Race::Nonce => {}
                _ => others += 1,
            }
        }
        let all = if race == Race::Key { at_once } else { 1 };
        once += usize::from(ids.len() == 1 && let_in <= all && let_in + unanswered >= all);
        unknown += unanswered;
    }
    let refusals: &[u16] = if race == Race::Nonce { &[403] } else { &[] };
    let rules = Rules { refusals, ..Rules::of_lease(cluster.setup.lease) };
    let events = cluster.bus.log.events();
    let findings = judge(&mut cluster, &events, &rules, context).await?;
    let stored = cluster.end().await?.intents.len();
    let holds = once == rounds && others == 0 && stored == rounds;
    let figure =
        format!("{at_once} at once: {once} of {rounds} rounds passed as one, {stored} intents, {unknown} not answered");
    Ok(Report {
        context,
        took: began.elapsed(),
        findings: Some(findings),
        recovery: None,
        verdict: Verdict::of(figure, holds),
    })
}

async fn one_round(
    cluster: &Cluster,
    random: &mut StdRng,
    race: Race,
    at_once: usize,
    round: usize,
) -> Result<Vec<Outcome>> {
    // Root, a tenant, and two that sign; a nonce race is one of those who sign.
    let signing: Vec<_> = cluster.tenants.iter().filter(|tenant| tenant.signs).collect();
    ensure!(!signing.is_empty(), "nobody signs");
    let tenant = if race == Race::Nonce {
        signing[round % signing.len()]
    } else {
        &cluster.tenants[round % cluster.tenants.len()]
    };
    let key = format!("{:032x}", random.random::<u128>());
    let payload = json!({"key": key, "owner": tenant.name, "public": false});
    let body = json!({"goal": GOAL, "payload": payload}).to_string();
    let make = |random: &mut StdRng| tenant.request(random, Method::POST, "/intent".to_owned(), body.clone());
    let first = make(random);
    let requests: Vec<Request> = (0..at_once)
        .map(|_| match race {
            Race::Nonce => first.clone(),
            Race::Key => {
                let mut request = make(random);
                request.headers.push((headers::IDEMPOTENCY_KEY, key.clone()));
                request
            }
        })
        .collect();
    let targets = cluster.bus.targets.all();
    let what = What::Publish { tenant: tenant.name.clone(), key: key.clone(), public: false };
    let all = requests
        .iter()
        .enumerate()
        .map(|(number, request)| cluster.bus.ask(targets[number % targets.len()], what.clone(), request));
    Ok(join_all(all).await)
}
