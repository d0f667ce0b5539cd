//! Signs of life that are sent more than once, and those of several replicas that see the same worker.

use std::{collections::BTreeSet, time::SystemTime};

use intent_bus::{
    store::{Store, pulse::Replica, workers::Worker},
    telemetry::flow::{FLOW_BUCKETS, Tally},
};
use uuid::Uuid;

use crate::support::TestDb;

fn published(count: u64) -> Vec<Tally> {
    let none = vec![0; FLOW_BUCKETS.len() + 1];
    let (waited, worked, took) = (none.clone(), none.clone(), none);
    let (namespace, goal) = ("default".to_owned(), "greet".to_owned());
    vec![Tally { namespace, goal, published: count, waited, worked, took, ..Tally::default() }]
}

fn pi() -> Vec<Worker> {
    vec![Worker {
        tenant: 0,
        namespace: "default".to_owned(),
        name: "pi".to_owned(),
        goals: None,
        capabilities: BTreeSet::new(),
        claims: 3,
    }]
}

fn pi_for(goals: &[&str]) -> Vec<Worker> {
    let goals: BTreeSet<String> = goals.iter().map(|goal| (*goal).to_owned()).collect();
    vec![Worker { goals: Some(goals), ..pi().remove(0) }]
}

fn pi_able_to(capabilities: &[String]) -> Vec<Worker> {
    vec![Worker { capabilities: capabilities.iter().cloned().collect(), ..pi().remove(0) }]
}

/// A replica that tells of workers.
struct Teller {
    store: Store,
    replica: Replica,
    before: Option<SystemTime>,
}

impl Teller {
    fn on(db: &TestDb) -> Self {
        let replica = Replica { id: Uuid::new_v4(), host: "here".to_owned(), version: "1" };
        Self { store: db.store(), replica, before: None }
    }

    async fn tells(&mut self, workers: &[Worker]) {
        self.before = Some(self.store.beat(&self.replica, self.before, &[], workers).await.unwrap().seen_at);
    }
}

/// What a worker is known to have asked for; none: anything.
async fn goals_known(store: &Store) -> Option<Vec<String>> {
    let workers = store.workers(None, 10).await.unwrap().workers;
    assert_eq!(workers.len(), 1);
    workers[0].goals.clone()
}

async fn told(db: &TestDb) -> (i64, i64) {
    let published = "SELECT coalesce(sum(published), 0)::bigint FROM activity";
    let claims = "SELECT coalesce(sum(claims), 0)::bigint FROM workers";
    (db.value(published, &[]).await, db.value(claims, &[]).await)
}

#[tokio::test]
async fn a_sign_of_life_that_is_told_again_after_a_lost_answer_counts_once() {
    let db = TestDb::create().await;
    let store = db.store();
    let replica = Replica { id: Uuid::new_v4(), host: "here".to_owned(), version: "1" };
    let mut before: Option<SystemTime> = None;
    for round in 1..=3 {
        let first = store.beat(&replica, before, &published(2), &pi()).await.unwrap();
        // Nobody heard that: the same once more.
        let again = store.beat(&replica, before, &published(2), &pi()).await.unwrap();
        assert_eq!(first.seen_at, again.seen_at);
        assert_eq!(told(&db).await, (2 * round, 3 * round));
        before = Some(again.seen_at);
    }
}

#[tokio::test]
async fn a_sign_of_life_that_arrives_late_is_not_written_after_its_second_try() {
    let db = TestDb::create().await;
    let (store, other) = (db.store(), db.store());
    let replica = Replica { id: Uuid::new_v4(), host: "here".to_owned(), version: "1" };
    let first = store.beat(&replica, None, &published(1), &[]).await.unwrap();
    let before = Some(first.seen_at);
    // Both are under way together: one waits for the row of the replica that the other writes.
    let (done, again) = (published(2), published(2));
    let (one, two) = tokio::join!(store.beat(&replica, before, &done, &[]), other.beat(&replica, before, &again, &[]));
    assert_eq!(one.unwrap().seen_at, two.unwrap().seen_at);
    assert_eq!(told(&db).await.0, 3);
}

