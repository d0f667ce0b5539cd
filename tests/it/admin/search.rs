//! `GET /admin/intents`: what it finds, in which order, and how many rows it reads for that.

use std::collections::BTreeSet;

use intent_bus::store::{connect, connect::Address, operators::search::SEARCHING, statements};
use serde_json::{Value, json};

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

/// The ids that a search finds, page by page.
async fn found(admin: &Client, query: &str) -> Vec<String> {
    let (mut ids, mut before) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/admin/intents?{query}&before={before}")).await.expect(200);
        let rows = page["intents"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut before),
            None => return ids,
        }
    }
}

/// One intent of each state, by its name.
async fn one_of_each(app: &TestApp) -> Vec<(&'static str, String)> {
    let alice = app.tenant("alice").await;
    let waiting = alice.published(intent_with("later", json!({"delay": 3600, "namespace": "east"}))).await;
    let claimable = alice.published(intent("now")).await;
    let claimed = alice.published(intent("held")).await;
    alice.with("x-worker-id", "pi").claimed("held").await;
    let fulfilled = alice.published(intent("done")).await;
    alice.fulfill(&alice.claimed("done").await, json!(1)).await.expect(200);
    let dead = alice.published(intent("lost")).await;
    alice.fail(&alice.claimed("lost").await, "No Paper in tray 2").await.expect(200);
    vec![("waiting", waiting), ("claimable", claimable), ("claimed", claimed), ("fulfilled", fulfilled), ("dead", dead)]
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let app = TestApp::spawn().await;
    let each = one_of_each(&app).await;
    let bob = app.tenant("bob").await.published(intent("now")).await;
    let admin = app.admin();
    for (state, id) in &each {
        let expected: &[&String] = if *state == "claimable" { &[&bob, id] } else { &[id] };
        assert_eq!(found(&admin, &format!("state={state}")).await.iter().collect::<Vec<_>>(), expected, "{state}");
    }
    let id = |state: &str| each.iter().find(|(name, _)| *name == state).unwrap().1.clone();
    assert_eq!(found(&admin, "state=open").await, [bob.clone(), id("claimable"), id("waiting")]);
    assert_eq!(found(&admin, "namespace=east").await, [id("waiting")]);
    assert_eq!(found(&admin, "goal=now").await, [bob.clone(), id("claimable")]);
    assert_eq!(found(&admin, "worker=pi").await, [id("claimed")]);
    assert_eq!(found(&admin, "error=no%20paper").await, [id("dead")]);
    assert_eq!(found(&admin, "state=dead&error=no%20paper").await, [id("dead")]);
    assert_eq!(found(&admin, &format!("id={}", id("fulfilled"))).await, [id("fulfilled")]);
    let tenant: i64 = app.db.value("SELECT id FROM tenants WHERE owner = 'bob'", &[]).await;
    assert_eq!(found(&admin, &format!("tenant={tenant}")).await, [bob.as_str()]);
    assert_eq!(found(&admin, &format!("tenant={tenant}&goal=held")).await, [""; 0]);
    // Forms send all their fields.
    assert_eq!(found(&admin, "id=&goal=&namespace=&state=&tenant=&since=&until=&worker=&limit=").await.len(), 6);
}

#[tokio::test]
async fn a_search_shows_an_intent_as_it_is_seen_from_outside() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let lapsed = root.published(intent_with("greet", json!({"max_attempts": 2}))).await;
    root.claimed("greet").await;
    app.db.end_lease(&lapsed).await;
    let expired = root.published(intent("old")).await;
    app.db.age(&expired, 90_000.0).await;
    let admin = app.admin();
    assert_eq!(found(&admin, "state=waiting").await, [lapsed.as_str()]);
    app.db.end_lease_and_backoff(&lapsed).await;
    assert_eq!(found(&admin, "state=claimable").await, [lapsed.as_str()]);
    let row = admin.get(&format!("/admin/intents?id={expired}")).await.expect(200)["intents"][0].clone();
    assert_eq!((&row["status"], &row["owner"], &row["tenant"]), (&json!("dead"), &json!("root"), &json!(0)));
    // In the list of the dead it is once maintenance has buried it.
    assert_eq!(found(&admin, "state=dead").await, [""; 0]);
    admin.cleanup().await.expect(200);
    assert_eq!(found(&admin, "state=dead").await, [expired.as_str()]);
}

#[tokio::test]
async fn pages_have_every_intent_once_the_newest_first() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let mut ids = root.published_many(&vec![intent("greet"); 7]).await;
    for claim in root.claim_many("greet", 4).await {
        root.fulfill(&claim, json!(1)).await.expect(200);
    }
    ids.sort_unstable();
    ids.reverse();
    for limit in [1, 3, 7, 8] {
        assert_eq!(found(&app.admin(), &format!("limit={limit}")).await, ids, "{limit}");
    }
    let page = app.admin().get("/admin/intents?limit=7").await.expect(200);
    assert_eq!((&page["next"], &page["searched_until"]), (&Value::Null, &Value::Null), "nothing is left");
}

