//! What a claim reads, whatever stands in the table: the pages that its plan touches with many open intents in front of one
//! that matches, against a table that holds nothing else.
//!
//! `EXPLAIN_ROWS` sets how many (20,000; the figures of docs/decisions/0002 are from 1,000,000). The table is printed:
//! `EXPLAIN_ROWS=1000000 cargo test --test it explain -- --nocapture`.

use std::collections::HashMap;

use intent_bus::{
    domain::lanes::{Aim, Lanes, Reach},
    store::{connect, connect::Address, statements, totals::BY_TIME},
};

use crate::{store::all_or_none::of_all, support::postgres::TestDb};

const TENANT: i64 = 7;
const OTHER: i64 = 8;

/// Intents that stand in the table.
#[derive(Clone, Copy)]
struct Rows {
    tenant: i64,
    public: bool,
    goal: &'static str,
    target: Option<&'static str>,
    capability: Option<&'static str>,
    priority: i32,
    /// SQL interval between now and the moment from which it may be claimed.
    due_in: &'static str,
}

const MATCHING: Rows =
    Rows { tenant: TENANT, public: false, goal: "resize", target: None, capability: None, priority: 100, due_in: "0" };

/// Who claims.
#[derive(Clone, Copy)]
struct Worker {
    goal: Option<&'static str>,
    name: Option<&'static str>,
    capabilities: &'static [&'static str],
}

const PLAIN: Worker = Worker { goal: Some("resize"), name: None, capabilities: &[] };
const CAPABLE: Worker = Worker { goal: Some("resize"), name: Some("pi"), capabilities: &["gpu", "ocr"] };
const ANY_GOAL: Worker = Worker { goal: None, name: None, capabilities: &[] };

/// A session that makes its plans as the bus's sessions do.
struct Explainer<'a> {
    db: &'a TestDb,
    session: tokio_postgres::Client,
}

impl Explainer<'_> {
    async fn fill(&self, count: i64, rows: Rows) {
        let lanes = Lanes::of_intent(rows.tenant, rows.public, "default", rows.goal, rows.target, rows.capability);
        self.db
            .execute(
                "INSERT INTO intents (
                     id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at,
                     backoff_base, payload_day, priority, max_attempts, has_retry_policy, namespace, goal, target_worker,
                     required_capability
                 )
                 SELECT gen_random_uuid(), $1, $2, $3, $4, $5, due, due, due, 5, current_date, $6::integer, 3, true,
                        'default', $7, $8, $9
                 FROM generate_series(1, $10::bigint), LATERAL (SELECT clock_timestamp() + $11::text::interval AS due) AS at",
                &[
                    &rows.tenant,
                    &lanes.own_goal,
                    &lanes.own,
                    &lanes.public_goal,
                    &lanes.public,
                    &rows.priority,
                    &rows.goal,
                    &rows.target,
                    &rows.capability,
                    &count,
                    &rows.due_in,
                ],
            )
            .await;
        self.db
            .execute(
                "INSERT INTO lane_priorities (lane, priority)
                 SELECT lane, $5::integer FROM unnest(ARRAY[$1::bigint, $2, $3, $4]) AS lane WHERE lane IS NOT NULL
                 ON CONFLICT DO NOTHING",
                &[&lanes.own_goal, &lanes.own, &lanes.public_goal, &lanes.public, &rows.priority],
            )
            .await;
    }

    /// Buffers that one claim touches; the claim is rolled back.
    async fn buffers(&self, prepared: &str, worker: Worker) -> i64 {
        let reach = Reach {
            publisher: Some(TENANT),
            public: true,
            namespace: "default".to_owned(),
            goal: worker.goal.map(str::to_owned),
            worker: worker.name.map(str::to_owned),
            capabilities: worker.capabilities.iter().map(ToString::to_string).collect(),
        };
        let aim = if prepared.ends_with("_all") { Aim::Anyone } else { Aim::Either };
        let array =
            |lanes: Vec<i64>| format!("'{{{}}}'", lanes.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
        let text = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
        let claim = format!(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {}('{{{TENANT}}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', {}, {},
                 'default', {}, '{{{}}}', {TENANT}, 60, 86400, '{{1}}', ARRAY[gen_random_uuid()], ARRAY[{}]::text[],
                 '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', 32, NULL, '{{}}', '{{NULL}}', '{{NULL}}')",
            prepared,
            array(reach.own_lanes(aim)),
            array(reach.public_lanes(aim)),
            text(worker.goal),
            worker.capabilities.join(","),
            text(worker.name),
        );
        // The first run reads the catalogue, too.
        let mut plan = serde_json::Value::Null;
        for _ in 0..2 {
            self.session.batch_execute("BEGIN").await.unwrap();
            let row = self.session.query_one(&claim, &[]).await.unwrap();
            self.session.batch_execute("ROLLBACK").await.unwrap();
            plan = serde_json::from_str(&row.get::<_, Json>(0).0).unwrap();
        }
        let plan = &plan[0]["Plan"];
        // The verdicts, and the claim.
        assert_eq!(plan["Actual Rows"].as_f64(), Some(2.0), "the one that matches was not claimed: {plan}");
        ["Shared Hit Blocks", "Shared Read Blocks"].iter().filter_map(|name| plan[name].as_i64()).sum()
    }
}

