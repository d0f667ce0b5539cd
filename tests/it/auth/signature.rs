//! Strict requests: signed, fresh, and good for once.

use serde_json::json;

use crate::support::{
    Answer, Client, TestApp,
    client::{nonce, sign_as, unix_now},
    factory::intent,
};

/// A request with a signature made by hand.
struct Signed<'a> {
    method: &'a str,
    target: &'a str,
    body: String,
    timestamp: i64,
    nonce: String,
}

impl Default for Signed<'_> {
    fn default() -> Self {
        let body = intent("greet").to_string();
        Self { method: "POST", target: "/intent", body, timestamp: unix_now(), nonce: nonce() }
    }
}

impl Signed<'_> {
    fn headers(&self, client: &Client) -> Vec<(String, Vec<u8>)> {
        sign_as(client.api_key(), self.method, self.target, self.body.as_bytes(), self.timestamp, &self.nonce)
    }

    async fn send(&self, client: &Client) -> Answer {
        with_all(client, &self.headers(client)).send(self.method, self.target, self.body.clone()).await
    }
}

fn with_all(client: &Client, headers: &[(String, Vec<u8>)]) -> Client {
    headers.iter().fold(client.clone(), |client, (name, value)| client.with(name, value))
}

#[tokio::test]
async fn a_signed_request_is_let_in_on_every_path() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    for client in [app.root().signing(), app.tenant("alice").await.signing()] {
        client.published(intent("a goal")).await;
        for target in [
            "/claim?goal=a+goal&namespace=default",
            "/claim?namespace=default&goal=a%20goal",
            "/claim?goal=a%20goal&&x",
            "/claim?",
        ] {
            client.post(target, "").await;
        }
        client.published(intent("greet")).await;
        let claim = client.claimed("greet").await;
        client.extend(&claim, 60).await.expect(200);
        client.fulfill(&claim, json!({"a": "é"})).await.expect(200);
        client.status(&claim.id).await.expect(200);
        client.result(&claim.id).await.expect(200);
        client.set("a key/with%20all%3Fsorts", json!(1)).await.expect(200);
        client.value("a key/with%20all%3Fsorts").await.expect(200);
    }
}

#[tokio::test]
async fn every_part_of_the_request_is_signed() {
    let app = TestApp::spawn().await;
    let (root, alice) = (app.root(), app.tenant("alice").await);
    let fine = Signed { target: "/claim?goal=greet&namespace=default", body: "{}".to_owned(), ..Signed::default() };
    let headers = fine.headers(&root);
    let sent = with_all(&root, &headers);
    let bad = |answer: Answer| assert_eq!(answer.refused(403, "invalid_signature"), "Bad signature.");
    for target in [
        "/claim?goal=greet",
        "/claim?goal=greet&namespace=other",
        "/claim?namespace=default&goal=greet&x=",
        "/intent?goal=greet&namespace=default",
    ] {
        bad(sent.send("POST", target, "{}").await);
    }
    bad(sent.send("POST", fine.target, "{} ").await);
    bad(sent.send("POST", fine.target, "").await);
    let with_header = |name: &str, value: &str| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| if n == name { (n.clone(), value.as_bytes().to_vec()) } else { (n.clone(), v.clone()) })
            .collect();
        with_all(&root, &headers)
    };
    bad(with_header("x-timestamp", &(fine.timestamp + 1).to_string()).send("POST", fine.target, "{}").await);
    bad(with_header("x-nonce", "another").send("POST", fine.target, "{}").await);
    let signature = String::from_utf8(headers[0].1.clone()).unwrap();
    for text in [
        signature.to_uppercase(),
        signature[..62].to_owned(),
        format!("{signature}00"),
        "0".repeat(64),
        "zz".to_owned(),
    ] {
        bad(with_header("x-signature", &text).send("POST", fine.target, "{}").await);
    }
    bad(with_all(&alice, &headers).send("POST", fine.target, "{}").await);
    // None of that has used the nonce, nor does another order of the same query matter.
    sent.send("POST", "/claim?namespace=default&goal=greet", "{}").await.empty();
}

