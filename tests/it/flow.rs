//! What is counted of the flow of intents: for the metrics of a replica, and written down for the dashboards of all.

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, factory::intent};

/// The value of a sample as it is written, 0 if it is not there.
async fn sample(app: &TestApp, name: &str) -> String {
    let text = app.admin().get("/metrics").await.text().to_owned();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or("0").to_owned()
}

fn of_goal(name: &str, goal: &str) -> String {
    format!("intent_bus_{name}{{goal=\"{goal}\",namespace=\"default\"}}")
}

#[tokio::test]
async fn each_step_of_an_intent_is_counted_under_its_goal() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    root.published_many(&[intent("greet"), intent("greet"), intent("greet")]).await;
    let claims = root.claim_many("greet", 3).await;
    root.fulfill(&claims[0], json!(1)).await.expect(200);
    root.fail(&claims[1], "no").await.expect(200);
    app.db.end_lease_and_backoff(&claims[2].id).await;
    root.claimed("greet").await;
    for (name, count) in [
        ("published_total", "3"),
        ("claimed_total", "4"),
        ("fulfilled_total", "1"),
        ("claim_wait_seconds_count", "4"),
        ("work_seconds_count", "1"),
        ("completion_seconds_count", "1"),
    ] {
        assert_eq!(sample(&app, &of_goal(name, "greet")).await, count, "{name}");
    }
    for reason in ["reported", "lapsed"] {
        let name =
            format!("intent_bus_failed_attempts_total{{goal=\"greet\",namespace=\"default\",reason=\"{reason}\"}}");
        assert_eq!(sample(&app, &name).await, "1", "{reason}");
    }
}

#[tokio::test]
async fn a_publication_that_was_made_before_is_not_counted_again() {
    let app = TestApp::spawn().await;
    let root = app.root().with("idempotency-key", "once");
    let first = root.published(intent("greet")).await;
    assert_eq!(root.published(intent("greet")).await, first);
    assert_eq!(sample(&app, &of_goal("published_total", "greet")).await, "1");
}

#[tokio::test]
async fn how_an_intent_died_is_counted() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "60")]).await;
    let root = app.root();
    let failed = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "no").await.expect(200);
    let cancelled = root.published(intent("greet")).await;
    app.admin().cancel(&cancelled).await.expect(200);
    let expired = root.published(intent("greet")).await;
    app.db.age(&expired, 61.0).await;
    app.admin().cleanup().await.expect(200);
    for (reason, id) in [("failed", &failed), ("cancelled", &cancelled), ("expired", &expired)] {
        let name = format!("intent_bus_buried_total{{goal=\"greet\",namespace=\"default\",reason=\"{reason}\"}}");
        assert_eq!(sample(&app, &name).await, "1", "{reason}");
        assert_eq!(root.status(id).await.expect(200)["status"], "dead");
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let body = intent("greet").to_string();
    let now = crate::support::client::unix_now();
    let name = |reason: &str| format!("intent_bus_signature_rejections_total{{reason=\"{reason}\"}}");
    for reason in ["replayed", "stale", "bad"] {
        assert_eq!(sample(&app, &name(reason)).await, "0", "{reason}: there before the first");
    }
    let signed = root.signed_once("POST", "/intent", &body, now);
    signed.send("POST", "/intent", body.clone()).await.expect(201);
    signed.send("POST", "/intent", body.clone()).await.refused(403, "invalid_signature");
    let stale = root.signed_once("POST", "/intent", &body, now - 1000);
    stale.send("POST", "/intent", body.clone()).await.refused(403, "invalid_signature");
    signed.send("POST", "/intent", "{}").await.refused(403, "invalid_signature");
    for reason in ["replayed", "stale", "bad"] {
        assert_eq!(sample(&app, &name(reason)).await, "1", "{reason}");
    }
    let refused = "intent_bus_operations_total{operation=\"publish\",outcome=\"invalid_signature\"}";
    assert_eq!(sample(&app, refused).await, "2");
}

#[tokio::test]
async fn unfinished_intents_are_told_by_goal_and_phase() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let old = root.published(intent("greet")).await;
    root.published(intent("greet")).await;
    app.db.age(&old, 100.0).await;
    root.published(crate::support::factory::intent_with("greet", json!({"delay": 60}))).await;
    root.published(intent("held")).await;
    let held = root.claimed("held").await;
    app.db.end_lease(&held.id).await;
    // One that has just started may have counted already.
    app.db.batch("UPDATE open_totals_progress SET counted_at = '-infinity'").await;
    app.admin().cleanup().await.expect(200);
    app.db.nobody_counts().await;
    app.admin().cleanup().await.expect(200);
    let phase = |goal: &str, phase: &str| {
        format!("intent_bus_open_intents{{goal=\"{goal}\",namespace=\"default\",phase=\"{phase}\"}}")
    };
    for (goal, name, count) in
        [("greet", "claimable", "2"), ("greet", "waiting", "1"), ("held", "past_lease", "1"), ("held", "claimed", "0")]
    {
        assert_eq!(sample(&app, &phase(goal, name)).await, count, "{goal} {name}");
    }
    let age: f64 = sample(&app, &of_goal("oldest_claimable_age_seconds", "greet")).await.parse().expect("seconds");
    assert!((100.0..160.0).contains(&age), "{age}");
}

#[tokio::test]
async fn what_a_replica_has_done_and_seen_is_written_down_for_all() {
    let app = TestApp::spawn().await;
    let worker = app.root().with("x-worker-id", "pi").with("x-worker-capabilities", "gpu,paper");
    worker.published(intent("greet")).await;
    worker.fulfill(&worker.claimed("greet").await, json!(1)).await.expect(200);
    let deadline = Instant::now() + Duration::from_secs(25);
    let told = "SELECT count(*) FROM activity WHERE goal = 'greet' AND published = 1 AND claimed = 1 AND fulfilled = 1
                AND cardinality(took) = 17 AND (SELECT sum(count) FROM unnest(took) AS count) = 1";
    while app.db.value::<i64>(told, &[]).await == 0 {
        assert!(Instant::now() < deadline, "no sign of life with what was done");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let replica: Uuid = app.db.value("SELECT replica FROM activity WHERE goal = 'greet'", &[]).await;
    assert_eq!(app.db.value::<Uuid>("SELECT id FROM replicas", &[]).await, replica);
    let seen = "SELECT worker_id || ' ' || array_to_string(goals, ',') || ' ' || array_to_string(capabilities, ',') || ' ' || claims
                FROM workers";
    assert_eq!(app.db.value::<String>(seen, &[]).await, "pi greet gpu,paper 1");
}