#[tokio::test]
async fn times_bound_a_search_by_publication_and_among_the_dead_by_death() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let now: f64 = app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await;
    let id = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "x").await.expect(200);
    let admin = app.admin();
    for state in ["", "&state=dead"] {
        let (past, future) = (now - 60.0, now + 60.0);
        assert_eq!(found(&admin, &format!("since={past}&until={future}{state}")).await, [id.as_str()], "{state}");
        assert_eq!(found(&admin, &format!("since={future}{state}")).await, [""; 0], "{state}");
        assert_eq!(found(&admin, &format!("until={past}{state}")).await, [""; 0], "{state}");
    }
    let died: f64 = app.db.value("SELECT extract(epoch FROM finished_at)::float8 FROM finished", &[]).await;
    assert_eq!(found(&admin, &format!("state=dead&until={died}")).await, [""; 0], "until is left out");
    assert_eq!(found(&admin, &format!("state=dead&since={died}")).await, [id.as_str()], "since is in");
}

#[tokio::test]
async fn dead_letters_come_in_the_order_of_their_death_also_page_by_page() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let ids = root.published_many(&vec![intent("greet"); 5]).await;
    // Those published first die last; two at the very same moment.
    for (number, id) in ids.iter().enumerate() {
        app.admin().cancel(id).await.expect(200);
        let ago = format!("{} milliseconds", number.max(1) * 10);
        let moved = "UPDATE finished SET finished_at = date_trunc('day', clock_timestamp()) + interval '10 h' - $2::text::interval WHERE id = $1::text::uuid";
        app.db.execute(moved, &[id, &ago]).await;
    }
    let mut expected = ids.clone();
    expected[..2].sort_unstable_by(|one, other| other.cmp(one));
    for limit in [1, 2, 10] {
        assert_eq!(found(&app.admin(), &format!("state=dead&limit={limit}")).await, expected, "{limit}");
    }
    // The older route: a bare list, and a link to the next page that keeps the filter.
    let (mut seen, mut target) = (Vec::new(), Some("/admin/dead?limit=2&goal=greet".to_owned()));
    while let Some(page) = target {
        let answer = app.admin().get(&page).await;
        let letters = answer.expect(200);
        seen.extend(letters.as_array().unwrap().iter().map(|one| one["intent_id"].as_str().unwrap().to_owned()));
        target = answer.header("link").map(|link| {
            assert!(link.contains("limit=2&goal=greet&before=") && link.ends_with(">; rel=\"next\""), "{link}");
            link[1..link.find('>').unwrap()].to_owned()
        });
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_cannot_be_searched_for_is_refused() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    for query in [
        "id=x",
        "state=lost",
        "tenant=-1",
        "tenant=99999999999999999999",
        "since=x",
        "since=-1",
        "until=1e300",
        "until=NaN",
        "limit=0",
        "limit=201",
        "limit=x",
        "before=x",
        "worker=a%00b",
        "error=a%00b",
        "state=dead&before=00000000000000000000000000000000",
        "before=1-00000000000000000000000000000000",
        "goal=a&goal=b",
    ] {
        admin.get(&format!("/admin/intents?{query}")).await.refused(400, "invalid_request");
    }
    admin.get("/admin/intents?namespace=a/b").await.refused(400, "invalid_namespace");
    admin.get("/admin/intents?goal=%20").await.refused(400, "invalid_goal");
    admin.get("/admin/dead?before=00000000000000000000000000000000").await.refused(400, "invalid_request");
}

