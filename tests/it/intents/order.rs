//! The order of claims: priority descending, then `run_at`, `claim_attempts`, `created_at` and `id` ascending.

use std::cmp::Reverse;

use serde_json::json;
use uuid::Uuid;

use crate::support::{Client, TestApp, factory::intent_with};

/// Publishes intents whose places in the queue differ in every field, and gives their ids in the order of claims.
async fn a_mixed_queue(app: &TestApp, publishers: &[&Client]) -> Vec<String> {
    for number in 0..60_usize {
        let (priority, visibility) = ([0, 100, 1000][number % 3], ["public", "private"][number / 30]);
        let fields = json!({"priority": priority, "visibility": visibility});
        publishers[number % publishers.len()].published(intent_with("sort", fields)).await;
    }
    app.db
        .batch(
            "WITH numbered AS (SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS place FROM intents)
             UPDATE intents
             SET run_at = date_trunc('second', clock_timestamp()) - interval '1 hour' * (1 + place % 3),
                 visible_at = date_trunc('second', clock_timestamp()) - interval '1 hour' * (1 + place % 3),
                 claim_attempts = place / 3 % 2,
                 created_at = date_trunc('second', clock_timestamp()) - interval '5 hours' - interval '1 s' * (place / 6 % 2)
             FROM numbered WHERE numbered.id = intents.id",
        )
        .await;
    let sql = "SELECT id, priority, extract(epoch FROM run_at)::bigint, claim_attempts, extract(epoch FROM created_at)::bigint FROM intents";
    let mut queue: Vec<(Reverse<i16>, i64, i16, i64, Uuid)> = Vec::new();
    for row in app.db.rows(sql, &[]).await {
        queue.push((Reverse(row.get(1)), row.get(2), row.get(3), row.get(4), row.get(0)));
    }
    queue.sort_unstable();
    queue.into_iter().map(|(.., id)| id.simple().to_string()).collect()
}

async fn drain(worker: &Client, target: &str) -> Vec<String> {
    let mut claimed = Vec::new();
    loop {
        let answer = worker.post(target, "").await;
        if answer.status == 204 {
            return claimed;
        }
        claimed.push(answer.claim().id);
    }
}

#[tokio::test]
async fn intents_of_one_goal_are_claimed_in_order() {
    let app = TestApp::spawn().await;
    let expected = a_mixed_queue(&app, &[&app.root()]).await;
    assert_eq!(drain(&app.root(), "/claim?goal=sort").await, expected);
}

#[tokio::test]
async fn intents_of_any_goal_are_claimed_in_order() {
    let app = TestApp::spawn().await;
    let expected = a_mixed_queue(&app, &[&app.root()]).await;
    assert_eq!(drain(&app.root(), "/claim").await, expected);
}

#[tokio::test]
async fn own_and_public_intents_are_one_queue() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let (bob, carol) = (app.tenant("bob").await, app.tenant("carol").await);
    let all = a_mixed_queue(&app, &[&alice, &bob, &carol]).await;
    let mut expected = Vec::new();
    for id in all {
        let sql = "SELECT tenant_id = (SELECT id FROM tenants WHERE owner = 'alice') OR public_lane IS NOT NULL FROM intents WHERE id = $1";
        if app.db.value::<bool>(sql, &[&Uuid::try_parse(&id).unwrap()]).await {
            expected.push(id);
        }
    }
    assert!(expected.len() > 30 && expected.len() < 60, "{}", expected.len());
    assert_eq!(drain(&alice, "/claim?goal=sort").await, expected);
}

#[tokio::test]
async fn what_is_not_due_does_not_hold_up_what_is() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for _ in 0..3 {
        root.published(intent_with("sort", json!({"priority": 1000, "delay": 600}))).await;
    }
    let due = root.published(intent_with("sort", json!({"priority": 0}))).await;
    assert_eq!(root.claimed("sort").await.id, due);
    root.claim("sort").await.empty();
}

#[tokio::test]
async fn an_intent_locked_by_another_claim_is_passed_over_for_the_next() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let first = root.published(intent_with("sort", json!({"priority": 9}))).await;
    let second = root.published(intent_with("sort", json!({"priority": 5}))).await;
    let mut session = app.db.session().await;
    let other = session.transaction().await.unwrap();
    let id = Uuid::try_parse(&first).unwrap();
    other.query_one("SELECT id FROM intents WHERE id = $1 FOR UPDATE", &[&id]).await.unwrap();
    assert_eq!(root.claimed("sort").await.id, second);
    other.rollback().await.unwrap();
    assert_eq!(root.claimed("sort").await.id, first);
}
