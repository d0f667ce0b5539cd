//! Postgres goes away, hangs, or does not say whether it has committed.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all, join3};
use private_postgres::{Data, Fetch, Guard, Options, PrivatePostgres};
use serde_json::json;

use super::{
    proxy::{Link, Loss, Proxy},
    tell, until, without_faults,
};
use crate::support::{
    Answer, Client, TestDb,
    app::{ADMIN, ROOT},
    client::{nonce, sign_as, unix_now},
    factory::intent,
    process::Replica,
};

/// For anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Postgres of one test's own, with data that outlives it.
async fn postgres(data: &Path) -> PrivatePostgres {
    let guard = Guard { program: env!("CARGO_BIN_EXE_intent-bus").into(), args: vec!["postgres-guard".into()] };
    let options = Options { fetch: Fetch::Allowed, ..Options::new(Data::Kept(data.to_owned()), guard) };
    let started = tokio::task::spawn_blocking(|| PrivatePostgres::start(options)).await.expect("no panic");
    started.unwrap_or_else(|error| panic!("no Postgres: {error}"))
}

async fn stop(postgres: PrivatePostgres) {
    tokio::task::spawn_blocking(|| postgres.stop()).await.expect("no panic").expect("it stops in order");
}

/// A replica whose way to the database leads through a proxy.
fn replica_behind(proxy: &Proxy, settings: &[(&str, &str)]) -> Replica {
    let own = [("DATABASE_URL", proxy.url.as_str()), ("BUS_SECRET", ROOT), ("BUS_ADMIN_SECRET", ADMIN)];
    let fixed = [
        ("BUS_LISTEN", "127.0.0.1:0"),
        ("BUS_METRICS_LISTEN", "off"),
        ("BUS_WORKERS", "2"),
        ("BUS_DRAIN_SECONDS", "0"),
    ];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_intent-bus"));
    command.arg("serve").env_clear().envs(own).envs(fixed).envs(settings.iter().copied());
    Replica::start_by(&mut command)
}

