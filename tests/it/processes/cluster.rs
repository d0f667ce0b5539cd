//! Three replicas on one database behave like one bus.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use intent_bus::store::migrations;
use serde_json::json;

use super::{tell, until, without_faults};
use crate::support::{
    Answer, Client, TestDb,
    app::ROOT,
    client::{nonce, sign_as, unix_now},
    factory::intent,
    process::Replica,
};

const REPLICAS: usize = 3;

struct Cluster {
    // Dropped first: no replica outlives its database.
    replicas: Vec<Replica>,
    db: TestDb,
}

impl Cluster {
    /// Replicas on a migrated database.
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::on(TestDb::create().await, settings)
    }

    /// Replicas that are all started at the same moment.
    fn on(db: TestDb, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().copied().chain([("BUS_WORKERS", "2")]).collect();
        let replicas = thread::scope(|scope| {
            let started: Vec<_> = (0..REPLICAS).map(|_| scope.spawn(|| Replica::start(&db, &settings))).collect();
            started.into_iter().map(|replica| replica.join().expect("a replica does not start")).collect()
        });
        Self { replicas, db }
    }

    /// The replica whose turn it is.
    fn turn(&self, number: usize) -> &Replica {
        &self.replicas[number % self.replicas.len()]
    }

    /// A new tenant's key, made by one of the replicas.
    async fn key(&self, owner: &str) -> String {
        let made = self.turn(0).admin().generate_key(owner).await.expect(201);
        made["api_key"].as_str().expect("a key").to_owned()
    }

    /// The same without a limit on its requests. To be called before the key is used.
    async fn unlimited_key(&self, owner: &str) -> String {
        let key = self.key(owner).await;
        let raised = "UPDATE tenants SET rate_limit_per_minute = 1000000 WHERE owner = $1";
        assert_eq!(self.db.execute(raised, &[&owner]).await, 1);
        key
    }

    /// The same request so many times at once, over all replicas in turn.
    async fn at_once(&self, times: usize, key: &str, ask: impl AsyncFn(Client, usize) -> Answer) -> Vec<Answer> {
        join_all((0..times).map(|number| ask(self.turn(number).nobody().key(key), number))).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.replicas.iter().for_each(without_faults);
        }
    }
}

/// How often each status came.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status).or_default() += 1;
        counts
    })
}

