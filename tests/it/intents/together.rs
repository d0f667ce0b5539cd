//! Requests that arrive together share a statement. Each gets its own answer all the same, and none because of a neighbour.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::support::{
    Answer, Client, TestApp,
    client::unix_now,
    factory::{intent, intent_with},
};

/// Holds back what the replica does with intents, until so many requests have been sent; then all but the first fly together.
async fn gathered<T>(app: &TestApp, requests: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut session = app.db.session().await;
    let held = session.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE intents IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let release = async {
        app.db.somebody_waits().await;
        // Nothing tells how many have arrived; those that come later fly later, and are answered alike.
        tokio::time::sleep(Duration::from_millis(600)).await;
        held.rollback().await.unwrap();
    };
    tokio::join!(join_all(requests), release).0
}

/// Transactions that have stored the intents that there are.
async fn flights(app: &TestApp) -> i64 {
    app.db.value("SELECT count(DISTINCT xmin::text) FROM intents", &[]).await
}

#[track_caller]
fn is_refused_as(answer: &Answer, begins: &str) {
    let message = answer.refused(403, "invalid_signature");
    assert!(message.starts_with(begins), "{message}");
}

#[tokio::test]
async fn in_a_crowd_of_publishers_each_gets_its_own_answer() {
    const KINDS: usize = 8;
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "4")]).await;
    let mut tenants = Vec::new();
    for owner in ["plain", "signing", "stale", "replayed", "repeating", "full", "slow"] {
        tenants.push(app.tenant(owner).await);
    }
    app.db.batch("UPDATE tenants SET max_open_intents = 5 WHERE owner = 'full'").await;
    app.db.batch("UPDATE tenants SET rate_limit_per_minute = 7 WHERE owner = 'slow'").await;
    let replica = app.replica(&[("BUS_DATABASE_POOL_SIZE", "4")]).await;
    let tenants: Vec<Client> = tenants.iter().map(|tenant| replica.client(tenant.api_key())).collect();
    let root = replica.root();
    let replayed = intent("replayed").to_string();
    let once = tenants[3].signed_once("POST", "/intent", &replayed, unix_now());
    let repeating = tenants[4].with("idempotency-key", "k");

    let goal = |number: usize| format!("goal {number}");
    let requests = (0..200_usize)
        .map(|number| {
            let body = intent(&goal(number));
            let (tenants, root, once, repeating, replayed) = (&tenants, &root, &once, &repeating, replayed.clone());
            async move {
                match number % KINDS {
                    0 => root.publish(body).await,
                    1 => tenants[0].publish(body).await,
                    2 => tenants[1].signing().publish(body).await,
                    3 => {
                        let text = body.to_string();
                        tenants[2].signed_once("POST", "/intent", &text, unix_now() - 1000).publish(text).await
                    }
                    4 => once.publish(replayed).await,
                    5 => repeating.publish(intent("repeated")).await,
                    6 => tenants[5].publish(body).await,
                    _ => tenants[6].publish(body).await,
                }
            }
            .boxed()
        })
        .collect();
    let answers = gathered(&app, requests).await;
    assert!(flights(&app).await < 15, "{} flights", flights(&app).await);

    let of_kind = |kind: usize| answers.iter().skip(kind).step_by(KINDS);
    let stored = |kind: usize| of_kind(kind).filter(|answer| answer.status == 201).count();
    assert_eq!((stored(0), stored(1), stored(2), stored(3)), (25, 25, 25, 0));
    assert_eq!((stored(4), stored(5), stored(6), stored(7)), (1, 25, 5, 7));
    of_kind(3).for_each(|answer| is_refused_as(answer, "Stale timestamp"));
    of_kind(4).filter(|answer| answer.status != 201).for_each(|answer| is_refused_as(answer, "Replay detected"));
    let full = of_kind(6).filter(|answer| answer.status != 201).map(|answer| answer.refused(429, "limit_exceeded"));
    let slow = of_kind(7).filter(|answer| answer.status != 201).map(|answer| answer.refused(429, "rate_limited"));
    assert_eq!(full.count() + slow.count(), 20 + 18);
    let repeated: BTreeSet<String> = of_kind(5).map(|answer| answer.expect(201)["id"].to_string()).collect();
    assert_eq!(repeated.len(), 1);

    // Each id is that of the intent that this very request has published, and nothing else is there.
    let mut ids = BTreeSet::new();
    for (number, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status == 201) {
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let expected = match number % KINDS {
            4 => "replayed".to_owned(),
            5 => "repeated".to_owned(),
            _ => goal(number),
        };
        let sql = "SELECT goal FROM intents WHERE id = $1";
        assert_eq!(app.db.value::<String>(sql, &[&Uuid::try_parse(&id).unwrap()]).await, expected);
        assert!(ids.insert(id) || number % KINDS == 5);
    }
    assert_eq!(app.db.count("intents").await, i64::try_from(ids.len()).unwrap());
    assert_eq!(app.db.count("payloads").await, i64::try_from(ids.len()).unwrap());
    let wrong = "SELECT count(*) FROM quotas
         WHERE open_intents <> (SELECT count(*) FROM intents WHERE intents.tenant_id = quotas.tenant_id)";
    assert_eq!(app.db.value::<i64>(wrong, &[]).await, 0);
}