/// The answer of a bus whose database is away.
#[track_caller]
fn is_busy(answer: &Answer) {
    answer.refused(503, "database_busy");
    let seconds: u32 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_outlives_its_postgres_and_goes_on_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    let data = folder.path().join("data");
    let server = postgres(&data).await;
    let proxy = Proxy::start(&server.url("postgres")).await;
    let replica = replica_behind(&proxy, &[("BUS_CLEANUP_INTERVAL_SECONDS", "1")]);
    let (root, nobody) = (replica.root(), replica.nobody());
    let made = replica.admin().generate_key("tenant").await.expect(201);
    let tenant = nobody.key(made["api_key"].as_str().expect("a key"));
    root.published(intent("before")).await;
    let claim = root.claimed("before").await;
    tenant.value("nothing").await.refused(404, "not_found");

    // Clients that go on all the while.
    let over = AtomicBool::new(false);
    let load = async |_| {
        let mut acknowledged = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let answer = root.publish(intent("load")).await;
            match answer.status {
                201 => acknowledged.push(answer.json()["id"].as_str().expect("an id").to_owned()),
                _ => is_busy(&answer),
            }
        }
        acknowledged
    };
    let outage = async {
        stop(server).await;
        until("unready", PATIENCE, async || nobody.get("/readyz").await.status == 503).await;
        is_busy(&nobody.get("/readyz").await);
        is_busy(&root.publish(intent("meanwhile")).await);
        is_busy(&root.fulfill(&claim, json!("meanwhile")).await);
        // A key that cannot be looked up is not a wrong key, even if it was known a moment ago.
        is_busy(&tenant.value("nothing").await);
        nobody.get("/livez").await.expect(200);
        nobody.get("/health").await.expect(200);
        assert_eq!(nobody.get("/").await.status, 200);

        let server = postgres(&data).await;
        let back = Instant::now();
        proxy.lead_to(&server.url("postgres"));
        until("a publish", PATIENCE, async || root.publish(intent("after")).await.status == 201).await;
        let recovered = back.elapsed();
        nobody.get("/readyz").await.expect(200);
        root.fulfill(&claim, json!("done")).await.expect(200);
        tenant.value("nothing").await.refused(404, "not_found");
        over.store(true, Ordering::Relaxed);
        (server, recovered)
    };
    let (acknowledged, (server, recovered)) = tokio::join!(join_all((0..4).map(load)), outage);
    let acknowledged = acknowledged.concat();
    for id in &acknowledged {
        assert_eq!(root.status(id).await.expect(200)["status"], "open");
    }
    without_faults(&replica);
    tell(&format!(
        "Postgres away and back: the first publish {} ms after it took connections; {} acknowledged ones all there",
        recovered.as_millis(),
        acknowledged.len()
    ));
    drop(replica);
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_before_its_database_waits_for_it() {
    let db = TestDb::create_bare().await;
    let proxy = Proxy::start(&db.url).await;
    proxy.lead_to("host=/nowhere");
    let replica = replica_behind(&proxy, &[]);
    let nobody = replica.nobody();
    is_busy(&nobody.get("/readyz").await);
    is_busy(&replica.root().publish(intent("early")).await);
    nobody.get("/livez").await.expect(200);
    proxy.lead_to(&db.url);
    until("ready", PATIENCE, async || nobody.get("/readyz").await.status == 200).await;
    replica.root().published(intent("in time")).await;
    without_faults(&replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_answered_for_in_time() {
    let db = TestDb::create().await;
    let proxy = Proxy::start(&db.url).await;
    let replica = replica_behind(&proxy, &[]);
    let root = replica.root();
    root.published(intent("before")).await;
    proxy.set(Link::Hung);
    let began = Instant::now();
    // More than there are connections in the pool.
    let publishes = join_all((0..20).map(async |_| root.publish(intent("meanwhile")).await));
    // The first one waits, and the others join it. Whoever is not let in is told so, and does not wait for ever.
    let claims = join_all((0..4).map(async |_| root.claim_waiting("nothing", 1).await));
    let (answers, claims) = tokio::join!(publishes, claims);
    answers.iter().chain(&claims).for_each(is_busy);
    let slowest = began.elapsed();
    assert!(slowest < Duration::from_secs(25), "answered after {slowest:?}");
    is_busy(&replica.nobody().get("/readyz").await);
    replica.nobody().get("/livez").await.expect(200);
    proxy.set(Link::Up);
    until("a publish", PATIENCE, async || root.publish(intent("after")).await.status == 201).await;
    replica.nobody().get("/readyz").await.expect(200);
    without_faults(&replica);
    tell(&format!("a database that hangs: 503 after {} ms at most", slowest.as_millis()));
}

#[tokio::test]
async fn a_replica_without_its_schema_is_unready() {
    let db = TestDb::create().await;
    let replica = Replica::start(&db, &[]);
    let nobody = replica.nobody();
    nobody.get("/readyz").await.expect(200);
    // As if an older database had been put back.
    db.batch("CREATE TABLE put_aside AS SELECT * FROM schema_migrations WHERE number = 5").await;
    db.batch("DELETE FROM schema_migrations WHERE number = 5").await;
    is_busy(&nobody.get("/readyz").await);
    db.batch("INSERT INTO schema_migrations SELECT * FROM put_aside").await;
    nobody.get("/readyz").await.expect(200);
    db.batch("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    is_busy(&nobody.get("/readyz").await);
    nobody.get("/livez").await.expect(200);
}

/// A bus, its database and the network between them.
struct Bus {
    // Dropped first.
    replica: Replica,
    proxy: Proxy,
    tenant: Client,
    db: TestDb,
}

impl Bus {
    async fn start() -> Self {
        let db = TestDb::create().await;
        let proxy = Proxy::start(&db.url).await;
        let replica =
            replica_behind(&proxy, &[("BUS_CLEANUP_INTERVAL_SECONDS", "3600"), ("BUS_RATE_LIMIT_PER_MINUTE", "1000")]);
        let made = replica.admin().generate_key("tenant").await.expect(201);
        let tenant = replica.nobody().key(made["api_key"].as_str().expect("a key"));
        Self { replica, proxy, tenant, db }
    }

    /// Every kind of client with every kind of loss: requests with and without admission, signed and not.
    fn cases(&self) -> Vec<(String, Client, Loss)> {
        let root = self.replica.root();
        let clients = [
            ("root", root.clone()),
            ("root, signed", root.signing()),
            ("a tenant", self.tenant.clone()),
            ("a tenant, signed", self.tenant.signing()),
        ];
        let case = |(name, client): &(&str, Client)| {
            let (name, client) = (*name, client.clone());
            Loss::ALL.map(move |loss| (format!("{name}, {loss:?}"), client.clone(), loss))
        };
        clients.iter().flat_map(case).collect()
    }

    /// Does this while the next COMMIT is lost.
    async fn losing<T>(&self, loss: Loss, ask: impl Future<Output = T>) -> T {
        self.proxy.lose(&[loss]);
        let answer = ask.await;
        assert_eq!(self.proxy.still_to_lose(), 0, "no COMMIT was lost");
        answer
    }

    /// Does this while the next COMMIT is lost, and the other before the bus gets to know that it was.
    async fn losing_before<T>(&self, loss: Loss, ask: impl Future<Output = T>, meanwhile: impl AsyncFnOnce()) -> T {
        let (lost, go_on) = self.proxy.lose_and_wait(&[loss]);
        let meanwhile = async {
            lost.await.expect("a COMMIT was lost");
            meanwhile().await;
            drop(go_on);
        };
        join(ask, meanwhile).await.0
    }

    /// Unfinished intents, of them claimed, finished ones, payloads.
    async fn counts(&self) -> [i64; 4] {
        let sql = "SELECT (SELECT count(*) FROM intents), (SELECT count(*) FROM intents WHERE state = 'claimed'),
                          (SELECT count(*) FROM finished), (SELECT count(*) FROM payloads)";
        let rows = self.db.rows(sql, &[]).await;
        [0, 1, 2, 3].map(|column| rows[0].get(column))
    }

    /// The tenants' counters agree with their rows, and nobody has been counted twice.
    async fn check_quotas(&self) {
        let sql = "SELECT count(*) FROM quotas WHERE tenant_id <> 0
                   AND open_intents <> (SELECT count(*) FROM intents WHERE intents.tenant_id = quotas.tenant_id)";
        assert_eq!(self.db.value::<i64>(sql, &[]).await, 0, "a quota is off");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_whose_commit_is_lost_makes_one_intent() {
    let bus = Bus::start().await;
    let mut ids = BTreeSet::new();
    for (number, (case, client, loss)) in bus.cases().into_iter().enumerate() {
        // Half of them under an idempotency key, which is used a second time.
        let client = if number % 2 == 0 { client } else { client.with("idempotency-key", format!("key {number}")) };
        let answer = bus.losing(loss, client.publish(intent("lost"))).await;
        let id = answer.expect(201)["id"].as_str().expect("an id").to_owned();
        assert_eq!(client.status(&id).await.expect(200)["status"], "open", "{case}");
        if number % 2 == 1 {
            assert_eq!(client.publish(intent("lost")).await.expect(201)["id"], id, "{case}");
        }
        assert!(ids.insert(id), "{case}");
        let count = i64::try_from(ids.len()).expect("a small number");
        assert_eq!(bus.counts().await, [count, 0, 0, count], "{case}");
        bus.check_quotas().await;
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_commit_is_lost_claims_one_intent_and_none_is_orphaned() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases() {
        client.published(intent("lost")).await;
        client.published(intent("lost")).await;
        let claim = bus.losing(loss, client.claim("lost")).await.claim();
        assert_eq!(claim.body["claim_attempts"], 1, "{case}");
        assert_eq!(bus.counts().await[..2], [2, 1], "{case}");
        client.fulfill(&claim, json!(case)).await.expect(200);
        let other = client.claimed("lost").await;
        assert_eq!(other.body["claim_attempts"], 1, "{case}");
        client.fulfill(&other, json!(case)).await.expect(200);
        client.claim("lost").await.empty();
    }
    // A claim that finds nothing stores no more than its nonce.
    for (case, client, loss) in bus.cases() {
        let answer = bus.losing(loss, client.claim("nothing")).await;
        assert_eq!(answer.status, 204, "{case}");
    }
    bus.check_quotas().await;
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fulfil_whose_commit_is_lost_is_done_once() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases() {
        let id = client.published(intent("lost")).await;
        let claim = client.claimed("lost").await;
        bus.losing(loss, client.fulfill(&claim, json!(case))).await.expect(200);
        assert_eq!(client.result(&id).await.expect(200)["result"], case);
        assert_eq!(bus.counts().await[..2], [0, 0], "{case}");
        client.fulfill(&claim, json!("again")).await.refused(404, "not_found");
        bus.check_quotas().await;
    }
    assert_eq!(bus.counts().await[2], 16);
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_whose_commit_is_lost_counts_one_attempt() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases() {
        // Under 2.x a failed attempt is repeated, and the second of two is the last.
        let client = client.declaring("7.61");
        let id = client.published(json!({"goal": "lost", "payload": case, "max_attempts": 2})).await;
        let claim = client.claimed("lost").await;
        let answer = bus.losing(loss, client.fail(&claim, "once")).await;
        assert_eq!(answer.expect(200)["status"], "open", "{case}");
        assert_eq!(client.status(&id).await.expect(200)["claim_attempts"], 1, "{case}");
        client.fail(&claim, "again").await.refused(404, "not_found");

        bus.db.make_due(&id).await;
        let claim = client.claimed("lost").await;
        let answer = bus.losing(loss, client.fail(&claim, "twice")).await;
        assert_eq!(answer.expect(200)["status"], "dead", "{case}");
        assert_eq!(client.result(&id).await.expect(200)["error"], "twice", "{case}");
        assert_eq!(bus.counts().await[..2], [0, 0], "{case}");
        bus.check_quotas().await;
    }
    assert_eq!(bus.counts().await[2], 16);
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_that_was_lost_with_its_commit_does_not_answer_as_if_it_had_taken_place() {
    let bus = Bus::start().await;
    for (case, client, _) in bus.cases().into_iter().filter(|(.., loss)| *loss == Loss::Commit) {
        let client = client.declaring("7.61");
        // Before its last attempt, and at its last.
        for attempts in [2, 1] {
            let id = client.published(json!({"goal": "lost", "payload": case, "max_attempts": attempts})).await;
            let claim = client.claimed("lost").await;
            let mut again = None;
            let meanwhile = async || {
                if attempts == 2 {
                    bus.db.end_lease_and_backoff(&id).await;
                    again = Some(client.claimed("lost").await);
                } else {
                    bus.db.end_lease(&id).await;
                    bus.replica.admin().cleanup().await.expect(200);
                }
            };
            let answer = bus.losing_before(Loss::Commit, client.fail(&claim, "lost"), meanwhile).await;
            answer.refused(404, "not_found");
            let stands = client.status(&id).await.expect(200);
            assert_eq!(stands["status"], if attempts == 2 { "claimed" } else { "dead" }, "{case}: {stands}");
            if let Some(again) = again {
                client.fulfill(&again, json!(1)).await.expect(200);
            }
        }
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_without_a_token_whose_answer_was_lost_leaves_the_next_claim_alone() {
    let bus = Bus::start().await;
    let client = bus.tenant.declaring("1.1");
    let id = client.published(json!({"goal": "lost", "payload": {}, "max_attempts": 3, "backoff_base": 1})).await;
    client.claimed("lost").await;
    let mut again = None;
    let meanwhile = async || {
        bus.db.make_due(&id).await;
        again = Some(client.claimed("lost").await);
    };
    let target = format!("/fail/{id}");
    let fail = client.post(&target, json!({"error": "once"}));
    let answer = bus.losing_before(Loss::AnswerOnceCommitted, fail, meanwhile).await;
    assert_eq!(answer.expect(200)["status"], "open");
    let again = again.expect("claimed again");
    assert_eq!(again.body["claim_attempts"], 2);
    assert_eq!(client.status(&id).await.expect(200)["status"], "claimed");
    client.fulfill(&again, json!(1)).await.expect(200);
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_were_lost_together_and_then_refused_are_found_one_by_one() {
    let bus = Bus::start().await;
    let admin = bus.replica.admin();
    let mut session = bus.db.session().await;
    let locked = async |session: &mut tokio_postgres::Client| {
        let lock = session.transaction().await.expect("a transaction");
        lock.query("SELECT FROM quotas WHERE tenant_id <> 0 FOR UPDATE", &[]).await.expect("a lock");
        std::mem::forget(lock);
    };
    let blocked =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let are_blocked = async |count: i64| {
        until("blocked publishes", PATIENCE, async || bus.db.value::<i64>(blocked, &[]).await >= count).await;
    };
    locked(&mut session).await;
    // The first goes alone, and what gathers behind it goes together: stored, but nobody is told, and then refused for a lock.
    let (lost, go_on) = bus.proxy.lose_and_wait(&[Loss::None, Loss::AnswerOnceCommitted]);
    let first = bus.tenant.publish(intent("lost"));
    let rest = async {
        are_blocked(1).await;
        join_all((0..4).map(async |_| bus.tenant.publish(intent("lost")).await)).await
    };
    let meanwhile = async {
        let queued = "intent_bus_queued_items{kind=\"publish\"} 4";
        until("four that wait", PATIENCE, async || admin.get("/metrics").await.text().contains(queued)).await;
        session.batch_execute("COMMIT").await.expect("unlocked");
        lost.await.expect("a COMMIT was lost");
        locked(&mut session).await;
        drop(go_on);
        are_blocked(2).await;
        session.batch_execute("COMMIT").await.expect("unlocked");
    };
    let (first, rest, ()) = join3(first, rest, meanwhile).await;
    let ids: BTreeSet<String> = rest
        .iter()
        .chain([&first])
        .map(|answer| answer.expect(201)["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!((ids.len(), bus.counts().await), (5, [5, 0, 0, 5]));
    bus.check_quotas().await;
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_that_grows_too_old_between_two_tries_refuses_nothing_that_was_done() {
    let bus = Bus::start().await;
    let body = intent("lost").to_string();
    let at = unix_now() - 298;
    let signed = sign_as(bus.tenant.api_key(), "POST", "/intent", body.as_bytes(), at, &nonce());
    let client = signed.iter().fold(bus.tenant.clone(), |client, (name, value)| client.with(name, value));
    let is_stale = "SELECT extract(epoch FROM clock_timestamp())::float8 > $1::float8 + 301";
    #[expect(clippy::cast_precision_loss, reason = "a timestamp")]
    let meanwhile = async || {
        until("a stale timestamp", PATIENCE, async || bus.db.value::<bool>(is_stale, &[&(at as f64)]).await).await;
    };
    let answer = bus.losing_before(Loss::AnswerOnceCommitted, client.publish(body.clone()), meanwhile).await;
    answer.expect(201);
    assert_eq!(bus.db.count("intents").await, 1);
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_taken_place_is_not_refused_for_the_room_that_it_took_itself() {
    let bus = Bus::start().await;
    for (number, signs) in [false, true].into_iter().enumerate() {
        let made = bus.replica.admin().generate_key(&format!("one request {number}")).await.expect(201);
        let target = format!("/admin/tenants/{}/limits", made["tenant"]);
        bus.replica.admin().post(&target, json!({"rate_limit_per_minute": 1})).await.expect(200);
        let client = bus.replica.nobody().key(made["api_key"].as_str().expect("a key"));
        let client = if signs { client.signing() } else { client };
        bus.losing(Loss::AnswerOnceCommitted, client.publish(intent("lost"))).await.expect(201);
        client.publish(intent("lost")).await.refused(429, "rate_limited");
        assert_eq!(usize::try_from(bus.db.count("intents").await), Ok(number + 1));
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_answer_was_lost_does_not_undo_a_newer_one() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases().into_iter().filter(|(.., loss)| *loss != Loss::CommitIsLate) {
        // Where there was a value before, and where there was none.
        for key in ["lost".to_owned(), nonce()] {
            let newer = async || drop(client.set(&key, json!("newer")).await.expect(200));
            bus.losing_before(loss, client.set(&key, json!("older")), newer).await.expect(200);
            assert_eq!(client.value(&key).await.expect(200)["value"], "newer", "{case}");
        }
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_commit_is_lost_is_done() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases() {
        bus.losing(loss, client.set("lost", json!(case))).await.expect(200);
        assert_eq!(client.value("lost").await.expect(200)["value"], case);
        let keyed = client.with("idempotency-key", &case);
        bus.losing(loss, keyed.set("keyed", json!(case))).await.expect(200);
        client.set("keyed", json!("newer")).await.expect(200);
        keyed.set("keyed", json!(case)).await.expect(200);
        assert_eq!(client.value("keyed").await.expect(200)["value"], "newer", "{case}: set twice under one key");
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_commit_is_lost_is_made_and_revoked_once() {
    let bus = Bus::start().await;
    let admin = bus.replica.admin();
    for (number, loss) in (1..).zip(Loss::ALL) {
        let made = bus.losing(loss, admin.generate_key("lost")).await.expect(201);
        let key = made["api_key"].as_str().expect("a key");
        assert_eq!(bus.db.count("api_keys").await, 1 + number, "{loss:?}");
        let client = bus.replica.nobody().key(key);
        client.value("nothing").await.refused(404, "not_found");
        bus.losing(loss, admin.revoke_key(key)).await.expect(200);
        client.value("nothing").await.refused(401, "unauthorized");
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_of_an_operator_whose_commit_is_lost_is_done_once_and_has_one_line_in_the_audit_log() {
    let bus = Bus::start().await;
    // All with one id, which clients choose: no act is taken for the second try of another.
    let admin = bus.replica.admin().with("x-request-id", "always-the-same");
    let key = bus.db.value::<i64>("SELECT id FROM api_keys", &[]).await;
    let mut told = bus.db.count("audit_log").await;
    for (number, loss) in (1..).zip(Loss::ALL) {
        let id = bus.tenant.published(json!({"goal": "lost", "payload": {}})).await;
        let what = json!({"namespace": "default", "goal": "paused"});
        let acts = [
            (format!("/admin/intents/{id}/cancel"), json!({}), 200),
            (format!("/admin/intents/{id}/retry"), json!({}), 200),
            (format!("/admin/intents/{id}/cancel"), json!({}), 200),
            ("/admin/dead/redrive".to_owned(), json!({"dry_run": false}), 200),
            ("/admin/pause".to_owned(), what.clone(), 200),
            ("/admin/resume".to_owned(), what, 200),
            (format!("/admin/keys/{key}/rotate"), json!({}), 201),
        ];
        for (target, body, status) in acts {
            let done = bus.losing(loss, admin.post(&target, body)).await.expect(status);
            told += 1;
            assert_eq!(bus.db.count("audit_log").await, told, "{target}, {loss:?}");
            assert!(done.get("count").is_none_or(|count| count == 1), "{target}, {loss:?}: {done}");
            assert!(done.get("changed").is_none_or(|changed| changed == true), "{target}, {loss:?}: {done}");
            bus.check_quotas().await;
        }
        assert_eq!(bus.tenant.status(&id).await.expect(200)["status"], "open", "{loss:?}");
        assert_eq!(bus.db.count("api_keys").await, 1 + number, "{loss:?}");
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_whose_commit_is_lost_is_done() {
    let bus = Bus::start().await;
    for (case, client, loss) in bus.cases() {
        let id = client.published(intent("lost")).await;
        let claim = client.claimed("lost").await;
        let before = client.status(&id).await.expect(200)["claim_expires_at"].as_f64().expect("a time");
        bus.losing(loss, client.extend(&claim, 600)).await.expect(200);
        let after = client.status(&id).await.expect(200)["claim_expires_at"].as_f64().expect("a time");
        assert!((after - before - 600.0).abs() < 0.001, "{case}: {before} {after}");
        client.fulfill(&claim, json!(1)).await.expect(200);
    }
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_whose_commit_is_lost_twice_is_busy_and_can_be_sent_again() {
    let bus = Bus::start().await;
    for (number, first) in Loss::ALL.into_iter().enumerate() {
        for second in [Loss::AnswerOnceCommitted, Loss::Commit] {
            let client = bus.tenant.signing().with("idempotency-key", format!("{first:?} {second:?}"));
            bus.proxy.lose(&[first, second]);
            let answer = client.publish(json!({"goal": "lost", "payload": {"n": number}})).await;
            // The first try has stored it, and the second has said so before its own COMMIT was lost; or nobody knows.
            is_busy(&answer);
            assert_eq!(bus.proxy.still_to_lose(), 0);
            let again = client.publish(json!({"goal": "lost", "payload": {"n": number}})).await.expect(201);
            assert_eq!(client.publish(json!({"goal": "lost", "payload": {"n": number}})).await.expect(201), again);
            assert_eq!(bus.db.count("intents").await, 1, "{first:?} {second:?}");
            let claim = client.claimed("lost").await;
            client.fulfill(&claim, json!(1)).await.expect(200);
        }
    }
    bus.check_quotas().await;
    without_faults(&bus.replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_signed_request_make_one_intent_although_the_first_commit_is_lost() {
    let bus = Bus::start().await;
    for (round, loss) in Loss::ALL.into_iter().cycle().take(20).enumerate() {
        let body = intent(&format!("copied {round}")).to_string();
        let signed = sign_as(bus.tenant.api_key(), "POST", "/intent", body.as_bytes(), unix_now(), &nonce());
        let client = signed.iter().fold(bus.tenant.clone(), |client, (name, value)| client.with(name, value));
        let copies = join_all((0..3).map(async |_| client.publish(body.clone()).await));
        let answers = bus.losing(loss, copies).await;
        let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        for answer in refused {
            answer.refused(403, "invalid_signature");
        }
        assert_eq!(passed.len(), 1, "{loss:?}");
        assert_eq!(usize::try_from(bus.db.count("intents").await), Ok(round + 1), "{loss:?}");
    }
    bus.check_quotas().await;
    without_faults(&bus.replica);
}
