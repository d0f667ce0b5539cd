//! How long pages take with many rows, and how many rows they touch. What each statement may read at most is held to in
//! `admin/search.rs`; here the pages are asked over HTTP.
//!
//! `PAGES_ROWS` sets how many finished intents there are (20,000), a tenth of them dead; and a tenth as many unfinished ones. With
//! it set, the rows and blocks that each page touches are counted, which takes eleven seconds a page: sessions tell their
//! counts that late. `PAGES_ROWS=10000000 cargo test --release --test it dashboard::rows -- --nocapture`

use std::time::{Duration, Instant};

use super::browser;
use crate::support::{Client, TestApp, TestDb};

/// After this a session that does nothing has told its counts.
const COUNTS_ARE_TOLD: Duration = Duration::from_secs(11);
/// Rows of one step of the filling.
const STEP: i64 = 500_000;

/// Finished intents of the last five days and unfinished ones of the last hour: 200 goals, 20 tenants and some workers of each
/// other's size, and a goal that is rare.
async fn fill(db: &TestDb, finished: i64) {
    for day in 1..=6 {
        db.day_partition("finished", day).await;
        db.day_partition("payloads", day).await;
    }
    db.batch(
        "CREATE FUNCTION id_of(at timestamptz, number bigint) RETURNS uuid LANGUAGE sql AS $$
             SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(number), 12, '0'))::uuid
         $$;
         INSERT INTO tenants (owner) SELECT 'tenant ' || number FROM generate_series(1, 20) AS number",
    )
    .await;
    for from in (1..=finished).step_by(usize::try_from(STEP).unwrap()) {
        let to = (from + STEP - 1).min(finished);
        db.batch(&format!(
            "INSERT INTO finished (
                 id, finished_at, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, state, priority,
                 claim_attempts, max_attempts, has_retry_policy, public, namespace, goal, worker_id, last_error, result, result_type
             )
             SELECT id_of(at, number), at + interval '3 seconds', 1 + number % 20, 1, at, at, 5, (at AT TIME ZONE 'UTC')::date,
                    CASE WHEN number % 10 = 0 THEN 'dead' ELSE 'fulfilled' END::intent_state,
                    100, 1, 3, true, false, CASE WHEN number % 4 = 0 THEN 'east' ELSE 'default' END,
                    CASE WHEN number = {finished} / 2 THEN 'rare' ELSE 'goal-' || number % 200 END, CASE WHEN number % 3 = 1 THEN 'worker-' || number % 40 END,
                    CASE WHEN number % 10 = 0 THEN 'HTTP 50' || number % 4 || ' from somewhere' END, '{{\"ok\":true}}'::bytea, 'json'
             FROM generate_series({from}, {to}) AS number,
                  LATERAL (SELECT clock_timestamp() - interval '5 seconds' - number * interval '5 days' / {finished} AS at) AS when_it_was;
             INSERT INTO payloads (day, id, payload)
             SELECT payload_day, id, '{{\"n\": 1}}'::bytea FROM finished WHERE {from} = 1 LIMIT 100000"
        ))
        .await;
    }
    db.batch(&format!(
        "INSERT INTO intents (
             id, tenant_id, own_goal_lane, own_lane, created_at, run_at, visible_at, backoff_base, payload_day, priority,
             max_attempts, has_retry_policy, namespace, goal
         )
         SELECT id_of(at, {finished} + number), 1 + number % 20, number % 200, 1, at, at, at, 5, current_date, 100, 3, true, 'default',
                'goal-' || number % 200
         FROM generate_series(1, {finished} / 10) AS number,
              LATERAL (SELECT clock_timestamp() - number * interval '10 hours' / {finished} AS at) AS when_it_was"
    ))
    .await;
    // Now, and not by itself while pages are measured.
    db.batch("VACUUM (ANALYZE)").await;
}

/// Rows read of tables, and blocks read of tables and indexes, in memory or not, by everybody so far.
async fn touched(db: &TestDb) -> (i64, i64) {
    let rows = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables";
    let blocks = "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint
                  FROM pg_statio_user_tables";
    (db.value(rows, &[]).await, db.value(blocks, &[]).await)
}