#[tokio::test]
async fn a_hundred_claims_at_once_share_sixty_intents() {
    let app = TestApp::spawn().await;
    let (root, alice) = (app.root(), app.tenant("alice").await);
    let public = intent_with("greet", json!({"visibility": "public"}));
    let published: BTreeSet<String> = root.published_many(&vec![public; 60]).await.into_iter().collect();
    let requests = (0..100).map(|number| if number % 2 == 0 { &root } else { &alice }.claim("greet").boxed()).collect();
    let answers = gathered(&app, requests).await;
    let mut claims = BTreeMap::new();
    let mut tokens = BTreeSet::new();
    for (number, answer) in answers.iter().enumerate() {
        if answer.status == 204 {
            continue;
        }
        let claim = answer.claim();
        assert!(tokens.insert(claim.token.clone()), "a token was given twice");
        assert!(claims.insert(claim.id.clone(), (number, claim)).is_none(), "an intent was given twice");
    }
    assert_eq!(claims.keys().cloned().collect::<BTreeSet<_>>(), published);
    assert!(flights(&app).await < 10, "{} flights", flights(&app).await);
    // Each token opens the intent that it came with, for whoever asked.
    let holder = |number: usize| if number.is_multiple_of(2) { &root } else { &alice };
    let requests = claims.values().map(|(number, claim)| holder(*number).fulfill(claim, json!(claim.id)).boxed());
    for answer in gathered(&app, requests.collect()).await {
        answer.expect(200);
    }
    for id in published {
        assert_eq!(root.result(&id).await.expect(200)["result"], json!(id));
    }
}

/// Which of the workers `w0` to `w4`, each able to do what has its own number, may have this.
fn is_for(claim: &Value, worker: usize) -> bool {
    let fits = |field: &str, name: &str| claim[field].is_null() || claim[field] == format!("{name}{worker}");
    fits("target_worker", "w") && fits("required_capability", "c")
}

#[tokio::test]
async fn among_intents_for_anybody_each_worker_gets_those_meant_for_it_and_none_is_lost() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let elements: Vec<Value> = (0..150)
        .map(|number| {
            let priority = [10, 100, 500][number % 3];
            let mut fields = json!({"priority": priority});
            if number % 2 == 0 {
                fields["target_worker"] = json!(format!("w{}", number % 5));
            }
            if number % 7 == 0 {
                fields["required_capability"] = json!(format!("c{}", number % 5));
            }
            intent_with("greet", fields)
        })
        .collect();
    let mut open: BTreeSet<String> = root.published_many(&elements).await.into_iter().collect();
    let workers: Vec<Client> = (0..5)
        .map(|number| {
            root.with("x-worker-id", format!("w{number}")).with("x-worker-capabilities", format!("c{number}"))
        })
        .collect();
    let mut highest: BTreeMap<usize, i64> = BTreeMap::new();
    let mut rounds = 0;
    while !open.is_empty() {
        let requests: Vec<BoxFuture<'_, Answer>> =
            (0..30).map(|number: usize| workers[number % 5].claim("greet").boxed()).collect();
        let answers = if rounds == 0 { gathered(&app, requests).await } else { join_all(requests).await };
        let mut lowest: BTreeMap<usize, i64> = BTreeMap::new();
        for (number, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status == 200) {
            let (worker, claim) = (number % 5, answer.claim());
            assert!(is_for(&claim.body, worker), "{} for w{worker}", claim.body);
            assert!(open.remove(&claim.id), "an intent was given twice");
            let priority = claim.body["priority"].as_i64().unwrap();
            assert!(priority <= *highest.get(&worker).unwrap_or(&1000), "w{worker} has got a higher priority later");
            let lowest = lowest.entry(worker).or_insert(1000);
            *lowest = priority.min(*lowest);
        }
        highest.append(&mut lowest);
        rounds += 1;
        assert!(rounds < 60, "{} are left", open.len());
    }
    for worker in &workers {
        worker.claim("greet").await.empty();
    }
}

