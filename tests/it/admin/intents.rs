//! `/admin/intents/{id}`: look, cancel, retry.

use intent_bus::{domain::lanes::Lanes, store::statements};
use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn an_operator_sees_any_intent() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent_with("greet", json!({"max_attempts": 7}))).await;
    alice.with("x-worker-id", "pi").claimed("greet").await;
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!(
        (&seen["max_attempts"], &seen["worker_id"], &seen["status"]),
        (&json!(7), &json!("pi"), &json!("claimed"))
    );
    assert!(seen["created_at"].is_f64());
    for id in ["0".repeat(32).as_str(), "x"] {
        app.admin().get(&format!("/admin/intents/{id}")).await.refused(404, "not_found");
        app.admin().cancel(id).await.refused(404, "not_found");
        app.admin().retry(id).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_intent_of_any_state_can_be_cancelled() {
    let app = TestApp::spawn().await;
    let (root, admin) = (app.root(), app.admin());
    let open = root.published(intent("open")).await;
    let held = root.published(intent("held")).await;
    let claim = root.claimed("held").await;
    let done = root.published(intent("done")).await;
    root.fulfill(&root.claimed("done").await, json!("kept")).await.expect(200);
    for id in [&open, &held, &done, &done] {
        assert_eq!(admin.cancel(id).await.expect(200), json!({"ok": true, "id": id, "status": "dead"}));
        let seen = root.result(id).await.expect(200);
        assert_eq!((&seen["status"], &seen["error"]), (&json!("dead"), &json!("Cancelled by an operator.")));
    }
    root.claim("open").await.empty();
    root.fulfill(&claim, json!(1)).await.refused(404, "not_found");
    assert_eq!(root.result(&done).await.expect(200)["result"], "kept");
}

#[tokio::test]
async fn the_reason_of_a_death_is_not_overwritten_by_cancelling_the_dead() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "no paper").await.expect(200);
    app.admin().cancel(&id).await.expect(200);
    assert_eq!(root.result(&id).await.expect(200)["error"], "no paper");
}

#[tokio::test]
async fn a_dead_intent_comes_back_with_all_its_attempts_and_at_once() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let fields = json!({
        "max_attempts": 2, "priority": 7, "namespace": "east", "visibility": "public", "target_worker": "pi", "required_capability": "gpu",
    });
    let id = root.published(intent_with("greet", fields)).await;
    let worker = app.tenant("bob").await.with("x-worker-id", "pi").with("x-worker-capabilities", "gpu");
    for target in ["/claim?namespace=east&goal=greet", "/claim?namespace=east"] {
        for _ in 0..2 {
            let claim = worker.post(target, "").await.claim();
            app.db.end_lease(&claim.id).await;
            if claim.body["claim_attempts"] == 1 {
                app.db.end_lease_and_backoff(&claim.id).await;
            }
        }
        assert_eq!(root.status(&id).await.expect(200)["status"], "dead");
        assert_eq!(app.admin().retry(&id).await.expect(200), json!({"ok": true, "id": id, "status": "open"}));
        let seen = root.status(&id).await.expect(200);
        assert_eq!(
            (&seen["status"], &seen["claim_attempts"], &seen["completed_at"]),
            (&json!("open"), &json!(0), &json!(null))
        );
        assert_eq!((&seen["priority"], &seen["visibility"]), (&json!(7), &json!("public")));
    }
    let claim = worker.post("/claim?namespace=east", "").await.claim();
    worker.fulfill(&claim, json!(1)).await.expect(200);
}

#[tokio::test]
async fn only_dead_intents_can_be_retried() {
    let app = TestApp::spawn().await;
    let (root, admin) = (app.root(), app.admin());
    let id = root.published(intent("greet")).await;
    admin.retry(&id).await.refused(409, "conflict");
    let claim = root.claimed("greet").await;
    admin.retry(&id).await.refused(409, "conflict");
    root.fulfill(&claim, json!(1)).await.expect(200);
    admin.retry(&id).await.refused(409, "conflict");
    assert_eq!(root.result(&id).await.expect(200)["result"], 1);
}

#[tokio::test]
async fn a_retried_intent_has_lost_its_result_and_its_old_claims() {
    let app = TestApp::spawn().await;
    let (root, admin) = (app.root(), app.admin());
    let id = root.published(intent("greet")).await;
    let old = root.claimed("greet").await;
    root.fulfill(&old, json!("old")).await.expect(200);
    admin.cancel(&id).await.expect(200);
    admin.retry(&id).await.expect(200);
    assert!(root.result(&id).await.expect(200).get("result").is_none());
    root.fulfill(&old, json!(1)).await.refused(404, "not_found");
    let new = root.claimed("greet").await;
    root.fulfill(&old, json!(1)).await.refused(404, "not_found");
    root.fulfill(&new, json!("new")).await.expect(200);
    assert_eq!(root.result(&id).await.expect(200)["result"], "new");
}

