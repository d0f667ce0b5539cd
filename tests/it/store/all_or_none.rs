//! The short way into a statement, which lets all requests of a flight in or none: it does what looking at each would do, or nothing.

use std::time::{Duration, Instant, SystemTime};

use intent_bus::{domain::lanes::Lanes, store::statements};
use tokio_postgres::{Client, Row, error::SqlState, types::ToSql};
use uuid::Uuid;

use crate::support::{TestApp, client::unix_now, factory::intent, postgres::TestDb};

/// The text of a statement that lets all in or none, which works at any time: as it is, not at the end of a period.
pub(crate) fn of_all(name: &str) -> String {
    with_end(name, "true")
}

/// The same with another condition.
fn with_end(name: &str, condition: &str) -> String {
    let text = text(name);
    assert!(text.contains(NOT_AT_THE_END), "{name} has no {NOT_AT_THE_END} any more");
    text.replace(NOT_AT_THE_END, condition)
}

fn text(name: &str) -> &'static str {
    statements::all().into_iter().find(|(named, _)| *named == name).unwrap().1
}

const NOT_AT_THE_END: &str = "unix - 600 * floor(unix / 600) < 570";

/// Claims that nobody holds: to end them does no more than let the requests in.
const NOBODYS: [Uuid; 2] = [Uuid::from_u128(9); 2];

/// Ends claims of these intents, one for each of two requests with these nonces and timestamps. Gives the verdicts.
async fn fulfil(
    session: &Client,
    text: &str,
    ids: [Uuid; 2],
    nonces: [Option<Uuid>; 2],
    times: [Option<i64>; 2],
) -> Result<Vec<i16>, tokio_postgres::Error> {
    let (tenants, rates, numbers) = (vec![0_i64; 2], vec![None::<i32>; 2], vec![1_i32, 2]);
    let (nonces, times, ids) = (nonces.to_vec(), times.to_vec(), ids.to_vec());
    let (tokens, results, kinds) = (vec![None::<Uuid>; 2], vec![None::<Vec<u8>>; 2], vec![None::<String>; 2]);
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&tenants, &nonces, &times, &rates, &numbers, &ids, &tokens, &results, &kinds];
    Ok(session.query(text, &parameters).await?[0].get("verdicts"))
}

#[tokio::test]
async fn where_one_request_has_to_be_refused_nothing_is_done_for_any() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let all = of_all("intents/fulfill.sql, all");
    let now: i64 = db.value("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await;
    let [first, second, third, old] = [1, 2, 3, 4].map(Uuid::from_u128);
    assert_eq!(fulfil(&session, &all, NOBODYS, [Some(first), Some(second)], [Some(now); 2]).await.unwrap(), [0, 0]);
    assert_eq!(db.count("nonces").await, 2);
    for time in [now - 310, now + 310] {
        assert_eq!(
            fulfil(&session, &all, NOBODYS, [Some(third), Some(old)], [Some(now), Some(time)]).await.unwrap(),
            [7, 7]
        );
    }
    let replayed = fulfil(&session, &all, NOBODYS, [Some(third), Some(first)], [Some(now); 2]).await.unwrap_err();
    assert_eq!(replayed.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert!(replayed.as_db_error().unwrap().table().unwrap().starts_with("nonces"));
    db.execute("INSERT INTO nonces (slot, hash) VALUES ((($1::bigint / 600 + 3) % 4)::smallint, $2)", &[&now, &old])
        .await;
    assert_eq!(fulfil(&session, &all, NOBODYS, [Some(third), Some(old)], [Some(now); 2]).await.unwrap(), [7, 7]);
    assert_eq!(db.count("nonces").await, 3);
}

#[tokio::test]
async fn at_the_end_of_a_period_it_does_nothing() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let end = with_end("intents/fulfill.sql, all", "false");
    let now: i64 = db.value("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await;
    let nonces = [1, 2].map(Uuid::from_u128);
    assert_eq!(fulfil(&session, &end, NOBODYS, nonces.map(Some), [Some(now); 2]).await.unwrap(), [5, 5]);
    assert_eq!(db.count("nonces").await, 0);
}

const TENANT: i64 = 0;

fn lanes(goal: &str, capability: Option<&str>) -> Lanes {
    Lanes::of_intent(TENANT, false, "default", goal, None, capability)
}

/// Intents of one goal, each due since so many milliseconds before one moment, claimed so often.
async fn fill(db: &TestDb, goal: &str, capability: Option<&str>, priority: i16, intents: &[(i64, i16)]) {
    let (lanes, now) = (lanes(goal, capability), SystemTime::now());
    for (ago, claimed) in intents {
        db.execute(
            "INSERT INTO intents (
                 id, tenant_id, own_goal_lane, own_lane, created_at, run_at, visible_at, backoff_base, payload_day, priority,
                 claim_attempts, max_attempts, has_retry_policy, namespace, goal, required_capability
             )
             SELECT gen_random_uuid(), 0, $1, $2, at, at, at, 5, (at AT TIME ZONE 'UTC')::date, $3, $4, 20, true, 'default', $5, $6
             FROM (SELECT $8::timestamptz - $7::bigint * interval '1 millisecond' AS at) AS moment",
            &[&lanes.own_goal, &lanes.own, &priority, claimed, &goal, &capability, ago, &now],
        )
        .await;
    }
    for lane in [lanes.own_goal, lanes.own] {
        db.execute(
            "INSERT INTO lane_priorities (lane, priority) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[&lane, &priority],
        )
        .await;
    }
}

