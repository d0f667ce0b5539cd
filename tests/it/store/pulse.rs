//! Signs of life that are sent more than once.

use std::time::SystemTime;

use intent_bus::{
    store::{Store, connect::Address, pulse::Replica, workers::Worker},
    telemetry::{
        flow::{FLOW_BUCKETS, Flow, Tally},
        traces::Traces,
    },
};
use uuid::Uuid;

use crate::support::TestDb;

fn store_on(db: &TestDb) -> Store {
    let pool = Address::parse(&db.url).expect("a URL").pool(2).expect("a pool");
    Store::new(pool, 86_400.0, Flow::new().expect("metrics"), Traces::default())
}

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
        capabilities: Vec::new(),
        claims: 3,
    }]
}

async fn told(db: &TestDb) -> (i64, i64) {
    let published = "SELECT coalesce(sum(published), 0)::bigint FROM activity";
    let claims = "SELECT coalesce(sum(claims), 0)::bigint FROM workers";
    (db.value(published, &[]).await, db.value(claims, &[]).await)
}

#[tokio::test]
async fn a_sign_of_life_that_is_told_again_after_a_lost_answer_counts_once() {
    let db = TestDb::create().await;
    let store = store_on(&db);
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
    let (store, other) = (store_on(&db), store_on(&db));
    let replica = Replica { id: Uuid::new_v4(), host: "here".to_owned(), version: "1" };
    let first = store.beat(&replica, None, &published(1), &[]).await.unwrap();
    let before = Some(first.seen_at);
    // Both are under way together: one waits for the row of the replica that the other writes.
    let (done, again) = (published(2), published(2));
    let (one, two) = tokio::join!(store.beat(&replica, before, &done, &[]), other.beat(&replica, before, &again, &[]));
    assert_eq!(one.unwrap().seen_at, two.unwrap().seen_at);
    assert_eq!(told(&db).await.0, 3);
}