#[tokio::test]
async fn the_method_is_signed() {
    let app = TestApp::spawn().await;
    app.root().set("k", json!(1)).await.expect(200);
    let get = Signed { method: "GET", target: "/get/k", body: String::new(), ..Signed::default() };
    let as_head = with_all(&app.root(), &get.headers(&app.root())).send("HEAD", "/get/k", "").await;
    assert_eq!(as_head.status, 403);
    get.send(&app.root()).await.expect(200);
}

#[tokio::test]
async fn a_timestamp_is_fresh_for_300_seconds_either_way() {
    let app = TestApp::spawn().await;
    let now = unix_now();
    for offset in [-290, 290, 0] {
        Signed { timestamp: now + offset, ..Signed::default() }.send(&app.root()).await.expect(201);
    }
    for offset in [-302, 310, -1_000_000, 10_000_000, i64::MAX - now, i64::MIN] {
        let answer = Signed { timestamp: now.saturating_add(offset), ..Signed::default() }.send(&app.root()).await;
        let message = answer.refused(403, "invalid_signature");
        assert!(message.starts_with("Stale timestamp"), "{message}");
    }
}

#[tokio::test]
async fn a_timestamp_that_is_no_whole_number_is_refused() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for text in ["soon", "1.5e9", "0x10", "99999999999999999999999", &format!("{}.5", unix_now())] {
        let parts = intent_bus_protocol::signature::SignedParts {
            method: "POST",
            path_and_query: "/claim",
            timestamp: text,
            nonce: "n",
            body: b"",
        };
        let signature = intent_bus_protocol::signature::sign(root.api_key(), &parts);
        let sent = root.with("x-signature", signature).with("x-timestamp", text).with("x-nonce", "n");
        sent.post("/claim", "").await.refused(403, "invalid_signature");
    }
}

#[tokio::test]
async fn a_strict_request_needs_all_its_headers() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for missing in ["x-timestamp", "x-nonce"] {
        let headers: Vec<_> =
            Signed::default().headers(&root).into_iter().filter(|(name, _)| name != missing).collect();
        let answer = with_all(&root, &headers).publish(intent("greet")).await;
        assert!(answer.refused(403, "invalid_signature").contains(missing));
        let empty: Vec<_> = headers.into_iter().chain([(missing.to_owned(), Vec::new())]).collect();
        with_all(&root, &empty).publish(intent("greet")).await.refused(403, "invalid_signature");
    }
    root.with("x-signature", "").publish(intent("greet")).await.refused(403, "invalid_signature");
    Signed { nonce: "n".repeat(257), ..Signed::default() }.send(&root).await.refused(403, "invalid_signature");
    Signed { nonce: "n".repeat(256), ..Signed::default() }.send(&root).await.expect(201);
}

#[tokio::test]
async fn without_a_signature_the_other_headers_mean_nothing() {
    let app = TestApp::spawn().await;
    let client = app.root().with("x-timestamp", "1").with("x-nonce", "n");
    client.published(intent("greet")).await;
    client.published(intent("greet")).await;
}

#[tokio::test]
async fn a_request_passes_once() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let request = Signed::default();
    request.send(&root).await.expect(201);
    let again = request.send(&root).await.refused(403, "invalid_signature");
    assert!(again.starts_with("Replay detected"), "{again}");
    // The nonce is spent whatever the rest of the request says.
    let later = Signed {
        timestamp: request.timestamp - 100,
        nonce: request.nonce.clone(),
        body: intent("other").to_string(),
        ..Signed::default()
    };
    assert!(later.send(&root).await.refused(403, "invalid_signature").starts_with("Replay detected"));
    let elsewhere = Signed {
        method: "GET",
        target: "/get/k",
        body: String::new(),
        nonce: request.nonce.clone(),
        ..Signed::default()
    };
    assert!(elsewhere.send(&root).await.refused(403, "invalid_signature").starts_with("Replay detected"));
    assert_eq!(app.db.count("intents").await, 1);
    // Another tenant's nonces are its own.
    let other = Signed { nonce: request.nonce, ..Signed::default() };
    other.send(&app.tenant("alice").await).await.expect(201);
}