#[tokio::test]
async fn what_a_worker_asked_for_is_known_for_five_minutes_whichever_replica_saw_it() {
    let db = TestDb::create().await;
    let (mut one, mut other) = (Teller::on(&db), Teller::on(&db));
    one.tells(&pi_for(&["mail"])).await;
    other.tells(&pi_for(&["sms", "fax"])).await;
    one.tells(&pi_for(&["mail"])).await;
    assert_eq!(goals_known(&one.store).await.unwrap(), ["fax", "mail", "sms"]);
    db.batch("UPDATE workers SET asked_at = asked_at || jsonb_build_object('fax', (asked_at ->> 'fax')::bigint - 301)")
        .await;
    assert_eq!(goals_known(&one.store).await.unwrap(), ["mail", "sms"]);
    one.tells(&pi_for(&["mail"])).await;
    let kept: i64 = db.value("SELECT count(*) FROM workers, jsonb_object_keys(asked_at)", &[]).await;
    assert_eq!(kept, 2, "the old one is forgotten");
    other.tells(&pi()).await;
    one.tells(&pi_for(&["mail"])).await;
    assert_eq!(goals_known(&one.store).await, None, "it asked for anything");
}

#[tokio::test]
async fn a_worker_with_more_goals_than_are_told_apart_asks_for_anything() {
    let db = TestDb::create().await;
    let mut teller = Teller::on(&db);
    let goals: Vec<String> = (0..17).map(|number| format!("goal-{number}")).collect();
    let goals: Vec<&str> = goals.iter().map(String::as_str).collect();
    teller.tells(&pi_for(&goals[..9])).await;
    teller.tells(&pi_for(&goals[9..16])).await;
    assert_eq!(goals_known(&teller.store).await.map(|goals| goals.len()), Some(16));
    teller.tells(&pi_for(&goals[16..])).await;
    assert_eq!(goals_known(&teller.store).await, None);
    let kept: i64 = db.value("SELECT count(*) FROM workers, jsonb_object_keys(asked_at)", &[]).await;
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn what_a_worker_can_do_is_known_for_five_minutes_whichever_replica_saw_it() {
    let db = TestDb::create().await;
    let (mut one, mut other) = (Teller::on(&db), Teller::on(&db));
    let known = async |store: &Store| store.workers(None, 10).await.unwrap().workers[0].capabilities.clone();
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // Two workers without names, say.
    one.tells(&pi_able_to(&named(&["gpu"]))).await;
    other.tells(&pi_able_to(&named(&["camera"]))).await;
    one.tells(&pi_able_to(&[])).await;
    assert_eq!(known(&one.store).await, ["camera", "gpu"]);
    db.batch("UPDATE workers SET able_at = able_at || jsonb_build_object('gpu', (able_at ->> 'gpu')::bigint - 301)")
        .await;
    assert_eq!(known(&one.store).await, ["camera"]);
    let many: Vec<String> = (0..100).map(|number| format!("capability-{number}")).collect();
    other.tells(&pi_able_to(&many)).await;
    one.tells(&pi_able_to(&[])).await;
    let kept: i64 = db.value("SELECT count(*) FROM workers, jsonb_object_keys(able_at)", &[]).await;
    assert_eq!(kept, 64);
}

#[tokio::test]
async fn during_a_roll_out_what_replicas_of_both_releases_saw_is_known() {
    let db = TestDb::create().await;
    let mut new = Teller::on(&db);
    // As the release before writes it.
    let old = "INSERT INTO workers (tenant_id, namespace, worker_id, goals, capabilities, claims)
               VALUES (0, 'default', 'pi', $1, '{}', 0)
               ON CONFLICT (tenant_id, namespace, worker_id) DO UPDATE
               SET goals = EXCLUDED.goals, capabilities = EXCLUDED.capabilities, seen_at = clock_timestamp()";
    db.execute(old, &[&vec!["fax"]]).await;
    assert_eq!(goals_known(&new.store).await.unwrap(), ["fax"]);
    new.tells(&pi_for(&["mail"])).await;
    db.execute(old, &[&vec!["sms"]]).await;
    assert_eq!(goals_known(&new.store).await.unwrap(), ["mail", "sms"]);
    db.execute(old, &[&None::<Vec<String>>]).await;
    assert_eq!(goals_known(&new.store).await, None);
}