#[tokio::test]
async fn whoever_meets_a_lock_does_not_fail_those_who_share_his_flight() {
    let app = TestApp::spawn().await;
    let (root, alice, bob) = (app.root(), app.tenant("alice").await, app.tenant("bob").await);
    let mut claims = Vec::new();
    for client in [&root, &alice, &bob] {
        client.published(intent("greet")).await;
        claims.push(client.claimed("greet").await);
    }
    // The first flight waits, so that the others gather behind it; Alice's intent stays locked for longer than anybody waits.
    let (first, second) = (app.db.session().await, app.db.session().await);
    for (session, claim) in [(&first, &claims[0]), (&second, &claims[1])] {
        let id = Uuid::try_parse(&claim.id).unwrap();
        session.batch_execute("BEGIN").await.unwrap();
        session.query_one("SELECT FROM intents WHERE id = $1 FOR UPDATE", &[&id]).await.unwrap();
    }
    let release = async {
        app.db.somebody_waits().await;
        let rest = join_all([alice.fulfill(&claims[1], json!(1)), bob.fulfill(&claims[2], json!(1))]);
        let released = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            first.batch_execute("ROLLBACK").await.unwrap();
        };
        tokio::join!(rest, released).0
    };
    let (of_root, rest) = tokio::join!(root.fulfill(&claims[0], json!(1)), release);
    of_root.expect(200);
    rest[0].refused(503, "database_busy");
    rest[1].expect(200);
    second.batch_execute("ROLLBACK").await.unwrap();
    alice.fulfill(&claims[1], json!(1)).await.expect(200);
}

#[tokio::test]
async fn a_locked_quota_fails_its_tenant_and_nobody_else() {
    let app = TestApp::spawn().await;
    let (root, alice, bob) = (app.root(), app.tenant("alice").await, app.tenant("bob").await);
    let session = app.db.session().await;
    session
        .batch_execute(
            "BEGIN; SELECT FROM quotas WHERE tenant_id = (SELECT id FROM tenants WHERE owner = 'alice') FOR UPDATE",
        )
        .await
        .unwrap();
    let key = bob.with("idempotency-key", "k");
    let answers = gathered(
        &app,
        vec![
            root.publish(intent("greet")).boxed(),
            alice.publish(intent("greet")).boxed(),
            bob.signing().publish(intent("greet")).boxed(),
            key.publish(intent("greet")).boxed(),
            root.publish_many(&[intent("greet"), intent("")]).boxed(),
        ],
    )
    .await;
    answers[1].refused(503, "database_busy");
    for number in [0, 2, 3] {
        answers[number].expect(201);
    }
    answers[4].outcomes();
    assert_eq!(app.db.count("intents").await, 4);
    session.batch_execute("ROLLBACK").await.unwrap();
    alice.published(intent("greet")).await;
}

#[tokio::test]
async fn nobody_waits_behind_anothers_flood() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let flood: Vec<Value> = vec![intent("flood"); 50];
    let mut requests: Vec<BoxFuture<'_, Answer>> = (0..40).map(|_| alice.publish_many(&flood).boxed()).collect();
    let single = async {
        // When the flood has arrived, but for what a busy machine has not handed over yet.
        app.db.somebody_waits().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        bob.publish(intent("single")).await
    };
    requests.push(single.boxed());
    for answer in gathered(&app, requests).await {
        assert!(answer.status < 300, "{answer:?}");
    }
    assert_eq!(app.db.count("intents").await, 2001);
    // What took off before he came, and nothing else.
    let before = "SELECT count(DISTINCT flood.xmin::text) FROM intents AS flood, intents AS single
         WHERE flood.goal = 'flood' AND single.goal = 'single' AND flood.xmin::text::bigint < single.xmin::text::bigint";
    assert_eq!(app.db.value::<i64>(before, &[]).await, 1);
    assert!(flights(&app).await >= 3, "a thousand in each flight");
}

#[tokio::test]
async fn claims_of_several_tenants_on_several_replicas_do_not_wait_for_each_other_in_a_circle() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "4")]).await;
    let other = app.replica(&[("BUS_DATABASE_POOL_SIZE", "4")]).await;
    let mut clients = Vec::new();
    for number in 0..6 {
        let here = app.tenant(&format!("tenant {number}")).await;
        clients.push((other.client(here.api_key()), here));
    }
    let ends = Instant::now() + Duration::from_secs(2);
    let asking = clients.iter().flat_map(|(here, there)| [here, there, here, there]).map(async |client| {
        while Instant::now() < ends {
            client.claim("nothing").await.empty();
        }
    });
    join_all(asking).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    // The sessions report when they are idle for a second, or end.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(app.db.value::<i64>(deadlocks, &[]).await, 0);
}

/// A connection over which a claim was sent, and nothing read.
async fn a_claim_that_nobody_reads(app: &TestApp, client: &Client, target: &str) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {}\r\nContent-Length: 0\r\n\r\n", client.api_key());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn what_clients_that_hung_up_were_about_to_get_goes_to_others() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent("greet")).await;
    // Their claims are with the database when they go.
    let mut session = app.db.session().await;
    let held = session.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE intents IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut gone = Vec::new();
    for number in 0..6 {
        let target = ["/claim?goal=greet", "/claim?goal=greet&wait=30"][number % 2];
        gone.push(a_claim_that_nobody_reads(&app, &alice, target).await);
    }
    app.db.somebody_waits().await;
    drop(gone);
    // Until the replica has noticed.
    tokio::time::sleep(Duration::from_millis(300)).await;
    held.rollback().await.unwrap();
    let claim = alice.claim_waiting("greet", 10).await.claim();
    assert_eq!((claim.id, &claim.body["claim_attempts"]), (id, &json!(1)), "the attempt was nobody's");
}