/// What three claims together would get, by the name of the statement: the first verdict, and what each gets.
async fn claim(
    session: &mut Client,
    name: &str,
    own: &[i64],
    mark: Option<(i64, SystemTime)>,
) -> (i16, Vec<(i32, Uuid)>) {
    let (tenants, nonces, times) = (vec![TENANT; 3], vec![None::<Uuid>; 3], vec![None::<i64>; 3]);
    let (rates, none, numbers) = (vec![None::<i32>; 3], Vec::<i64>::new(), vec![1_i32, 2, 3]);
    let (capabilities, tokens) = (vec!["gpu"], [5, 6, 7].map(Uuid::from_u128).to_vec());
    let (workers, places) = (vec![None::<String>; 3], vec![None::<Uuid>; 3]);
    let (no_numbers, paused) = (Vec::<i32>::new(), Vec::<String>::new());
    let marked: Vec<i64> = mark.iter().map(|(lane, _)| *lane).collect();
    let priorities: Vec<i16> = mark.iter().map(|_| 100).collect();
    let marks: Vec<SystemTime> = mark.iter().map(|(_, at)| *at).collect();
    let own = own.to_vec();
    let transaction = session.transaction().await.unwrap();
    let parameters: [&(dyn ToSql + Sync); 25] = [
        &tenants,
        &nonces,
        &times,
        &rates,
        &own,
        &none,
        &"default",
        &"greet",
        &capabilities,
        &TENANT,
        &60.0_f64,
        &86400.0_f64,
        &numbers,
        &tokens,
        &workers,
        &no_numbers,
        &none,
        &marked,
        &priorities,
        &marks,
        &32_i64,
        &None::<Uuid>,
        &paused,
        &places,
        &places,
    ];
    let text = if name.ends_with(", all") { of_all(name) } else { text(name).to_owned() };
    let rows: Vec<Row> = transaction.query(&text, &parameters).await.unwrap();
    transaction.rollback().await.unwrap();
    let got = rows[1..].iter().map(|row| (row.get("item"), row.get("id"))).collect();
    (rows[0].get::<_, Vec<i16>>("verdicts")[0], got)
}