/// Starts replicas on a database where a session of ours stands in their way, and lets them go once `waiting` says so.
async fn start_at_once(db: TestDb, in_the_way: &str, waiting: &str) -> Cluster {
    let (barrier, watch) = (db.session().await, db.session().await);
    barrier.batch_execute(in_the_way).await.expect("we are first");
    let starting = tokio::task::spawn_blocking(|| Cluster::on(db, &[]));
    until("they wait", Duration::from_secs(20), async || watch.query_one(waiting, &[]).await.expect("a row").get(0))
        .await;
    barrier.batch_execute("ROLLBACK").await.expect("out of the way");
    starting.await.expect("they start")
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_on_an_empty_database_migrate_it_once() {
    for _ in 0..3 {
        let db = TestDb::create_bare().await;
        // They wait for our table, whether it comes to be; or for the one of them that does.
        let in_the_way = "BEGIN; CREATE TABLE schema_migrations (number integer)";
        let waiting = "SELECT count(*) = 3 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'intent-bus'";
        let cluster = start_at_once(db, in_the_way, waiting).await;
        for replica in &cluster.replicas {
            until("ready", Duration::from_secs(20), async || replica.nobody().get("/readyz").await.status == 200).await;
        }
        let numbers = cluster.db.rows("SELECT number FROM schema_migrations ORDER BY number", &[]).await;
        let numbers: Vec<i32> = numbers.iter().map(|row| row.get(0)).collect();
        assert_eq!(numbers, migrations::ALL.iter().map(|migration| migration.number).collect::<Vec<_>>());
        // Each replica says what it has applied: one all of it, the others nothing.
        let logs = cluster.replicas.iter().flat_map(Replica::logs);
        let said: Vec<String> = logs.filter_map(|line| Some(line["applied"].as_str()?.to_owned())).collect();
        let all: Vec<&str> = migrations::ALL.iter().map(|migration| migration.name).collect();
        assert_eq!(said, [format!("{all:?}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_make_the_same_partitions_at_once_all_start() {
    for _ in 0..3 {
        let db = TestDb::create().await;
        let partitions = "SELECT inhrelid::regclass::text FROM pg_inherits
             WHERE inhparent IN ('payloads'::regclass, 'finished'::regclass)";
        for row in db.rows(partitions, &[]).await {
            db.batch(&format!("DROP TABLE {}", row.get::<_, &str>(0))).await;
        }
        // They wait at the first one, whose pattern is the parent. Two of them are enough.
        let waiting = "SELECT count(*) >= 2 FROM pg_locks WHERE NOT granted AND relation = 'payloads'::regclass";
        let cluster = start_at_once(db, "BEGIN; LOCK TABLE payloads", waiting).await;
        for replica in &cluster.replicas {
            until("ready", Duration::from_secs(20), async || replica.nobody().get("/readyz").await.status == 200).await;
            replica.root().published(intent("partitioned")).await;
        }
    }
}

/// So many rounds in each of which one nonce is sent nine times at once.
async fn race_a_nonce(rounds: usize, spread: i64) {
    const TIMES: usize = 9;
    let cluster = Cluster::start(&[]).await;
    let tenant = cluster.unlimited_key("racer").await;
    for round in 0..rounds {
        let key = if round % 2 == 0 { ROOT } else { &tenant };
        let (nonce, now) = (nonce(), unix_now());
        let body = intent(&format!("round {round}")).to_string();
        let send = async |client: Client, number: usize| {
            let timestamp = now - spread * i64::try_from(number).expect("a small number");
            let signed = sign_as(key, "POST", "/intent", body.as_bytes(), timestamp, &nonce);
            let client = signed.iter().fold(client, |client, (name, value)| client.with(name, value));
            client.publish(body.clone()).await
        };
        let answers = cluster.at_once(TIMES, key, send).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (403, TIMES - 1)]), "round {round}");
        for answer in answers.iter().filter(|answer| answer.status == 403) {
            assert!(answer.refused(403, "invalid_signature").starts_with("Replay detected"), "round {round}");
        }
        // And later it does not pass either, wherever it is sent.
        let later = send(cluster.turn(round).nobody().key(key), round % TIMES).await;
        later.refused(403, "invalid_signature");
    }
    assert_eq!(cluster.db.count("intents").await, i64::try_from(rounds).expect("a small number"));
    tell(&format!(
        "one nonce sent {TIMES} times at once, timestamps {spread} s apart: {rounds} of {rounds} rounds passed once"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signed_request_sent_nine_times_at_once_passes_once() {
    race_a_nonce(100, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_nonce_under_nine_timestamps_at_once_passes_once() {
    race_a_nonce(100, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_intents_are_claimed_once_each_by_two_dozen_workers() {
    const INTENTS: usize = 1000;
    const WORKERS: usize = 24;
    let cluster = Cluster::start(&[]).await;
    let publish = async |start: usize| {
        let mut ids = Vec::new();
        for number in (start..INTENTS).step_by(WORKERS) {
            ids.push(cluster.turn(number).root().published(intent("many")).await);
        }
        ids
    };
    let published: BTreeSet<String> = join_all((0..WORKERS).map(publish)).await.concat().into_iter().collect();
    assert_eq!(published.len(), INTENTS);

    let work = async |worker: usize| {
        let client = cluster.turn(worker).root();
        let mut done = Vec::new();
        loop {
            let answer = client.claim("many").await;
            if answer.status == 204 {
                return done;
            }
            let claim = answer.claim();
            assert_eq!(claim.body["claim_attempts"], 1);
            client.fulfill(&claim, json!(worker)).await.expect(200);
            done.push(claim.id);
        }
    };
    let claimed = join_all((0..WORKERS).map(work)).await;
    let least = claimed.iter().map(Vec::len).min().expect("workers");
    let claimed = claimed.concat();
    assert_eq!(claimed.len(), INTENTS, "some were claimed twice, or a worker went home too early");
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), published);
    let fulfilled = "SELECT count(*) FROM finished WHERE state = 'fulfilled' AND claim_attempts = 1";
    assert_eq!(cluster.db.value::<i64>(fulfilled, &[]).await, 1000);
    assert_eq!(cluster.db.count("intents").await, 0);
    tell(&format!(
        "{INTENTS} intents, {WORKERS} workers, {REPLICAS} replicas: each claimed once; the idlest worker did {least}"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_sixty_a_minute_is_exact_over_all_replicas() {
    let cluster = Cluster::start(&[]).await;
    for round in 0..3 {
        let key = cluster.key(&format!("tenant {round}")).await;
        let answers = cluster.at_once(90, &key, async |client, _| client.publish(intent("limited")).await).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 60), (429, 30)]));
        for answer in answers.iter().filter(|answer| answer.status == 429) {
            answer.refused(429, "rate_limited");
            let seconds: u32 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
            assert!((1..=61).contains(&seconds), "{seconds}");
        }
        assert_eq!(cluster.db.count("intents").await, 60 * (round + 1), "what was refused left nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_on_unfinished_intents_is_exact_over_all_replicas() {
    let cluster = Cluster::start(&[("BUS_MAX_OPEN_INTENTS", "50")]).await;
    let key = cluster.unlimited_key("publisher").await;
    let publish = async |client: Client, _| client.publish(intent("capped")).await;
    let answers = cluster.at_once(90, &key, publish).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 50), (429, 40)]));
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        answer.refused(429, "limit_exceeded");
        assert!(answer.header("retry-after").is_some());
    }
    // Ten are done, by somebody else, on all replicas; then there is room for ten more.
    let finish = async |client: Client, _| {
        let claim = client.claim("capped").await.claim();
        client.fulfill(&claim, json!(null)).await
    };
    assert_eq!(statuses(&cluster.at_once(10, &key, finish).await), BTreeMap::from([(200, 10)]));
    assert_eq!(statuses(&cluster.at_once(30, &key, publish).await), BTreeMap::from([(201, 10), (429, 20)]));
    assert_eq!(cluster.db.count("intents").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_sent_thirty_times_at_once_makes_one_intent() {
    let cluster = Cluster::start(&[]).await;
    let key = cluster.unlimited_key("publisher").await;
    for round in 0..10 {
        let send = async |client: Client, number: usize| {
            // The same JSON in two writings.
            let spaced = format!(r#"{{ "payload": {{"n": {round}}}, "goal": "once" }}"#);
            let dense = format!(r#"{{"goal":"once","payload":{{"n":{round}}}}}"#);
            let body = if number.is_multiple_of(2) { spaced } else { dense };
            client.with("idempotency-key", format!("key {round}")).publish(body).await
        };
        let answers = cluster.at_once(30, if round % 2 == 0 { ROOT } else { &key }, send).await;
        let ids: BTreeSet<String> = answers.iter().map(|answer| answer.expect(201)["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(cluster.db.count("intents").await, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_key_works_on_every_replica_at_once() {
    let cluster = Cluster::start(&[]).await;
    for round in 0..20 {
        let made = cluster.turn(round).admin().generate_key("newcomer").await.expect(201);
        let key = made["api_key"].as_str().expect("a key");
        let answers = cluster.at_once(REPLICAS, key, async |client, _| client.value("nothing").await).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(404, REPLICAS)]), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_on_every_replica_within_a_second() {
    const ROUNDS: usize = 5;
    let cluster = Cluster::start(&[]).await;
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let key = cluster.unlimited_key(&format!("leaver {round}")).await;
        let (revoked, watch) = tokio::sync::watch::channel(None::<Instant>);
        let all_know_it = tokio::sync::Barrier::new(2 * REPLICAS + 1);
        // Asks one replica until the key has been refused for a while; gives the last moment at which a request that passed
        // was sent.
        let poll = async |number: usize| {
            let client = cluster.turn(number).nobody().key(&key);
            client.value("nothing").await.refused(404, "not_found");
            all_know_it.wait().await;
            let mut last_passed = Instant::now();
            loop {
                let sent = Instant::now();
                match client.value("nothing").await.status {
                    404 => last_passed = sent,
                    status => assert_eq!(status, 401),
                }
                let since = watch.borrow().map(|at| at.elapsed());
                if since.is_some_and(|since| since > Duration::from_millis(1500)) {
                    return last_passed;
                }
            }
        };
        let revoke = async {
            all_know_it.wait().await;
            cluster.turn(round).admin().revoke_key(&key).await.expect(200);
            let at = Instant::now();
            let _ = revoked.send(Some(at));
            at
        };
        let (last_passed, at) = tokio::join!(join_all((0..2 * REPLICAS).map(poll)), revoke);
        for last in last_passed {
            slowest = slowest.max(last.saturating_duration_since(at));
        }
        assert!(slowest <= Duration::from_secs(1), "a revoked key passed {slowest:?} later");
    }
    tell(&format!(
        "a revoked key last passed {} ms later, over {ROUNDS} rounds and {REPLICAS} replicas",
        slowest.as_millis()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_takes_nothing_with_it() {
    let mut cluster = Cluster::start(&[("BUS_CLAIM_TIMEOUT_SECONDS", "1")]).await;
    let id = cluster.turn(0).root().published(json!({"goal": "survive", "payload": {}, "backoff_base": 1})).await;
    let lost = cluster.turn(0).root().claimed("survive").await;
    cluster.replicas[0].kill();
    let other = cluster.turn(1).root();
    let mut again = None;
    // The lease of a second, then a backoff of 2 s and up to 2 s of jitter.
    until("the claim of the dead replica's worker is free again", Duration::from_secs(15), async || {
        let answer = other.claim("survive").await;
        again = (answer.status == 200).then(|| answer.claim());
        again.is_some()
    })
    .await;
    let again = again.expect("a claim");
    assert_eq!((again.id.as_str(), again.body["claim_attempts"].as_i64()), (id.as_str(), Some(2)));
    cluster.turn(2).root().fulfill(&lost, json!("too late")).await.refused(404, "not_found");
    cluster.turn(2).root().fulfill(&again, json!("done")).await.expect(200);
    assert_eq!(other.result(&id).await.expect(200)["result"], "done");
}
