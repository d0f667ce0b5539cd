//! One pass of maintenance: what it does, what it leaves, and that passes at the same moment do not do it twice.

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

/// One pass, and what it says it has done.
async fn pass(app: &TestApp) -> Value {
    app.admin().cleanup().await.expect(200)
}

#[tokio::test]
async fn claims_whose_last_lease_has_ended_are_buried_and_others_are_not() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let publish = async |attempts: i32| root.published(intent_with("greet", json!({"max_attempts": attempts}))).await;
    let ended = publish(1).await;
    root.claimed("greet").await;
    let lives = publish(1).await;
    root.claimed("greet").await;
    let has_more = publish(2).await;
    root.claimed("greet").await;
    app.db.end_lease(&ended).await;
    app.db.end_lease(&has_more).await;
    assert_eq!(pass(&app).await["lapsed_claims"], 1);
    assert_eq!(app.db.count("intents").await, 2);
    for (id, state) in [(&ended, "dead"), (&lives, "claimed"), (&has_more, "open")] {
        assert_eq!(root.status(id).await.expect(200)["status"], state);
    }
    assert_eq!(pass(&app).await["lapsed_claims"], 0);
}

#[tokio::test]
async fn the_reason_of_a_lapsed_claim_is_its_last_failure_if_it_had_one() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent_with("greet", json!({"max_attempts": 2}))).await;
    root.fail(&root.claimed("greet").await, "no paper").await.expect(200);
    app.db.make_due(&id).await;
    root.claimed("greet").await;
    app.db.end_lease(&id).await;
    pass(&app).await;
    assert_eq!(root.result(&id).await.expect(200)["error"], "no paper");
}

#[tokio::test]
async fn intents_past_their_time_to_live_are_buried_whatever_became_of_their_claims() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let root = app.root();
    let never_claimed = root.published(intent("a")).await;
    app.db.age(&never_claimed, 101.0).await;
    let long_ended = root.published(intent("b")).await;
    root.claimed("b").await;
    app.db.end_lease_and_backoff(&long_ended).await;
    app.db.age(&long_ended, 101.0).await;
    let fresh = root.published(intent("c")).await;
    let waiting = root.published(intent_with("d", json!({"delay": 500}))).await;
    assert_eq!(pass(&app).await["expired_intents"], 2);
    for (id, state) in [(&never_claimed, "dead"), (&long_ended, "dead"), (&fresh, "open"), (&waiting, "open")] {
        assert_eq!(root.status(id).await.expect(200)["status"], state);
    }
}

#[tokio::test]
async fn two_passes_at_once_do_nothing_twice() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100"), ("BUS_DATABASE_POOL_SIZE", "12")]).await;
    let replica = app.replica(&[("BUS_INTENT_TTL_SECONDS", "100"), ("BUS_DATABASE_POOL_SIZE", "12")]).await;
    let alice = app.tenant("alice").await;
    for _ in 0..30 {
        let id = alice.published(intent_with("lapsed", json!({"max_attempts": 1}))).await;
        alice.claimed("lapsed").await;
        app.db.end_lease(&id).await;
        let id = alice.published(intent("expired")).await;
        app.db.age(&id, 101.0).await;
        alice.set(&format!("k{id}"), json!(1)).await.expect(200);
    }
    app.db.batch("UPDATE key_values SET expires_at = clock_timestamp()").await;
    let passes = (0..8).map(|number| pass(if number % 2 == 0 { &app } else { &replica }));
    let done = futures_util::future::join_all(passes).await;
    let sum = |kind: &str| done.iter().map(|done| done[kind].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("lapsed_claims"), sum("expired_intents"), sum("values"), sum("emptied_slots")), (30, 30, 30, 2));
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (0, 60));
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 0);
    app.db.pass_a_minute().await;
    let passes = (0..8).map(|number| pass(if number % 2 == 0 { &app } else { &replica }));
    futures_util::future::join_all(passes).await;
    app.db.nobody_counts().await;
    assert_eq!(app.db.value::<i64>("SELECT sum(count)::bigint FROM finished_totals", &[]).await, 60);
}

