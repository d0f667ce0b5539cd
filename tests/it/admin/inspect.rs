//! `GET /admin/intents/{id}`: what has happened to an intent, and why nobody claims it.

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

async fn codes(app: &TestApp, id: &str) -> Vec<String> {
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    let why = seen["why"].as_array().unwrap();
    assert!(why.iter().all(|reason| reason["message"].as_str().is_some_and(|message| message.len() > 20)), "{why:?}");
    why.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}

/// A worker that was seen so many seconds ago.
async fn worker(app: &TestApp, owner: &str, name: &str, goals: Option<Vec<&str>>, capabilities: Vec<&str>, ago: f64) {
    app.db
        .execute(
            "INSERT INTO workers (tenant_id, namespace, worker_id, goals, capabilities, claims, seen_at)
             SELECT id, 'default', $2, $3, $4, 0, clock_timestamp() - make_interval(secs => $5) FROM tenants WHERE owner = $1
             ON CONFLICT (tenant_id, namespace, worker_id) DO UPDATE
             SET goals = EXCLUDED.goals, capabilities = EXCLUDED.capabilities, seen_at = EXCLUDED.seen_at",
            &[&owner, &name, &goals, &capabilities, &ago],
        )
        .await;
}

#[tokio::test]
async fn the_timeline_tells_of_each_attempt() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let worker = alice.with("x-worker-id", "pi");
    let id = alice.published(intent_with("greet", json!({"max_attempts": 3}))).await;
    worker.fail(&worker.claimed("greet").await, "no paper").await.expect(200);
    app.db.make_due(&id).await;
    worker.claimed("greet").await;
    app.db.end_lease_and_backoff(&id).await;
    let claim = worker.claimed("greet").await;
    let events = async || {
        let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
        let events = seen["timeline"].as_array().unwrap().clone();
        events.iter().map(|event| (event["event"].as_str().unwrap().to_owned(), event.clone())).collect::<Vec<_>>()
    };
    let names = |events: &[(String, Value)]| events.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let running = events().await;
    let mut sorted = names(&running);
    sorted.sort_unstable();
    assert_eq!(sorted, ["claimed", "claimed", "claimed", "failed", "lapsed", "lease_ends", "published"]);
    let failed = &running.iter().find(|(name, _)| name == "failed").unwrap().1;
    assert_eq!(
        (&failed["error"], &failed["worker_id"], &failed["attempt"]),
        (&json!("no paper"), &json!("pi"), &json!(1))
    );
    worker.fulfill(&claim, json!({"printed": true})).await.expect(200);
    let done = events().await;
    assert_eq!((done.last().unwrap().0.as_str(), &done.last().unwrap().1["attempt"]), ("fulfilled", &json!(3)));
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!(seen["result"], json!({"text": "{\"printed\":true}", "bytes": 16, "cut": false}));
    assert_eq!((&seen["owner"], &seen["why"]), (&json!("alice"), &json!([])));
}