#[tokio::test]
async fn what_looks_dead_can_be_retried_before_maintenance_has_buried_it() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let (root, admin) = (app.root(), app.admin());
    let expired = root.published(intent("expired")).await;
    app.db.age(&expired, 101.0).await;
    let lapsed = root.published(intent_with("lapsed", json!({"max_attempts": 1}))).await;
    root.claimed("lapsed").await;
    app.db.end_lease(&lapsed).await;
    for (id, goal) in [(&expired, "expired"), (&lapsed, "lapsed")] {
        admin.retry(id).await.expect(200);
        assert_eq!(root.claimed(goal).await.body["claim_attempts"], 1);
    }
}

#[tokio::test]
async fn of_retries_at_the_same_moment_one_counts() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "12")]).await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    let admin = app.admin();
    let answers = futures_util::future::join_all((0..10).map(|_| admin.retry(&id))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 9);
    assert_eq!(app.db.count("intents").await, 1);
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 1);
}

#[tokio::test]
async fn a_retry_that_comes_second_leaves_alone_what_the_first_has_brought_back() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    // Reading is possible, locking is not: the second retry sees the intent as dead at most, and has to wait.
    let mut session = app.db.session().await;
    let first = session.transaction().await.unwrap();
    first.batch_execute("LOCK TABLE intents IN EXCLUSIVE MODE").await.unwrap();
    let retry = async {
        app.db.somebody_waits().await;
        let (_, sql) = statements::all().into_iter().find(|(name, _)| *name == "intents/retry.sql").unwrap();
        let lanes = Lanes::of_intent(0, false, "default", "greet", None, None);
        let uuid = uuid::Uuid::try_parse(&id).unwrap();
        first.query_one(sql, &[&uuid, &lanes.own_goal, &lanes.own, &lanes.public_goal, &lanes.public]).await.unwrap();
        first.commit().await.unwrap();
    };
    let admin = app.admin();
    let (second, ()) = tokio::join!(admin.retry(&id), retry);
    second.refused(409, "conflict");
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (1, 0));
    app.root().claimed("greet").await;
}

#[tokio::test]
async fn of_cancels_and_finishes_at_the_same_moment_one_decides() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "12")]).await;
    let (alice, admin) = (app.tenant("alice").await, app.admin());
    for _ in 0..5 {
        let id = alice.published(intent("greet")).await;
        let claim = alice.claimed("greet").await;
        let cancels = futures_util::future::join_all((0..4).map(|_| admin.cancel(&id)));
        let (cancelled, fulfilled) = tokio::join!(cancels, alice.fulfill(&claim, json!(1)));
        assert!(cancelled.iter().all(|answer| answer.status == 200));
        assert!([200, 404].contains(&fulfilled.status));
        assert_eq!(alice.status(&id).await.expect(200)["status"], "dead");
        assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 0);
        assert_eq!(app.db.value::<i64>("SELECT count(*) FROM finished WHERE id::text = $1", &[&dashed(&id)]).await, 1);
    }
}

fn dashed(id: &str) -> String {
    uuid::Uuid::try_parse(id).unwrap().to_string()
}

#[tokio::test]
async fn a_cancel_that_meets_a_retry_finds_the_intent_where_that_has_put_it() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    let mut session = app.db.session().await;
    let retry = session.transaction().await.unwrap();
    let (_, sql) = statements::all().into_iter().find(|(name, _)| *name == "intents/retry.sql").unwrap();
    let lanes = Lanes::of_intent(0, false, "default", "greet", None, None);
    let uuid = uuid::Uuid::try_parse(&id).unwrap();
    retry.query_one(sql, &[&uuid, &lanes.own_goal, &lanes.own, &lanes.public_goal, &lanes.public]).await.unwrap();
    let commit = async {
        app.db.somebody_waits().await;
        retry.commit().await.unwrap();
    };
    let admin = app.admin();
    let (cancelled, ()) = tokio::join!(admin.cancel(&id), commit);
    cancelled.expect(200);
    app.root().claim("greet").await.empty();
}

#[tokio::test]
async fn operators_do_not_wait_for_a_count_of_all_intents() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    // Added up already, so that the retry has to take it out again.
    let total =
        "INSERT INTO finished_totals SELECT (finished_at AT TIME ZONE 'UTC')::date, namespace, state, 1 FROM finished";
    app.db.batch(&format!("{total}; UPDATE totals_progress SET finished_until = clock_timestamp()")).await;
    let mut session = app.db.session().await;
    let count = session.transaction().await.unwrap();
    count.batch_execute("UPDATE open_totals_progress SET counted_at = '-infinity'").await.unwrap();
    let (_, sql) = statements::all().into_iter().find(|(name, _)| *name == "totals/count_open.sql").unwrap();
    assert_eq!(count.query(sql, &[&86_400.0_f64]).await.unwrap().len(), 1);
    app.admin().retry(&id).await.expect(200);
    assert_eq!(app.db.value::<i64>("SELECT count FROM finished_totals", &[]).await, 0);
    count.rollback().await.unwrap();
}