async fn seconds(operator: &Client, path: &str) -> f64 {
    let began = Instant::now();
    // Pages come in one piece: their first byte comes with the last.
    let page = operator.get(path).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(page.status, 200, "{path}: {}", page.text());
    took
}

#[tokio::test]
async fn pages_of_a_full_bus_come_in_time() {
    let asked: Option<i64> = std::env::var("PAGES_ROWS").ok().and_then(|rows| rows.parse().ok());
    let finished = asked.unwrap_or(20_000);
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "864000")]).await;
    fill(&app.db, finished).await;
    app.admin().cleanup().await.expect(200);
    // What runs on a timer counts whole tables. It shall not count as the pages'.
    app.db
        .batch(
            "UPDATE open_totals_progress SET counted_at = clock_timestamp() + interval '1 day';
             UPDATE totals_progress SET finished_until = clock_timestamp() + interval '1 day'",
        )
        .await;
    let operator = browser(&app);
    let id = |sql: &'static str| async { app.db.value::<String>(sql, &[]).await };
    let open = id("SELECT replace(id::text, '-', '') FROM intents ORDER BY id LIMIT 1").await;
    let done = id("SELECT replace(id::text, '-', '') FROM finished ORDER BY id LIMIT 1").await;
    let dead =
        id("SELECT replace(id::text, '-', '') FROM finished WHERE state = 'dead' ORDER BY id DESC LIMIT 1").await;
    let ago = |days: i64| -> String {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(days * 24);
        at.strftime("%Y-%m-%dT%H:%M").to_string()
    };
    let pages = [
        String::new(),
        "/parts".to_owned(),
        "/intents".to_owned(),
        "/intents?goal=goal-7".to_owned(),
        "/intents?goal=rare".to_owned(),
        "/intents?namespace=east".to_owned(),
        "/intents?tenant=7".to_owned(),
        "/intents?worker=worker-3".to_owned(),
        "/intents?worker=nobody".to_owned(),
        "/intents?error=http+503".to_owned(),
        "/dead?worker=nobody".to_owned(),
        "/intents?state=claimable".to_owned(),
        "/intents?state=waiting".to_owned(),
        "/intents?state=claimed".to_owned(),
        "/intents?state=fulfilled&goal=goal-7".to_owned(),
        "/intents?state=dead&goal=goal-10".to_owned(),
        format!("/intents?since={}&until={}", ago(4), ago(3)),
        format!("/intents/{open}"),
        format!("/intents/{done}"),
        format!("/intents/{dead}"),
        "/dead".to_owned(),
        "/dead?goal=rare".to_owned(),
        format!("/dead?error=http+501&until={}", ago(3)),
        "/dead/redrive?goal=goal-10".to_owned(),
        "/dead/redrive?goal=rare".to_owned(),
        "/workers".to_owned(),
        "/pauses".to_owned(),
        "/keys".to_owned(),
        "/audit".to_owned(),
        "/purge".to_owned(),
    ];
    let idle = if asked.is_some() {
        tokio::time::sleep(COUNTS_ARE_TOLD).await;
        let before = touched(&app.db).await;
        tokio::time::sleep(COUNTS_ARE_TOLD).await;
        let after = touched(&app.db).await;
        (after.0 - before.0, after.1 - before.1)
    } else {
        (0, 0)
    };
    eprintln!(
        "{finished} finished and {} unfinished intents; without any page {} rows, {} blocks",
        finished / 10,
        idle.0,
        idle.1
    );
    eprintln!("{:>12} {:>12} {:>9} {:>9}  page", "first, ms", "again, ms", "rows", "blocks");
    for path in pages {
        let page = format!("/admin/dashboard{path}");
        let before = touched(&app.db).await;
        let first = seconds(&operator, &page).await;
        let (mut rows, mut blocks) = (0, 0);
        if asked.is_some() {
            tokio::time::sleep(COUNTS_ARE_TOLD).await;
            let after = touched(&app.db).await;
            (rows, blocks) = ((after.0 - before.0 - idle.0).max(0), (after.1 - before.1 - idle.1).max(0));
        }
        let again = seconds(&operator, &page).await;
        eprintln!("{:12.1} {:12.1} {rows:9} {blocks:9}  {path}", first * 1000.0, again * 1000.0);
        assert!(first < 5.0, "{page} takes {first} s");
    }
}