/// Rows that the scans of tables in a plan have read.
fn rows_read(plan: &Value) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let own = if plan["Relation Name"].is_string() {
        (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops")
    } else {
        0.0
    };
    own + plan["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<f64>()
}

/// `SEARCH_ROWS` sets how many finished intents there are (100,000), a fifth of them dead; and a tenth as many unfinished ones.
#[tokio::test]
async fn a_search_reads_a_bounded_number_of_rows_whatever_it_is_for() {
    let app = TestApp::spawn().await;
    let finished: i64 = std::env::var("SEARCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    app.db.day_partition("finished", 1).await;
    app.db
        .batch(&format!(
            "CREATE FUNCTION pg_temp.id_of(at timestamptz, number bigint) RETURNS uuid LANGUAGE sql AS $$
                 SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(number), 12, '0'))::uuid
             $$;
             INSERT INTO finished (
                 id, finished_at, tenant_id, created_at, run_at, backoff_base, payload_day, state, priority, claim_attempts,
                 max_attempts, has_retry_policy, public, namespace, goal, last_error
             )
             SELECT pg_temp.id_of(at, number), at, 0, at, at, 5, current_date,
                    CASE WHEN number % 5 = 0 THEN 'dead' ELSE 'fulfilled' END::intent_state,
                    100, 1, 3, true, false, 'default', 'goal-' || number % 50, 'broken'
             FROM generate_series(1, {finished}) AS number,
                  LATERAL (SELECT clock_timestamp() - number * interval '10 milliseconds' AS at) AS when_it_was;
             INSERT INTO intents (
                 id, tenant_id, own_goal_lane, own_lane, created_at, run_at, visible_at, backoff_base, payload_day, priority,
                 max_attempts, has_retry_policy, namespace, goal
             )
             SELECT pg_temp.id_of(at, {finished} + number), 0, 1, 2, at, at, at, 5, current_date, 100, 3, true, 'default', 'open'
             FROM generate_series(1, {finished} / 10) AS number,
                  LATERAL (SELECT clock_timestamp() - number * interval '100 milliseconds' AS at) AS when_it_was",
        ))
        .await;
    let session = connect(&Address::parse(&app.db.url).unwrap()).await.unwrap();
    for (name, file) in [
        ("search", "operators/search.sql"),
        ("search_dead", "operators/search_dead.sql"),
        ("redrive_find", "operators/redrive_find.sql"),
    ] {
        let statements = statements::all();
        let (_, text) = statements.iter().find(|(named, _)| *named == file).unwrap();
        session.batch_execute(&format!("PREPARE {name} AS {text}")).await.unwrap();
    }
    let all = "'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000'";
    let dead = "NULL, '00000000-0000-0000-0000-000000000000', 'epoch'";
    let by_id = |sources: &str, filter: &str| format!("search({all}, {sources}, {filter}, 86400, 20000, 52)");
    // A page that is full at once, and filters that nothing matches.
    let cases = [
        ("anything", by_id("true, true", "NULL, NULL, NULL, NULL, NULL, NULL"), 120.0),
        ("anything dead", format!("search_dead({dead}, NULL, NULL, NULL, NULL, NULL, 20000, 52)"), 120.0),
        ("no such goal", by_id("true, true", "NULL, NULL, 'none', NULL, NULL, NULL"), 20_200.0),
        ("no such tenant", by_id("true, true", "NULL, NULL, NULL, 7, NULL, NULL"), 20_200.0),
        ("no such worker", by_id("true, true", "NULL, NULL, NULL, NULL, 'none', NULL"), 20_200.0),
        ("no such error", by_id("true, true", "NULL, NULL, NULL, NULL, NULL, 'none'"), 20_200.0),
        ("nothing claimed", by_id("true, false", "'claimed', NULL, NULL, NULL, NULL, NULL"), 20_200.0),
        ("no such goal fulfilled", by_id("false, true", "'fulfilled', NULL, 'none', NULL, NULL, NULL"), 20_200.0),
        ("no such goal dead", format!("search_dead({dead}, NULL, 'none', NULL, NULL, NULL, 20000, 52)"), 20_200.0),
        (
            "no such error to redrive",
            "redrive_find(NULL, 'epoch', NULL, NULL, NULL, 'none', 15000, 101)".to_owned(),
            15_200.0,
        ),
    ];
    eprintln!("rows read and milliseconds, among {finished} finished and {} unfinished intents", finished / 10);
    let mut analyzed = false;
    loop {
        for (what, call, most) in &cases {
            session.batch_execute(&format!("BEGIN; {SEARCHING}")).await.unwrap();
            let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {call}");
            let row = session.simple_query(&explain).await.unwrap();
            session.batch_execute("COMMIT").await.unwrap();
            let text = row.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            let plan: Value = serde_json::from_str(&text.unwrap()).unwrap();
            let read = rows_read(&plan[0]["Plan"]);
            eprintln!("{what:26} {read:8} {:8.1}", plan[0]["Execution Time"].as_f64().unwrap());
            assert!(read <= *most, "{what}: {read} rows: {plan:#}");
        }
        if analyzed {
            break;
        }
        // As it is before and after the first statistics.
        app.db.batch("ANALYZE finished; ANALYZE intents").await;
        analyzed = true;
    }

    // Through the API: early pages say how far they came, and in the end everything has been searched.
    let admin = app.admin();
    let (mut before, mut pages, mut earlier) = (String::new(), 0, f64::INFINITY);
    loop {
        let page = admin.get(&format!("/admin/intents?goal=none&before={before}")).await.expect(200);
        assert_eq!(page["intents"], json!([]));
        let Some(next) = page["next"].as_str() else { break };
        let until = page["searched_until"].as_f64().unwrap();
        assert!(until < earlier, "the search goes on");
        (earlier, before, pages) = (until, next.to_owned(), pages + 1);
    }
    assert_eq!(pages, (finished + finished / 10) / 20_000);
    let goals: BTreeSet<String> = {
        let page = admin.get("/admin/intents?state=dead&goal=goal-5&limit=200").await.expect(200);
        page["intents"].as_array().unwrap().iter().map(|row| row["goal"].to_string()).collect()
    };
    assert_eq!(goals.len(), 1);
}