#[tokio::test]
async fn a_long_payload_is_cut_and_says_so() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let long = root.published(json!({"goal": "greet", "payload": {"a": "ä".repeat(50_000)}})).await;
    let seen = app.admin().get(&format!("/admin/intents/{long}")).await.expect(200);
    let payload = &seen["payload"];
    assert_eq!((&payload["bytes"], &payload["cut"]), (&json!(100_008), &json!(true)));
    assert!((65_530..=65_536).contains(&payload["text"].as_str().unwrap().len()));
    let short = root.published(intent("greet")).await;
    app.db.batch("UPDATE intents SET traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'").await;
    let seen = app.admin().get(&format!("/admin/intents/{short}")).await.expect(200);
    assert_eq!((&seen["payload"]["text"], &seen["payload"]["cut"]), (&json!(r#"{"n":1}"#), &json!(false)));
    assert_eq!(seen["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn it_says_that_nobody_asks_for_it_until_somebody_does() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    app.tenant("bob").await;
    let private = alice.published(intent("greet")).await;
    let public = alice.published(intent_with("greet", json!({"visibility": "public", "priority": 900}))).await;
    assert_eq!(codes(&app, &public).await, ["nobody_asks"]);
    worker(&app, "bob", "", Some(vec!["other"]), vec![], 1.0).await;
    assert_eq!(codes(&app, &public).await, ["nobody_asks"], "not for this goal");
    worker(&app, "bob", "", None, vec![], 400.0).await;
    assert_eq!(codes(&app, &public).await, ["nobody_asks"], "not of late");
    worker(&app, "bob", "", Some(vec!["other", "greet"]), vec![], 1.0).await;
    assert_eq!(codes(&app, &public).await, ["ready"]);
    assert_eq!(codes(&app, &private).await, ["nobody_asks", "others_first"], "another tenant's worker does not help");
    worker(&app, "alice", "pi", None, vec![], 1.0).await;
    assert_eq!(codes(&app, &private).await, ["others_first"]);
}

#[tokio::test]
async fn a_worker_that_takes_turns_between_goals_asks_for_each_of_them() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent("greet")).await;
    worker(&app, "alice", "pi", Some(vec!["other"]), vec![], 1.0).await;
    assert_eq!(codes(&app, &id).await, ["nobody_asks"]);
    for (goal, ago, expected) in
        [("greet", 290.0, "ready"), ("", 290.0, "ready"), ("greet", 310.0, "nobody_asks"), ("", 310.0, "nobody_asks")]
    {
        app.db
            .execute(
                "UPDATE workers SET asked_at =
                     jsonb_build_object('other', 0, $1::text, floor(extract(epoch FROM clock_timestamp()) - $2::float8))",
                &[&goal, &ago],
            )
            .await;
        assert_eq!(codes(&app, &id).await, [expected], "{goal:?} {ago} s ago");
    }
}

#[tokio::test]
async fn it_says_which_worker_or_capability_is_missing() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent_with("greet", json!({"target_worker": "pi", "required_capability": "gpu"}))).await;
    worker(&app, "alice", "phone", None, vec!["gpu"], 1.0).await;
    worker(&app, "alice", "Pi", None, vec!["gpu"], 1.0).await;
    assert_eq!(codes(&app, &id).await, ["target_never_seen"]);
    worker(&app, "alice", "pi", None, vec!["gpu"], 3600.0).await;
    assert_eq!(codes(&app, &id).await, ["target_away"]);
    worker(&app, "alice", "pi", None, vec!["cpu"], 1.0).await;
    assert_eq!(codes(&app, &id).await, ["no_capable_worker"]);
    worker(&app, "alice", "pi", None, vec!["cpu", "gpu"], 1.0).await;
    assert_eq!(codes(&app, &id).await, ["ready"]);
    // Named lately, if not by the last request.
    worker(&app, "alice", "pi", None, vec!["cpu"], 1.0).await;
    for (ago, expected) in [(290.0, "ready"), (310.0, "no_capable_worker")] {
        let sql = "UPDATE workers SET able_at = jsonb_build_object('gpu', floor(extract(epoch FROM clock_timestamp()) - $1::float8))";
        app.db.execute(sql, &[&ago]).await;
        assert_eq!(codes(&app, &id).await, [expected], "{ago} s ago");
    }
}

#[tokio::test]
async fn it_says_until_when_an_intent_is_not_due_what_is_paused_and_what_has_expired() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    worker(&app, "alice", "", None, vec![], 1.0).await;
    let delayed = alice.published(intent_with("later", json!({"delay": 600}))).await;
    assert_eq!(codes(&app, &delayed).await, ["delayed"]);
    let seen = app.admin().get(&format!("/admin/intents/{delayed}")).await.expect(200);
    assert_eq!(seen["why"][0]["until"], seen["run_at"]);
    let failed = alice.published(intent_with("greet", json!({"max_attempts": 2}))).await;
    let claim = alice.claimed("greet").await;
    assert_eq!(codes(&app, &failed).await, [""; 0], "it is claimed");
    alice.fail(&claim, "x").await.expect(200);
    assert_eq!(codes(&app, &failed).await, ["backing_off"]);
    app.db.make_due(&failed).await;
    for body in [json!({"namespace": "default"}), json!({"namespace": "default", "goal": "greet"})] {
        app.admin().post("/admin/pause", body).await.expect(200);
    }
    assert_eq!(codes(&app, &failed).await, ["namespace_paused", "goal_paused"]);
    app.db.age(&failed, 90_000.0).await;
    assert_eq!(codes(&app, &failed).await, ["expired"]);
}