/// The text of a JSON column.
struct Json(String);

impl<'a> tokio_postgres::types::FromSql<'a> for Json {
    fn from_sql(
        _: &tokio_postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8(raw.to_vec())?))
    }

    fn accepts(kind: &tokio_postgres::types::Type) -> bool {
        *kind == tokio_postgres::types::Type::JSON
    }
}

#[tokio::test]
async fn a_claim_touches_as_few_pages_in_front_of_many_that_do_not_match() {
    let count: i64 = std::env::var("EXPLAIN_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(20_000);
    let cases = [
        ("other tenant", Rows { tenant: OTHER, ..MATCHING }, PLAIN),
        ("other goal", Rows { goal: "other", ..MATCHING }, PLAIN),
        ("other target", Rows { target: Some("phone"), ..MATCHING }, CAPABLE),
        ("wrong capability", Rows { capability: Some("tpu"), ..MATCHING }, CAPABLE),
        (
            "public, wrong capability",
            Rows { tenant: OTHER, public: true, capability: Some("tpu"), ..MATCHING },
            CAPABLE,
        ),
        ("not yet due, higher priority", Rows { priority: 900, due_in: "1 day", ..MATCHING }, PLAIN),
        ("expired, higher priority", Rows { priority: 900, due_in: "-2 days", ..MATCHING }, PLAIN),
        ("any goal: other tenant", Rows { tenant: OTHER, ..MATCHING }, ANY_GOAL),
        ("any goal: wrong capability", Rows { capability: Some("tpu"), ..MATCHING }, ANY_GOAL),
        ("any goal: not yet due", Rows { priority: 900, due_in: "1 day", ..MATCHING }, ANY_GOAL),
    ];
    let db = TestDb::create().await;
    let explainer = Explainer { db: &db, session: connect(&Address::parse(&db.url).unwrap()).await.unwrap() };
    let statements = statements::all();
    let prepared = [
        ("claim_goal", "intents/claim.sql, one goal"),
        ("claim_any", "intents/claim.sql, any goal"),
        ("claim_goal_all", "intents/claim.sql, one goal, all"),
        ("claim_any_all", "intents/claim.sql, any goal, all"),
    ];
    for (name, file) in prepared {
        let (_, text) = statements.iter().find(|(named, _)| *named == file).unwrap();
        let text = if name.ends_with("_all") { of_all(file) } else { (*text).to_owned() };
        explainer.session.batch_execute(&format!("PREPARE {name} AS {text}")).await.unwrap();
    }
    eprintln!("buffers of one claim: in a table with nothing else, and behind {count} open intents");
    for (case, rows, worker) in cases {
        let plain = if worker.goal.is_some() { "claim_goal" } else { "claim_any" };
        // One lane in use, at one priority: it can be had in the short way, too.
        let short = (rows.priority == MATCHING.priority && !rows.public).then(|| format!("{plain}_all"));
        for name in [Some(plain.to_owned()), short].into_iter().flatten() {
            db.batch("TRUNCATE intents, lane_priorities").await;
            explainer.fill(1, MATCHING).await;
            let alone = explainer.buffers(&name, worker).await;
            db.batch("TRUNCATE intents, lane_priorities").await;
            explainer.fill(count, rows).await;
            explainer.fill(1, MATCHING).await;
            db.batch("ANALYZE intents").await;
            let behind = explainer.buffers(&name, worker).await;
            eprintln!("{case:30} {name:14} {alone:4} {behind:4}");
            // Each index is a level or two deeper, and one more priority is hopped over.
            assert!(behind <= alone + 50, "{case}: {behind} buffers against {alone}");
        }
    }
}

/// Statements that read a whole table: what an operator asks for or a timer does. The totals have a test of their own.
const READ_ALL: [(&str, &str); 12] = [
    ("intents/purge.sql", "intents"),
    ("intents/purge.sql", "finished"),
    ("intents/purge.sql", "late_results"),
    ("totals/count_open.sql", "intents"),
    ("partitions/payloads_in_use.sql", "intents"),
    ("keys/retire.sql", "api_keys"),
    ("keys/set_limits.sql", "api_keys"),
    ("bus/figures.sql", "api_keys"),
    ("operators/why.sql", "api_keys"),
    ("pulse/prune.sql", "workers"),
    ("totals/add_finished.sql", "finished"),
    ("totals/read.sql", "finished"),
];

/// Tables that grow with what the bus is used for. Partitions have a number behind the name.
const GROW: [&str; 14] = [
    "intents",
    "finished",
    "payloads",
    "late_results",
    "key_values",
    "lane_priorities",
    "api_keys",
    "activity",
    "quotas",
    "rate_windows",
    "tenants",
    "workers",
    "nonces",
    "idempotency_keys",
];

/// Walks of whole tables and indexes in a plan, each with its table: an index leads to a few rows only by its first column.
fn walks(plan: &serde_json::Value, first_columns: &HashMap<String, String>, found: &mut Vec<(String, String)>) {
    let [node, relation, index, condition] =
        ["Node Type", "Relation Name", "Index Name", "Index Cond"].map(|name| plan[name].as_str().unwrap_or_default());
    let looks_up = || first_columns.get(index).is_some_and(|column| condition.contains(&format!("({column} ")));
    let whole = node == "Seq Scan" || (node.starts_with("Index") && !looks_up());
    let table = relation.trim_end_matches(|letter: char| letter == '_' || letter.is_ascii_digit());
    if whole && GROW.contains(&table) {
        found.push((table.to_owned(), format!("{node} {index} {condition}")));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        walks(part, first_columns, found);
    }
}

/// A queue is empty every now and then, and a vacuum may come just then. Plans made of what it saw are kept while the queue fills.
#[tokio::test]
async fn no_plan_walks_a_whole_index_for_a_few_rows_after_a_vacuum_of_empty_tables() {
    let db = TestDb::create().await;
    db.batch(&format!("VACUUM {}", GROW.join(", "))).await;
    let session = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    // Within a partition its slot or its day is the same in every row.
    let first_column = "SELECT name, CASE WHEN first IN ('slot', 'day') THEN second ELSE first END
         FROM pg_index JOIN pg_class ON oid = indexrelid,
             LATERAL (SELECT relname::text, pg_get_indexdef(oid, 1, true), pg_get_indexdef(oid, 2, true))
                 AS index (name, first, second)";
    let rows = session.query(first_column, &[]).await.unwrap();
    let first_columns = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut found = Vec::new();
    for (name, text) in statements::all() {
        session.batch_execute(&format!("PREPARE explained AS {text}")).await.unwrap();
        let parameters = vec!["NULL"; session.prepare(text).await.unwrap().params().len()].join(", ");
        let execute = if parameters.is_empty() { "explained".to_owned() } else { format!("explained({parameters})") };
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE {execute}");
        let row = session.query_one(&explain, &[]).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        session.batch_execute("DEALLOCATE explained").await.unwrap();
        let plan: serde_json::Value = serde_json::from_str(&row.get::<_, Json>(0).0).unwrap();
        let mut walked = Vec::new();
        walks(&plan[0]["Plan"], &first_columns, &mut walked);
        // Texts of a period are planned in it, when the nonces of the period before are as many as they will be.
        let is_known =
            |table: &str| READ_ALL.contains(&(name, table)) || (table == "nonces" && name.ends_with(", all"));
        walked.retain(|(table, _)| !is_known(table));
        found.extend(walked.into_iter().map(|(table, walk)| format!("{name}: {table}, {walk}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The nodes of a plan, with the indexes that they use.
fn nodes(plan: &serde_json::Value, found: &mut Vec<String>) {
    found.push(format!("{} {}", plan["Node Type"], plan["Index Name"]));
    for part in plan["Plans"].as_array().into_iter().flatten() {
        nodes(part, found);
    }
}

/// So many intents that have finished just now.
async fn finish(db: &TestDb, count: i32) {
    db.batch(&format!(
        "INSERT INTO finished (
             id, finished_at, tenant_id, created_at, run_at, backoff_base, payload_day, state, priority, claim_attempts,
             max_attempts, has_retry_policy, public, namespace, goal
         )
         SELECT gen_random_uuid(), clock_timestamp(), 0, clock_timestamp(), clock_timestamp(), 5, current_date, 'fulfilled',
                100, 1, 3, true, false, 'default', 'greet'
         FROM generate_series(1, {count})"
    ))
    .await;
}

#[tokio::test]
async fn what_has_finished_of_late_is_found_by_its_time_and_not_by_walking_over_the_day() {
    let db = TestDb::create().await;
    finish(&db, 50_000).await;
    // As autovacuum does once a minute. Before, nothing says that rows arrive in the order of their times.
    db.batch("ANALYZE finished").await;
    let session = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    for (name, parameters) in [("totals/add_finished.sql", ""), ("totals/read.sql", "(true)")] {
        let (_, text) = statements::all().into_iter().find(|(named, _)| *named == name).unwrap();
        session.batch_execute(&format!("BEGIN; {BY_TIME}; PREPARE explained AS {text}")).await.unwrap();
        let row =
            session.query_one(&format!("EXPLAIN (FORMAT JSON) EXECUTE explained{parameters}"), &[]).await.unwrap();
        session.batch_execute("ROLLBACK; DEALLOCATE explained").await.unwrap();
        let plan: serde_json::Value = serde_json::from_str(&row.get::<_, Json>(0).0).unwrap();
        let mut found = Vec::new();
        nodes(&plan[0]["Plan"], &mut found);
        // The index of block ranges is the second of a partition that begins with this column.
        let today: String =
            db.value("SELECT 'finished_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD')", &[]).await;
        let by_time = format!("\"Bitmap Index Scan\" \"{today}_finished_at_idx1\"");
        assert!(found.contains(&by_time), "{name}: no {by_time} in {found:#?}");
    }
}

/// Else each count would read whatever was not summarized, which under load is most of it.
#[tokio::test]
async fn what_has_finished_is_summarized_whenever_it_is_counted() {
    let db = TestDb::create().await;
    let store = db.store();
    let session = connect(&Address::parse(&db.url).unwrap()).await.unwrap();
    for _ in 0..2 {
        finish(&db, 5_000).await;
        // As if nobody had counted for a while.
        db.batch("UPDATE totals_progress SET finished_until = finished_until - interval '1 minute'").await;
        store.count_totals().await.unwrap();
        // Who comes soon after that leaves it alone: he would count what nobody has summarized.
        let until = "SELECT finished_until::text FROM totals_progress";
        let counted = db.value::<String>(until, &[]).await;
        store.count_totals().await.unwrap();
        assert_eq!(db.value::<String>(until, &[]).await, counted);
        session.batch_execute(&format!("BEGIN; {BY_TIME}")).await.unwrap();
        let explain =
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT FROM finished WHERE finished_at > (SELECT clock_timestamp())";
        let plan = session.query_one(explain, &[]).await.unwrap().get::<_, Json>(0).0;
        session.batch_execute("ROLLBACK").await.unwrap();
        let read_for_nothing =
            |number: &str| plan.matches(&format!("Rows Removed by Index Recheck\": {number}")).count();
        assert!(read_for_nothing("") > 0, "{plan}");
        assert_eq!(read_for_nothing("0,"), read_for_nothing(""), "{plan}");
    }
    let by_itself = "SELECT count(*) FROM pg_class WHERE reloptions @> ARRAY['autosummarize=on'] AND relkind = 'i'";
    assert_eq!(db.value::<i64>(by_itself, &[]).await, 0);
}