#[tokio::test]
async fn what_one_replica_is_adding_up_is_left_alone_by_the_others() {
    let app = TestApp::spawn().await;
    let replica = app.replica(&[]).await;
    let id = app.root().published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    // Before it is old enough to be added up, so that nobody else makes this row.
    app.db
        .batch(
            "INSERT INTO finished_totals
             SELECT ((finished_at - interval '1 minute') AT TIME ZONE 'UTC')::date, namespace, state, 0 FROM finished",
        )
        .await;
    app.db.pass_a_minute().await;
    // The first pass has begun to add, and cannot end.
    let mut session = app.db.session().await;
    let holder = session.transaction().await.unwrap();
    holder.batch_execute("SELECT FROM finished_totals FOR UPDATE").await.unwrap();
    let second = async {
        app.db.somebody_waits().await;
        pass(&replica).await;
        holder.rollback().await.unwrap();
    };
    tokio::join!(pass(&app), second);
    // The replica's own count may have been the first.
    app.db.nobody_counts().await;
    assert_eq!(app.db.value::<i64>("SELECT count FROM finished_totals", &[]).await, 1);
}

#[tokio::test]
async fn expired_values_are_deleted_and_others_stay() {
    let app = TestApp::spawn().await;
    for key in ["old", "new"] {
        app.root().set(key, json!(1)).await.expect(200);
    }
    app.db.batch("UPDATE key_values SET expires_at = clock_timestamp() WHERE key = 'old'").await;
    assert_eq!(pass(&app).await["values"], 1);
    assert_eq!(app.db.value::<String>("SELECT key FROM key_values", &[]).await, "new");
}

#[tokio::test]
async fn lanes_that_nobody_uses_any_more_are_dropped_and_others_stay() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published(intent("stays")).await;
    let gone = root.published(intent("gone")).await;
    app.admin().cancel(&gone).await.expect(200);
    // Those of each goal, and the one for any goal, which they share.
    assert_eq!(app.db.count("lane_priorities").await, 3);
    app.db
        .batch(
            "INSERT INTO lane_priorities (lane, priority) VALUES (1, 100);
             UPDATE lane_priorities SET used_at = used_at - interval '3 days'",
        )
        .await;
    // Somebody publishes into it, and has not committed yet.
    let mut session = app.db.session().await;
    let renews = session.transaction().await.unwrap();
    renews.batch_execute("UPDATE lane_priorities SET used_at = clock_timestamp() WHERE lane = 1").await.unwrap();
    let commit = async {
        app.db.somebody_waits().await;
        renews.commit().await.unwrap();
    };
    tokio::join!(pass(&app), commit);
    assert_eq!(app.db.count("lane_priorities").await, 3);
    assert_eq!(app.db.value::<i64>("SELECT count(*) FROM lane_priorities WHERE lane = 1", &[]).await, 1);
    root.claimed("stays").await;
}