#[tokio::test]
async fn it_says_that_limits_keep_everybody_from_it() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "3")]).await;
    let (alice, bob) = (app.limited_tenant("alice").await, app.limited_tenant("bob").await);
    let private = alice.published(intent("greet")).await;
    let public = alice.published(intent_with("greet", json!({"visibility": "public", "priority": 900}))).await;
    worker(&app, "alice", "", None, vec![], 1.0).await;
    assert_eq!(codes(&app, &public).await, ["ready"], "two of three are used");
    alice.published(intent("other")).await;
    assert_eq!(codes(&app, &private).await, ["rate_limited", "others_first"]);
    let seen = app.admin().get(&format!("/admin/intents/{private}")).await.expect(200);
    let until = seen["why"][0]["until"].as_f64().unwrap();
    let now: f64 = app.db.value("SELECT extract(epoch FROM clock_timestamp())::double precision", &[]).await;
    assert!((0.0..=62.0).contains(&(until - now)), "{until} at {now}");
    assert_eq!(codes(&app, &public).await, ["rate_limited"], "alice is the only one who asks");
    worker(&app, "bob", "", None, vec![], 1.0).await;
    assert_eq!(codes(&app, &public).await, ["ready"]);
    bob.published_many(&vec![intent("other"); 2]).await;
    bob.value("nothing").await.refused(404, "not_found");
    bob.value("nothing").await.refused(404, "not_found");
    assert_eq!(codes(&app, &public).await, ["rate_limited"]);
    let tenant: i64 = app.db.value("SELECT id FROM tenants WHERE owner = 'alice'", &[]).await;
    app.db.execute("UPDATE tenants SET rate_limit_per_minute = 4 WHERE id = $1", &[&tenant]).await;
    assert_eq!(codes(&app, &private).await, ["others_first"]);
    app.db.batch("UPDATE rate_windows SET seconds = ARRAY(SELECT unnest(seconds) - 61)").await;
    assert_eq!(codes(&app, &public).await, ["ready"]);
}

#[tokio::test]
async fn under_a_limit_that_was_lowered_it_says_until_when_enough_requests_count() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "3")]).await;
    let alice = app.limited_tenant("alice").await;
    let private = alice.published(intent("greet")).await;
    worker(&app, "alice", "", None, vec![], 1.0).await;
    let now: i64 = app.db.value("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await;
    let until = async |limit: i32| {
        app.db.execute("UPDATE tenants SET rate_limit_per_minute = $1 WHERE owner = 'alice'", &[&limit]).await;
        let seen = app.admin().get(&format!("/admin/intents/{private}")).await.expect(200);
        assert_eq!(seen["why"][0]["code"], "rate_limited", "{limit}");
        format!("{:.0}", seen["why"][0]["until"].as_f64().unwrap())
    };
    let windows = "UPDATE rate_windows SET seconds = ARRAY[$1::bigint - 30, $1 - 20, $1 - 10], hits = ARRAY[1, 1, 1]";
    app.db.execute(windows, &[&now]).await;
    let free_after = |age: i64| (now - age + 61).to_string();
    assert_eq!([until(3).await, until(2).await, until(1).await], [30, 20, 10].map(free_after));
}

#[tokio::test]
async fn it_says_that_no_key_may_claim_it() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let private = alice.published(intent("greet")).await;
    let public = alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    assert_eq!(codes(&app, &private).await, ["nobody_asks"]);
    for narrowed in [
        "scopes = ARRAY['publish']",
        "scopes = NULL, namespaces = ARRAY['elsewhere']",
        "namespaces = NULL, expires_at = clock_timestamp()",
        "expires_at = NULL, revoked_at = clock_timestamp()",
    ] {
        app.db.batch(&format!("UPDATE api_keys SET {narrowed}")).await;
        assert_eq!(codes(&app, &private).await, ["no_key"], "{narrowed}");
        assert_eq!(codes(&app, &public).await[0], "nobody_asks", "others may");
    }
    worker(&app, "alice", "", None, vec![], 1.0).await;
    assert_eq!(codes(&app, &private).await, ["no_key"], "whoever asked a moment ago cannot any more");
    app.db.batch("DELETE FROM workers").await;
    app.db.batch("UPDATE api_keys SET revoked_at = NULL, scopes = ARRAY['work'], namespaces = ARRAY['default']").await;
    assert_eq!(codes(&app, &private).await, ["nobody_asks"]);
    let root = app.root().published(intent("greet")).await;
    app.db.batch("DELETE FROM api_keys").await;
    assert_eq!(codes(&app, &root).await, ["nobody_asks"], "the root key can always");
}

#[tokio::test]
async fn those_in_front_are_counted_up_to_a_bound_and_only_those_that_are_due() {
    let app = TestApp::spawn().await;
    let root = app.root();
    worker(&app, "root", "", None, vec![], 1.0).await;
    root.published_many(&vec![intent("greet"); 3]).await;
    let last = root.published(intent_with("greet", json!({"priority": 5}))).await;
    root.published_many(&vec![intent_with("greet", json!({"delay": 600, "priority": 900})); 2]).await;
    root.published_many(&vec![intent_with("greet", json!({"priority": 4})); 2]).await;
    let why = async || app.admin().get(&format!("/admin/intents/{last}")).await.expect(200)["why"][0].clone();
    assert!(why().await["message"].as_str().unwrap().starts_with("3 of the same goal"), "{}", why().await);
    root.published_many(&vec![intent("greet"); 1000]).await;
    assert!(why().await["message"].as_str().unwrap().starts_with("1000 or more"), "{}", why().await);
}
