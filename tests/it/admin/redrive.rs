//! `POST /admin/dead/redrive`: what it picks, how fast it puts it back, and what counts.

use serde_json::{Value, json};

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

/// Publishes an intent of this goal and lets it die of this error.
async fn die(client: &Client, goal: &str, error: &str) -> String {
    let id = client.published(intent(goal)).await;
    client.fail(&client.claimed(goal).await, error).await.expect(200);
    id
}

/// Everything that a redrive might change.
async fn everything(app: &TestApp) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for table in ["intents", "finished", "quotas", "finished_totals", "audit_log", "lane_priorities"] {
        let sql = format!("SELECT string_agg(row::text, '/' ORDER BY row::text) FROM {table} AS row");
        all.push(app.db.value(&sql, &[]).await);
    }
    all
}

#[tokio::test]
async fn a_dry_run_says_what_would_come_back_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(die(&alice, "greet", "no paper").await);
    }
    let before = everything(&app).await;
    for body in [json!({}), json!({"dry_run": true, "per_second": 1})] {
        let would = app.admin().post("/admin/dead/redrive", body).await.expect(200);
        assert_eq!((&would["dry_run"], &would["count"], &would["more"]), (&json!(true), &json!(12), &json!(false)));
        let sample: Vec<&str> =
            would["sample"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(sample, ids[..10], "those that died first");
    }
    let few = app.admin().post("/admin/dead/redrive", json!({"limit": 5})).await.expect(200);
    assert_eq!((&few["count"], &few["more"]), (&json!(5), &json!(true)));
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn they_come_back_in_the_order_of_their_death_so_many_a_second_and_count_in_the_quota() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    app.db.batch("UPDATE tenants SET max_open_intents = 5, rate_limit_per_minute = 1000 WHERE owner = 'alice'").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(die(&alice, "greet", "no paper").await);
    }
    let body = json!({"dry_run": false, "per_second": 2, "goal": "greet"});
    let done = app.admin().post("/admin/dead/redrive", body).await.expect(200);
    assert_eq!((&done["count"], &done["dry_run"], &done["more"]), (&json!(5), &json!(false), &json!(false)));
    let rows = app
        .db
        .rows(
            "SELECT replace(id::text, '-', ''), extract(epoch FROM visible_at - min(visible_at) OVER ())::float8,
                    claim_attempts = 0 AND state = 'open' AND run_at = visible_at AND visible_at >= created_at,
                    extract(epoch FROM visible_at)::float8
             FROM intents ORDER BY visible_at",
            &[],
        )
        .await;
    let back: Vec<(String, f64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected: Vec<(String, f64)> = ids.into_iter().zip([0.0, 0.5, 1.0, 1.5, 2.0]).collect();
    assert_eq!(back, expected);
    assert!(rows.iter().all(|row| row.get(2)));
    assert_eq!(done["last_due_at"], json!(rows[4].get::<_, f64>(3)));
    assert_eq!(app.db.value::<i64>("SELECT open_intents::bigint FROM quotas", &[]).await, 5);
    alice.publish(intent("more")).await.refused(429, "limit_exceeded");
    let claim = alice.claimed("greet").await;
    assert_eq!((claim.id.as_str(), &claim.body["claim_attempts"]), (expected[0].0.as_str(), &json!(1)));
}

#[tokio::test]
async fn only_what_matches_comes_back() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    die(&alice, "greet", "no paper").await;
    let jam = die(&alice, "greet", "Paper Jam").await;
    let other = die(&bob, "wave", "paper jam").await;
    let redrive = async |body: Value| {
        let mut body = body;
        body["dry_run"] = json!(false);
        app.admin().post("/admin/dead/redrive", body).await.expect(200)["count"].clone()
    };
    assert_eq!(redrive(json!({"namespace": "east"})).await, 0);
    assert_eq!(redrive(json!({"until": 1.0})).await, 0);
    assert_eq!(redrive(json!({"error": "paper jam", "goal": "greet"})).await, 1);
    assert_eq!(alice.status(&jam).await.expect(200)["status"], "open");
    let bobs: i64 = app.db.value("SELECT id FROM tenants WHERE owner = 'bob'", &[]).await;
    assert_eq!(redrive(json!({"tenant": bobs})).await, 1);
    assert_eq!(bob.status(&other).await.expect(200)["status"], "open");
    assert_eq!(app.db.count("finished").await, 1);
}