#[tokio::test]
async fn claims_get_the_same_in_the_short_way_as_in_the_long_one() {
    let db = TestDb::create().await;
    let mut session = db.session().await;
    let (each, all) = ("intents/claim.sql, one goal, without limits", "intents/claim.sql, one goal, all");
    let (plain, able) = (lanes("greet", None).own_goal, lanes("greet", Some("gpu")).own_goal);
    let own = [plain, able];
    // No lane is in use.
    assert_eq!(claim(&mut session, all, &own, None).await, (0, vec![]));
    // Of the same moment, the one that was claimed less often comes first; what is not due yet does not come.
    fill(&db, "greet", None, 100, &[(500_000, 2), (500_000, 1), (300_000, 0), (900_000, 0), (-60_000, 0)]).await;
    fill(&db, "other", None, 100, &[(1_000_000, 0)]).await;
    let (verdict, long) = claim(&mut session, each, &own, None).await;
    assert_eq!((verdict, long.len()), (0, 3));
    assert_eq!(claim(&mut session, all, &own, None).await, (0, long));
    let mark = Some((plain, SystemTime::now() - Duration::from_secs(400)));
    let (_, long) = claim(&mut session, each, &own, mark).await;
    assert_eq!(long.len(), 1);
    assert_eq!(claim(&mut session, all, &own, mark).await, (0, long));
}

#[tokio::test]
async fn claims_with_several_places_to_look_are_not_made_in_the_short_way() {
    let db = TestDb::create().await;
    let mut session = db.session().await;
    let all = "intents/claim.sql, one goal, all";
    let own = [lanes("greet", None).own_goal, lanes("greet", Some("gpu")).own_goal];
    fill(&db, "greet", None, 100, &[(5000, 0)]).await;
    assert_eq!(claim(&mut session, all, &own, None).await.1.len(), 1);
    // Another lane, and then another priority.
    fill(&db, "greet", Some("gpu"), 100, &[(6000, 0)]).await;
    assert_eq!(claim(&mut session, all, &own, None).await, (8, vec![]));
    db.execute("DELETE FROM lane_priorities WHERE lane = $1", &[&own[1]]).await;
    assert_eq!(claim(&mut session, all, &own, None).await.0, 0);
    fill(&db, "greet", None, 200, &[(1000, 0)]).await;
    assert_eq!(claim(&mut session, all, &own, None).await, (8, vec![]));
}

/// Whether the last statement of a kind that the replica has run lets all in or none.
async fn was_short(session: &Client, begins: &str) -> bool {
    let sql = "SELECT query LIKE '%judged AS%'
         FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE $1
         ORDER BY query_start DESC
         LIMIT 1";
    session.query_one(sql, &[&format!("-- {begins}%")]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_root_keys_requests_go_the_short_way_and_after_a_refusal_the_long_one() {
    let app = TestApp::spawn().await;
    let (root, session) = (app.root().signing(), app.db.session().await);
    let left = 600 - unix_now().rem_euclid(600);
    if left < 45 {
        // In the last 30 s of a period there is no short way.
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs() + 1)).await;
    }
    // The first finds a lane that is not known to be in use, and a replica that has just begun does not know the period yet.
    let (mut published, deadline) = (0, Instant::now() + Duration::from_secs(10));
    loop {
        root.published(intent("greet")).await;
        published += 1;
        if published > 1 && was_short(&session, "Stores new intents").await {
            break;
        }
        assert!(Instant::now() < deadline, "no publication went the short way");
    }
    let stale = root.signed_once("POST", "/intent", &intent("greet").to_string(), unix_now() - 1000);
    stale.publish(intent("greet").to_string()).await.refused(403, "invalid_signature");
    root.published(intent("greet")).await;
    assert!(!was_short(&session, "Stores new intents").await);
    assert_eq!(app.db.count("intents").await, published + 1);
}

/// A claimed intent of this tenant, held by tenant 0.
async fn hold(db: &TestDb, id: Uuid, tenant: i64) {
    db.execute(
        "INSERT INTO intents (
             id, tenant_id, own_goal_lane, own_lane, created_at, run_at, visible_at, backoff_base, payload_day, priority,
             claim_attempts, max_attempts, has_retry_policy, namespace, goal, state, claim_hash, lease_until, claimed_by
         )
         SELECT $1, $2, 1, 2, now(), now(), now() + interval '1 hour', 5, current_date, 100, 1, 3, true, 'default', 'greet',
                'claimed', $1, now() + interval '1 minute', 0",
        &[&id, &tenant],
    )
    .await;
}

