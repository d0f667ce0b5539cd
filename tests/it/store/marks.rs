//! Low-water marks: whatever they pass is found again. They begin after 128 claims from a lane; these tests make a thousand.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Claim, Client, TestApp,
    factory::{intent, intent_with},
};

/// Within so long a look finds what a mark has passed; and some time for a machine that is busy.
const LOOK: Duration = Duration::from_secs(5 + 3);
/// What was committed by a transaction that was open for longer than this is found by the look from the very beginning.
const SETTLED: Duration = Duration::from_secs(6);
/// Within so long.
const LOOK_FROM_THE_BEGINNING: Duration = Duration::from_secs(65 + 3);

fn many(goal: &str, count: usize) -> Vec<Value> {
    vec![intent(goal); count]
}

/// A lane from which so much was claimed that it has a mark, and in which nothing is left.
async fn a_drained_lane(client: &Client, goal: &str) {
    for _ in 0..2 {
        client.published_many(&many(goal, 1000)).await;
        let claims = client.claim_many(goal, 1000).await;
        assert_eq!(claims.len(), 1000);
        client.fulfill_many(&claims, json!(1)).await.outcomes();
    }
    client.claim(goal).await.empty();
}

/// Asks again and again until there is something.
async fn claimed_within(client: &Client, goal: &str, time: Duration) -> Claim {
    let deadline = Instant::now() + time;
    loop {
        let answer = client.claim(goal).await;
        if answer.status == 200 {
            return answer.claim();
        }
        assert!(Instant::now() < deadline, "not within {time:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// In a transaction that goes on, an intent is due as of now.
async fn due_in(transaction: &tokio_postgres::Client, id: &str) {
    transaction.batch_execute("BEGIN").await.unwrap();
    let sql = "WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
         UPDATE intents SET run_at = now, visible_at = now FROM clock WHERE id = $1";
    assert_eq!(transaction.execute(sql, &[&Uuid::try_parse(id).unwrap()]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_committed_behind_a_mark_is_found_by_the_next_look() {
    let app = TestApp::spawn().await;
    let root = app.root();
    a_drained_lane(&root, "greet").await;
    let late = root.published(intent_with("greet", json!({"delay": 3600}))).await;
    let session = app.db.session().await;
    due_in(&session, &late).await;
    // So much later that marks, which stay 40 ms or a few claims behind the clock, pass it. The lane is in use all the while.
    let passed = Instant::now() + Duration::from_millis(400);
    while Instant::now() < passed {
        root.claim("greet").await.empty();
    }
    session.batch_execute("COMMIT").await.unwrap();
    assert_eq!(claimed_within(&root, "greet", LOOK).await.id, late);
    // And what comes in the ordinary way is claimed at once.
    let id = root.published(intent("greet")).await;
    assert_eq!(root.claimed("greet").await.id, id);
}

#[tokio::test]
async fn what_is_committed_behind_a_mark_is_found_while_there_is_a_backlog() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let late = root.published(intent_with("greet", json!({"delay": 3600}))).await;
    let session = app.db.session().await;
    due_in(&session, &late).await;
    for _ in 0..4 {
        root.published_many(&many("greet", 1000)).await;
    }
    for _ in 0..3 {
        root.claim_many("greet", 1000).await;
    }
    session.batch_execute("COMMIT").await.unwrap();
    let deadline = Instant::now() + LOOK;
    while root.claimed("greet").await.id != late {
        assert!(Instant::now() < deadline, "not within {LOOK:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_request_that_is_refused_moves_no_mark() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    alice.published_many(&many("greet", 1000)).await;
    alice.published_many(&many("greet", 1000)).await;
    assert_eq!(alice.claim_many("greet", 1000).await.len(), 1000);
    // A few claims behind the clock is in front of all that is left.
    tokio::time::sleep(Duration::from_millis(150)).await;
    app.db.batch("UPDATE tenants SET rate_limit_per_minute = 1 WHERE owner = 'alice'").await;
    while alice.claim("greet").await.status != 429 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Root looks into the same lane.
    let asking = format!("/claim?goal=greet&limit=1000&publisher={}", alice.api_key());
    assert!(!app.root().post(&asking, "").await.claims().is_empty());
}

#[tokio::test]
async fn a_replayed_claim_moves_no_mark() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published_many(&many("greet", 1000)).await;
    root.published_many(&many("greet", 1000)).await;
    let target = "/claim?goal=greet&limit=1000";
    let signed = root.signed_once("POST", target, "", crate::support::client::unix_now());
    assert_eq!(signed.post(target, "").await.claims().len(), 1000);
    tokio::time::sleep(Duration::from_millis(150)).await;
    signed.post(target, "").await.refused(403, "invalid_signature");
    assert_eq!(root.claim_many("greet", 1000).await.len(), 1000);
}

#[tokio::test]
async fn a_worker_for_whom_there_may_be_work_in_particular_moves_no_mark() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let pi = root.with("x-worker-id", "pi");
    root.published(intent_with("greet", json!({"target_worker": "pi"}))).await;
    pi.claimed("greet").await;
    root.published_many(&many("greet", 1000)).await;
    root.published_many(&many("greet", 1000)).await;
    assert_eq!(pi.claim_many("greet", 1000).await.len(), 1000);
    tokio::time::sleep(Duration::from_millis(150)).await;
    for _ in 0..3 {
        pi.claimed("greet").await;
    }
    assert_eq!(root.claim_many("greet", 1000).await.len(), 997);
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[tokio::test]
async fn on_a_random_walk_with_late_commits_retries_and_lost_leases_every_intent_ends() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let workers = [app.root(), other.root()];
    let root = &workers[0];
    let began = Instant::now();
    let mut numbers = Numbers(7);
    let mut unfinished: BTreeSet<String> = BTreeSet::new();
    let mut late: Vec<(tokio_postgres::Client, String)> = Vec::new();
    for step in 0..36 {
        let worker = &workers[step % 2];
        let delayed = intent_with("walk", json!({"priority": numbers.below(3), "delay": 3600, "max_attempts": 20}));
        match numbers.below(4) {
            0 | 1 => {
                let fields = json!({"priority": numbers.below(3), "max_attempts": 20});
                unfinished.extend(worker.published_many(&vec![intent_with("walk", fields); 400]).await);
            }
            2 => {
                let id = worker.published(delayed).await;
                let session = app.db.session().await;
                due_in(&session, &id).await;
                unfinished.insert(id.clone());
                late.push((session, id));
            }
            _ => {
                if !late.is_empty() {
                    let (session, _) = late.swap_remove(numbers.below(late.len()));
                    session.batch_execute("COMMIT").await.unwrap();
                }
            }
        }
        let mut claims = worker.claim_many("walk", 100 + numbers.below(500)).await;
        let lost = claims.split_off(claims.len() - claims.len().min(numbers.below(20)));
        let failed = claims.split_off(claims.len() - claims.len().min(numbers.below(20)));
        for claim in &claims {
            assert!(unfinished.remove(&claim.id), "{} was claimed after it had ended", claim.id);
        }
        if !claims.is_empty() {
            worker.fulfill_many(&claims, json!(1)).await.outcomes();
        }
        if !failed.is_empty() {
            worker.declaring("7.61").fail_many(&failed, "no").await.outcomes();
        }
        for claim in &lost {
            app.db.end_lease_and_backoff(&claim.id).await;
        }
        for claim in &failed {
            app.db.make_due(&claim.id).await;
        }
    }
    for (session, _) in late {
        session.batch_execute("COMMIT").await.unwrap();
    }
    // On a busy machine the walk takes longer than a transaction may be open to be found by any look.
    let time = if began.elapsed() < SETTLED { LOOK } else { LOOK_FROM_THE_BEGINNING };
    let deadline = Instant::now() + time;
    while !unfinished.is_empty() {
        let claims = workers[unfinished.len() % 2].claim_many("walk", 1000).await;
        for claim in &claims {
            assert!(unfinished.remove(&claim.id), "{} was claimed twice", claim.id);
        }
        if claims.is_empty() {
            assert!(Instant::now() < deadline, "{} not within {time:?}", unfinished.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            root.fulfill_many(&claims, json!(1)).await.outcomes();
        }
    }
    assert_eq!(app.db.count("intents").await, 0);
}