#[tokio::test]
async fn the_slot_of_a_ring_is_emptied_once_half_a_turn_before_it_is_used_again() {
    let app = TestApp::spawn().await;
    for (ring, period, columns, values) in [
        ("nonces", 600, "slot, hash", "slot, gen_random_uuid()"),
        ("idempotency_keys", 86_400, "slot, hash, request_hash", "slot, gen_random_uuid(), gen_random_uuid()"),
    ] {
        let fill = format!(
            "UPDATE ring_slots SET emptied_for = 0; TRUNCATE {ring}; INSERT INTO {ring} ({columns}) SELECT {values} FROM generate_series(0, 3) AS slot"
        );
        // The replica's own first pass may have been here already; then this one takes its place.
        app.db.batch(&format!("{fill}; UPDATE ring_slots SET emptied_for = 0 WHERE ring = '{ring}'")).await;
        let slot_now =
            format!("SELECT (floor(extract(epoch FROM clock_timestamp()) / {period})::bigint % 4)::smallint");
        let before: i16 = app.db.value(&slot_now, &[]).await;
        pass(&app).await;
        let after: i16 = app.db.value(&slot_now, &[]).await;
        let left: Vec<i16> = app.db.value(&format!("SELECT array_agg(slot ORDER BY slot) FROM {ring}"), &[]).await;
        let emptied: Vec<i16> = (0..4).filter(|slot| !left.contains(slot)).collect();
        assert!(emptied == [(before + 2) % 4] || emptied == [(after + 2) % 4], "{ring}: {left:?}, now {before}");
        assert_eq!(pass(&app).await["emptied_slots"], 0, "{ring}");
        assert_eq!(app.db.count(ring).await, 3);
    }
}

#[tokio::test]
async fn partitions_are_made_for_today_and_the_week_ahead() {
    let app = TestApp::spawn().await;
    let names =
        "SELECT array_agg(inhrelid::regclass::text ORDER BY 1) FROM pg_inherits WHERE inhparent = $1::text::regclass";
    for parent in ["payloads", "finished"] {
        let before: Vec<String> = app.db.value(names, &[&parent]).await;
        assert!(before.len() >= 8, "{before:?}");
        let ahead = &before[before.len() - 3..];
        app.db.batch(&format!("DROP TABLE {}", ahead.join(", "))).await;
        pass(&app).await;
        let after: Vec<String> = app.db.value(names, &[&parent]).await;
        assert!(before.iter().all(|name| after.contains(name)), "{after:?}");
    }
}

#[tokio::test]
async fn finished_intents_are_kept_for_the_retention_and_then_dropped_by_the_day() {
    let app = TestApp::with(&[("BUS_RETENTION_DAYS", "3")]).await;
    let root = app.root();
    let mut ids = Vec::new();
    for days in [2, 3, 4, 400] {
        let id = root.published(intent("greet")).await;
        root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
        app.db.day_partition("finished", days).await;
        let uuid = uuid::Uuid::try_parse(&id).unwrap();
        let move_back = format!("UPDATE finished SET finished_at = finished_at - interval '{days} days' WHERE id = $1");
        assert_eq!(app.db.execute(&move_back, &[&uuid]).await, 1);
        ids.push(id);
    }
    assert_eq!(pass(&app).await["dropped_partitions"], 2);
    let mut seen = Vec::new();
    for id in &ids {
        seen.push(root.result(id).await.status);
    }
    assert_eq!(seen, [200, 200, 404, 404]);
    assert_eq!(pass(&app).await["dropped_partitions"], 0);
}

/// Moves all payloads so many days into the past, as if their intents had been published then.
async fn age_payloads(app: &TestApp, days: i32) {
    app.db.day_partition("payloads", days).await;
    app.db
        .batch(&format!(
            "UPDATE payloads SET day = (clock_timestamp() AT TIME ZONE 'UTC')::date - {days};
             UPDATE intents SET payload_day = (clock_timestamp() AT TIME ZONE 'UTC')::date - {days}"
        ))
        .await;
}