#[tokio::test]
async fn a_request_sent_many_times_at_the_same_moment_passes_once_over_all_replicas() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20")]).await;
    let replica = app.replica(&[("BUS_DATABASE_POOL_SIZE", "20")]).await;
    let (here, there) = (app.root(), replica.root());
    for round in 1..=5 {
        let request = Signed::default();
        let sent = (0..20).map(|number| request.send(if number % 2 == 0 { &here } else { &there }));
        let answers = futures_util::future::join_all(sent).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert!(answer.refused(403, "invalid_signature").starts_with("Replay detected"));
        }
        assert_eq!(app.db.count("intents").await, round);
    }
}

#[tokio::test]
async fn a_forged_request_does_not_use_up_the_nonce() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let request = Signed::default();
    let forged: Vec<_> = request.headers(&root).into_iter().filter(|(name, _)| name != "x-signature").collect();
    let forged = with_all(&root, &forged).with("x-signature", "0".repeat(64));
    for _ in 0..3 {
        forged.publish(request.body.clone()).await.refused(403, "invalid_signature");
    }
    assert_eq!(app.db.count("nonces").await, 0);
    request.send(&root).await.expect(201);
}

#[tokio::test]
async fn a_refused_request_has_used_its_nonce_and_its_place_in_the_minute_and_nothing_else() {
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", "1"), ("BUS_RATE_LIMIT_PER_MINUTE", "3")]).await;
    let alice = app.limited_tenant("alice").await;
    let first = alice.signing().published(intent("greet")).await;
    let request = Signed::default();
    request.send(&alice).await.refused(429, "limit_exceeded");
    app.admin().cancel(&first).await.expect(200);
    request.send(&alice).await.refused(403, "invalid_signature");
    Signed::default().send(&alice).await.expect(201);
    Signed::default().send(&alice).await.refused(429, "rate_limited");
    assert_eq!(app.db.value::<i64>("SELECT count(DISTINCT hash) FROM nonces", &[]).await, 3);
}

#[tokio::test]
async fn requests_for_what_is_not_there_count_in_the_minute() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "2")]).await;
    let alice = app.limited_tenant("alice").await;
    for _ in 0..2 {
        alice.status(&"0".repeat(32)).await.refused(404, "not_found");
    }
    alice.status(&"0".repeat(32)).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_nonce_is_remembered_for_longer_than_its_timestamp_is_fresh() {
    let app = TestApp::spawn().await;
    let request = Signed::default();
    request.send(&app.root()).await.expect(201);
    app.db.age_ring("nonces", 600).await;
    assert_eq!(app.db.count("nonces").await, 1);
    request.send(&app.root()).await.refused(403, "invalid_signature");
}

#[tokio::test]
async fn an_unknown_key_is_401_even_if_its_signature_fits() {
    let app = TestApp::spawn().await;
    let stranger = app.client("tk_0123456789abcdef0123456789abcdef");
    Signed::default().send(&stranger).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn where_signatures_are_required_an_unsigned_request_is_refused() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    let (root, alice) = (app.root(), app.tenant("alice").await);
    for client in [&root, &alice] {
        client.publish(intent("greet")).await.refused(403, "invalid_signature");
        client.claim("greet").await.refused(403, "invalid_signature");
        client.value("k").await.refused(403, "invalid_signature");
        client.signing().published(intent("greet")).await;
    }
    app.nobody().get("/health").await.expect(200);
    app.admin().get("/admin/dead").await.expect(200);
    root.get("/admin/dead").await.refused(403, "invalid_signature");
    root.signing().get("/admin/dead").await.expect(200);
}

#[tokio::test]
async fn a_signed_request_of_an_operator_passes_once() {
    let app = TestApp::spawn().await;
    let request =
        Signed { target: "/admin/generate_key", body: json!({"owner": "alice"}).to_string(), ..Signed::default() };
    request.send(&app.root()).await.expect(201);
    let again = request.send(&app.root()).await.refused(403, "invalid_signature");
    assert!(again.starts_with("Replay detected"), "{again}");
    assert_eq!(app.db.count("api_keys").await, 1);
}

#[tokio::test]
async fn a_target_that_another_signature_fits_is_refused_if_signed_and_taken_if_not() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for key in ["a%3Fb=c", "a%0A1700000000"] {
        root.set(key, json!(1)).await.expect(200);
        root.signing().set(key, json!(1)).await.refused(403, "invalid_signature");
    }
}