#[tokio::test]
async fn quotas_are_counted_off_in_their_order_whatever_that_of_the_intents_is() {
    for name in ["intents/fulfill.sql, all", "intents/fulfill.sql, without limits"] {
        let db = TestDb::create().await;
        let (first, second, third) = (db.session().await, db.session().await, db.session().await);
        let ids = [1, 2].map(Uuid::from_u128);
        for (id, tenant) in ids.into_iter().zip([20_i64, 10]) {
            db.execute("INSERT INTO tenants (id, owner) VALUES ($1, 'one')", &[&tenant]).await;
            db.execute("INSERT INTO quotas (tenant_id, open_intents) VALUES ($1, 5)", &[&tenant]).await;
            hold(&db, id, tenant).await;
        }
        let text = if name.ends_with(", all") { of_all(name) } else { text(name).to_owned() };
        first.batch_execute("BEGIN; SELECT FROM quotas WHERE tenant_id = 10 FOR UPDATE").await.unwrap();
        let waits = fulfil(&second, &text, ids, [None; 2], [None; 2]);
        let looks = async {
            db.somebody_waits().await;
            let free = third.query("SELECT FROM quotas WHERE tenant_id = 20 FOR UPDATE NOWAIT", &[]).await;
            assert!(free.is_ok(), "{name} has locked the second before the first: {free:?}");
            first.batch_execute("UPDATE quotas SET open_intents = 8 WHERE tenant_id = 10; COMMIT").await.unwrap();
        };
        let (verdicts, ()) = tokio::join!(waits, looks);
        assert_eq!(verdicts.unwrap(), [0, 0]);
        let left = third.query("SELECT open_intents FROM quotas ORDER BY tenant_id", &[]).await.unwrap();
        let left: Vec<i64> = left.iter().map(|row| row.get(0)).collect();
        assert_eq!(left, [7, 4], "{name}: counted off from what is there when its turn comes");
    }
}

#[tokio::test]
async fn publishes_store_the_same_in_the_short_way_as_in_the_long_one() {
    let db = TestDb::create().await;
    let mut session = db.session().await;
    let (each, all) = ("intents/publish.sql, without both", "intents/publish_all.sql, all");
    let (long, short) = (publish(&mut session, text(each)).await, publish(&mut session, &of_all(all)).await);
    assert_eq!(short, long);
    let [first, second] = &long[..] else { panic!("two were published: {long:?}") };
    assert!(first.contains("\"goal\": \"greet\"") && first.contains("\"target_worker\": \"arm\""), "{first}");
    // A microsecond apart, the last one now; due later by their delay.
    assert!(first.contains("\"before_now\": 0.000001") && first.contains("\"due_after\": 1.5"), "{first}");
    assert!(second.contains("\"before_now\": 0.000000") && second.contains("\"due_after\": 0.0"), "{second}");
}