#[tokio::test]
async fn a_payload_that_is_still_needed_is_moved_out_of_an_old_partition() {
    let app = TestApp::spawn().await;
    let body = r#"{"goal":"greet","payload":{ "n" : 1e400 },"reward":[5],"max_attempts":2}"#;
    let id = app.root().published(body).await;
    age_payloads(&app, 2).await;
    assert_eq!(pass(&app).await["moved_payloads"], 0);
    age_payloads(&app, 3).await;
    assert_eq!(pass(&app).await["moved_payloads"], 1);
    assert_eq!(pass(&app).await["moved_payloads"], 0);
    app.db.batch("DELETE FROM payloads WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date").await;
    assert!(app.root().claim("greet").await.text().contains(r#""payload":{ "n" : 1e400 },"#));
    assert_eq!(app.db.value::<Vec<u8>>("SELECT reward FROM payloads", &[]).await, b"[5]");
    app.admin().cancel(&id).await.expect(200);
    assert!(app.admin().get(&format!("/admin/dead/{id}")).await.text().contains("1e400"));
}

#[tokio::test]
async fn a_partition_of_payloads_is_dropped_when_nothing_needs_it_any_more() {
    let app = TestApp::with(&[("BUS_RETENTION_DAYS", "1")]).await;
    let id = app.root().published(intent("greet")).await;
    for days in [5, 6, 7] {
        app.db.day_partition("payloads", days).await;
    }
    age_payloads(&app, 6).await;
    // While somebody holds the intent, its payload cannot be moved.
    let mut session = app.db.session().await;
    let holder = session.transaction().await.unwrap();
    let uuid = uuid::Uuid::try_parse(&id).unwrap();
    holder.query_one("SELECT id FROM intents WHERE id = $1 FOR UPDATE", &[&uuid]).await.unwrap();
    let done = pass(&app).await;
    assert_eq!(
        (&done["moved_payloads"], &done["dropped_partitions"]),
        (&json!(0), &json!(1)),
        "that of the seventh day"
    );
    holder.rollback().await.unwrap();
    let done = pass(&app).await;
    assert_eq!((&done["moved_payloads"], &done["dropped_partitions"]), (&json!(1), &json!(1)), "that of the sixth day");
    assert_eq!(app.root().claimed("greet").await.body["payload"], json!({"n": 1}));
}

#[tokio::test]
async fn open_intents_are_counted_as_a_claim_would_find_them() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let root = app.root();
    root.published(intent("open")).await;
    root.published(intent_with("later", json!({"delay": 50}))).await;
    let again = root.published(intent("again")).await;
    root.claimed("again").await;
    app.db.end_lease(&again).await;
    root.published(intent("held")).await;
    root.claimed("held").await;
    // Counted only: nothing of it is buried before the totals are read.
    app.db.batch("UPDATE open_totals_progress SET counted_at = '-infinity'").await;
    pass(&app).await;
    app.db.nobody_counts().await;
    let sql = "SELECT string_agg(state || ' ' || count, ', ' ORDER BY state) FROM open_totals";
    assert_eq!(app.db.value::<String>(sql, &[]).await, "open 3, claimed 1");
    // Not again within five seconds.
    root.published(intent("open")).await;
    pass(&app).await;
    assert_eq!(app.db.value::<String>(sql, &[]).await, "open 3, claimed 1");
    app.count_all().await;
    assert_eq!(app.db.value::<String>(sql, &[]).await, "open 4, claimed 1");
}

#[tokio::test]
async fn the_totals_follow_what_operators_do_to_finished_intents() {
    let app = TestApp::spawn().await;
    let (root, admin) = (app.root(), app.admin());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(root.published(intent("greet")).await);
        root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
    }
    let totals = async || {
        app.count_all().await;
        let sql = "SELECT coalesce(string_agg(state || ' ' || count, ', ' ORDER BY state), '') FROM finished_totals WHERE count <> 0";
        app.db.value::<String>(sql, &[]).await
    };
    assert_eq!(totals().await, "fulfilled 3");
    admin.cancel(&ids[0]).await.expect(200);
    admin.cancel(&ids[1]).await.expect(200);
    admin.cancel(&ids[1]).await.expect(200);
    assert_eq!(totals().await, "fulfilled 1, dead 2");
    admin.retry(&ids[0]).await.expect(200);
    assert_eq!(totals().await, "fulfilled 1, dead 1");
    admin.cancel(&ids[0]).await.expect(200);
    admin.retry(&ids[0]).await.expect(200);
    assert_eq!(totals().await, "fulfilled 1, dead 1");
}