#[tokio::test]
async fn many_come_back_in_parts_and_the_totals_stay_right() {
    let app = TestApp::spawn().await;
    app.db.day_partition("finished", 1).await;
    app.db
        .batch(
            "LOCK TABLE totals_progress;
             INSERT INTO finished (
                 id, finished_at, tenant_id, created_at, run_at, backoff_base, payload_day, state, priority, claim_attempts,
                 max_attempts, has_retry_policy, public, namespace, goal, last_error
             )
             SELECT gen_random_uuid(), clock_timestamp() - number * interval '1 millisecond' - interval '1 minute', 0, clock_timestamp(),
                    clock_timestamp(), 5, current_date, 'dead', 100, 1, 3, true, false, 'default', 'greet', 'broken'
             FROM generate_series(1, 2500) AS number;
             UPDATE totals_progress SET finished_until = clock_timestamp() - interval '1 day'",
        )
        .await;
    app.admin().cleanup().await.expect(200);
    app.db.nobody_counts().await;
    let dead = "SELECT coalesce(sum(count), 0)::bigint FROM finished_totals WHERE state = 'dead'";
    assert_eq!(app.db.value::<i64>(dead, &[]).await, 2500);
    let body = json!({"dry_run": false, "limit": 2200, "per_second": 1000});
    let done = app.admin().post("/admin/dead/redrive", body).await.expect(200);
    assert_eq!((&done["count"], &done["more"]), (&json!(2200), &json!(true)));
    assert_eq!((app.db.count("intents").await, app.db.value::<i64>(dead, &[]).await), (2200, 300));
    let counts = "SELECT array_agg((details->>'count')::integer ORDER BY id) FROM audit_log WHERE action = 'redrive'";
    assert_eq!(app.db.value::<Vec<i32>>(counts, &[]).await, [1000, 1000, 200]);
    let rest = json!({"dry_run": false, "since": done["searched_until"]});
    assert_eq!(app.admin().post("/admin/dead/redrive", rest).await.expect(200)["count"], 300);
    assert_eq!((app.db.count("finished").await, app.db.value::<i64>(dead, &[]).await), (0, 0));
}

#[tokio::test]
async fn a_redrive_and_retries_of_the_same_dead_letters_bring_each_back_once() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let ids = root.published_many(&vec![intent_with("greet", json!({"max_attempts": 1})); 40]).await;
    let claims = root.claim_many("greet", 40).await;
    root.fail_many(&claims, "x").await.expect(200);
    let admin = app.admin();
    let retries = futures_util::future::join_all(ids.iter().map(|id| admin.retry(id)));
    let redrive = admin.post("/admin/dead/redrive", json!({"dry_run": false}));
    let (retried, redriven) = tokio::join!(retries, redrive);
    let retried = retried.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(redriven.expect(200)["count"], json!(40 - retried));
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (40, 0));
}

#[tokio::test]
async fn what_cannot_be_redriven_by_is_refused() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    for body in [
        json!({"dry_run": "no"}),
        json!({"limit": 0}),
        json!({"limit": 10_001}),
        json!({"per_second": 0}),
        json!({"per_second": 1001}),
        json!({"since": -1}),
        json!({"tenant": -1}),
        json!({"error": "a\0b"}),
    ] {
        admin.post("/admin/dead/redrive", body).await.refused(400, "invalid_request");
    }
    admin.post("/admin/dead/redrive", json!({"goal": " "})).await.refused(400, "invalid_goal");
    admin.post("/admin/dead/redrive", json!({"namespace": "a/b"})).await.refused(400, "invalid_namespace");
}