/// What two publications store, by the text of the statement; nothing of it stays.
async fn publish(session: &mut Client, text: &str) -> Vec<String> {
    let (tenants, nonces, times) = (vec![TENANT; 2], vec![None::<Uuid>; 2], vec![None::<i64>; 2]);
    let (rates, numbers, ids) = (vec![None::<i32>; 2], vec![1_i32, 2], [1, 2].map(Uuid::from_u128).to_vec());
    let (own_goal, own) = (vec![1_i64, 2], vec![3_i64, 4]);
    let (public_goal, public) = (vec![Some(5_i64), None], vec![Some(6_i64), None]);
    let (namespaces, goals) = (vec!["default", "east"], vec!["greet", "part"]);
    let (priorities, delays, attempts) = (vec![100_i16, 7], vec![1.5_f64, 0.0], vec![3_i16, 9]);
    let (backoffs, policies) = (vec![5.0_f64, 60.0], vec![true, false]);
    let (targets, capabilities) = (vec![Some("arm"), None], vec![None, Some("gpu")]);
    let (payloads, rewards) = (vec![b"{}".to_vec(), b"[1]".to_vec()], vec![None, Some(b"9".to_vec())]);
    let (keys, stand_for) = (vec![None::<Uuid>; 2], vec![None::<Uuid>; 2]);
    let (most, no_lanes, no_priorities) = (vec![i64::MAX; 2], Vec::<i64>::new(), Vec::<i16>::new());
    let traces = vec![Some("00-1"), None];
    let parameters: [&(dyn ToSql + Sync); 27] = [
        &tenants,
        &nonces,
        &times,
        &rates,
        &numbers,
        &ids,
        &own_goal,
        &own,
        &public_goal,
        &public,
        &namespaces,
        &goals,
        &priorities,
        &delays,
        &attempts,
        &backoffs,
        &policies,
        &targets,
        &capabilities,
        &payloads,
        &rewards,
        &keys,
        &stand_for,
        &most,
        &no_lanes,
        &no_priorities,
        &traces,
    ];
    let transaction = session.transaction().await.unwrap();
    let rows = transaction.query(text, &parameters).await.unwrap();
    assert_eq!((rows.len(), rows[0].get::<_, Vec<i16>>("verdicts")), (1, vec![0, 0]));
    let stored = "SELECT (to_jsonb(intents) - ARRAY['created_at', 'run_at', 'visible_at'] || jsonb_build_object(
             'before_now', extract(epoch FROM max(created_at) OVER () - created_at),
             'due_after', extract(epoch FROM run_at - created_at), 'is_due_then', visible_at = run_at,
             'is_of_today', payload_day = (created_at AT TIME ZONE 'UTC')::date, 'payload', payload, 'reward', reward
         ))::text
         FROM intents JOIN payloads ON day = payload_day AND payloads.id = intents.id
         ORDER BY intents.id";
    let stored = transaction.query(stored, &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    stored.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn two_flights_with_a_nonce_in_common_do_not_wait_for_each_other() {
    let db = TestDb::create().await;
    let (first, second) = (db.session().await, db.session().await);
    let all = of_all("intents/fulfill.sql, all");
    let now: i64 = db.value("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await;
    let id = Uuid::from_u128(9);
    hold(&db, id, 0).await;
    // One that has stored the nonce and gets no further holds no claim; who comes with the same nonce waits for it, and holds none.
    first.batch_execute("BEGIN").await.unwrap();
    let nonces = [1, 2].map(Uuid::from_u128);
    let slot = "INSERT INTO nonces (slot, hash) VALUES ((($1::bigint / 600) % 4)::smallint, $2)";
    first.execute(slot, &[&now, &nonces[0]]).await.unwrap();
    let waits = fulfil(&second, &all, NOBODYS, nonces.map(Some), [Some(now); 2]);
    let locked = async {
        db.somebody_waits().await;
        let free = first.query("SELECT FROM intents WHERE id = $1 FOR UPDATE NOWAIT", &[&id]).await;
        assert!(free.is_ok(), "it has locked the claim before its nonce: {free:?}");
        first.batch_execute("COMMIT").await.unwrap();
    };
    let (replayed, ()) = tokio::join!(waits, locked);
    assert_eq!(replayed.unwrap_err().code(), Some(&SqlState::UNIQUE_VIOLATION));
}

#[tokio::test]
async fn a_replay_and_a_stale_request_refuse_only_themselves_and_nothing_is_lost_after_them() {
    let app = TestApp::spawn().await;
    let root = app.root().signing();
    root.published(intent("greet")).await;
    let body = intent("greet").to_string();
    let once = root.signed_once("POST", "/intent", &body, unix_now());
    once.publish(body.clone()).await.expect(201);
    for round in 0..3 {
        let (fresh, replayed) = tokio::join!(
            futures_util::future::join_all((0..10).map(|_| root.publish(intent("greet")))),
            once.publish(body.clone())
        );
        for answer in &fresh {
            answer.expect(201);
        }
        assert!(replayed.refused(403, "invalid_signature").starts_with("Replay detected"), "round {round}");
        let stale = root.signed_once("POST", "/intent", &body, unix_now() - 1000).publish(body.clone()).await;
        assert!(stale.refused(403, "invalid_signature").starts_with("Stale timestamp"), "round {round}");
    }
    assert_eq!(app.db.count("intents").await, 32);
    assert_eq!(root.claim_many("greet", 100).await.len(), 32);
}
