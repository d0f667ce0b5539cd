//! `GET /admin/overview` and `GET /admin/workers`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn the_overview_adds_up_what_all_replicas_did() {
    let app = TestApp::spawn().await;
    app.root().published_many(&vec![intent("greet"); 3]).await;
    app.count_all().await;
    // Two replicas in one step, a minute ago: half of the claims waited up to 10 ms, half up to 25 ms. And a step that is too old.
    app.db
        .batch(
            "DELETE FROM activity;
             INSERT INTO activity
             SELECT to_timestamp(10 * floor(extract(epoch FROM clock_timestamp() - ago) / 10)), gen_random_uuid(), 'default', 'mail',
                    7, 6, 5, 4, 3, array_fill(0::bigint, ARRAY[3]) || ARRAY[half, 10 - half] || array_fill(0::bigint, ARRAY[12]),
                    array_fill(0::bigint, ARRAY[17]), array_fill(0::bigint, ARRAY[16]) || 2::bigint
             FROM (VALUES (interval '1 minute', 10::bigint), ('1 minute', 0), ('70 minutes', 10)) AS step (ago, half);
             INSERT INTO replicas (id, host, version, seen_at) VALUES
                 (gen_random_uuid(), 'gone', '0.1.0', clock_timestamp() - interval '10 minutes');
             INSERT INTO workers (tenant_id, namespace, worker_id, capabilities, claims, seen_at) VALUES
                 (0, 'default', 'pi', '{gpu}', 3, clock_timestamp()),
                 (0, 'default', 'old', '{}', 3, clock_timestamp() - interval '6 minutes')",
        )
        .await;
    let seen = app.admin().get("/admin/overview").await.expect(200);
    // But for the last half minute: what this replica itself has done may be written down meanwhile.
    let sum = |name: &str| {
        let steps = seen["flow"][name].as_array().unwrap();
        steps[..357].iter().map(|count| count.as_i64().unwrap()).sum::<i64>()
    };
    let sums = ["published", "claimed", "fulfilled", "failed", "dead"].map(sum);
    assert_eq!(sums, [14, 12, 10, 8, 6]);
    assert_eq!(seen["flow"]["published"].as_array().unwrap().len(), 360);
    let last = seen["flow"]["from"].as_f64().unwrap() + 3590.0;
    let now = seen["at"].as_f64().unwrap();
    assert!(last <= now && now < last + 10.0, "the last step is the one that runs: {last} {now}");
    let mail = &seen["latencies"][0];
    assert_eq!(
        (&mail["goal"], &mail["waited"]["count"], &mail["waited"]["p50"]),
        (&json!("mail"), &json!(20), &json!(0.01))
    );
    assert_eq!((&mail["worked"]["p99"], &mail["took"]["p50"]), (&Value::Null, &json!(300.0)));
    assert_eq!(seen["totals"]["open"], 3);
    assert_eq!((&seen["goals"][0]["goal"], &seen["goals"][0]["claimable"]), (&json!("greet"), &json!(3)));
    assert!(seen["goals"][0]["oldest_age"].as_f64().is_some_and(|age| age > 0.0));
    let gone = seen["replicas"].as_array().unwrap().iter().find(|replica| replica["host"] == "gone").unwrap();
    assert_eq!(gone["alive"], false);
    assert_eq!((&seen["workers_seen"], &seen["workers"][0]["worker_id"]), (&json!(1), &json!("pi")));
    assert_eq!(seen["workers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_who_look_at_the_overview_cost_one_reading_a_second() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    let looks = futures_util::future::join_all((0..20).map(|_| admin.get("/admin/overview"))).await;
    let mut read: Vec<String> = looks.iter().map(|answer| answer.expect(200)["at"].to_string()).collect();
    read.dedup();
    // A busy machine may take more than a second for all of them.
    assert!(read.len() <= 3, "{read:?}");
}

#[tokio::test]
async fn those_who_wait_for_an_overview_that_cannot_be_read_are_told_together() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    let holder = app.db.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE replicas IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    let began = Instant::now();
    let looks = futures_util::future::join_all((0..4).map(|_| admin.get("/admin/overview"))).await;
    for look in looks {
        look.refused(503, "database_busy");
    }
    // One of them has waited for the 5 s of a statement, the others for it and not for statements of their own.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    holder.batch_execute("ROLLBACK").await.expect("the end of the lock");
}

#[tokio::test]
async fn workers_are_listed_page_by_page_those_seen_last_first() {
    let app = TestApp::spawn().await;
    app.db
        .batch(
            "INSERT INTO workers (tenant_id, namespace, worker_id, goals, capabilities, claims, seen_at)
             SELECT 0, 'default', 'pi~' || number, ARRAY['greet'], '{}', number,
                    date_trunc('second', clock_timestamp()) - (number / 2) * interval '1 second'
             FROM generate_series(0, 6) AS number",
        )
        .await;
    let (mut names, mut before) = (Vec::new(), String::new());
    loop {
        let page = app.admin().get(&format!("/admin/workers?limit=2&before={before}")).await.expect(200);
        names.extend(
            page["workers"].as_array().unwrap().iter().map(|worker| worker["worker_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut before);
    }
    assert_eq!(names, ["pi~1", "pi~0", "pi~3", "pi~2", "pi~5", "pi~4", "pi~6"]);
    for before in ["x", "1~2", "-1~0~a~b", "x~0~a~b", "1~0~a~b%00"] {
        app.admin().get(&format!("/admin/workers?before={before}")).await.refused(400, "invalid_request");
    }
}
