//! Many intents by one request: `POST /intents`, `POST /claim?limit=`, `POST /fulfill`, `POST /fail`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    Claim, TestApp,
    client::unix_now,
    factory::{intent, intent_with},
};

/// An intent for each number, with that number as its payload.
fn numbered(goal: &str, count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({"goal": goal, "payload": {"number": number}})).collect()
}

/// `ok`, or the code of the error, for each outcome.
fn codes(outcomes: &[Value]) -> Vec<&str> {
    outcomes.iter().map(|outcome| outcome["error"]["code"].as_str().unwrap_or("ok")).collect()
}

fn ids(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.id.clone()).collect()
}

#[tokio::test]
async fn what_is_wrong_with_an_element_is_what_a_request_for_it_alone_is_told() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "2048")]).await;
    let root = app.root();
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(11), "]".repeat(11))).unwrap();
    let elements = [
        intent("fine"),
        intent(""),
        json!({"goal": 5, "payload": {}}),
        json!({"payload": {}}),
        json!({"goal": "greet"}),
        json!({"goal": "greet", "payload": {"deep": deep}}),
        json!({"goal": "greet", "payload": {"long": "x".repeat(3000)}}),
        json!({}),
        intent_with("fine", json!({"namespace": "other"})),
        intent_with("greet", json!({"namespace": "a/b"})),
        intent_with("greet", json!({"priority": "high"})),
        intent_with("greet", json!({"target_worker": "a b"})),
        intent_with("greet", json!({"visibility": "secret"})),
        intent("fine"),
    ];
    let outcomes = root.publish_many(&elements).await.outcomes();
    assert_eq!(outcomes.len(), elements.len());
    assert_eq!(app.db.count("intents").await, 3);
    for (element, outcome) in elements.iter().zip(&outcomes) {
        let alone = root.publish(element).await;
        if alone.status == 201 {
            assert_eq!(outcome["status"], "published", "{element}");
            assert_eq!(outcome["namespace"], alone.json()["namespace"], "{element}");
        } else {
            assert_eq!(outcome["error"]["code"], alone.json()["error"]["code"], "{element}");
            assert_eq!(outcome["error"]["message"], alone.json()["error"]["message"], "{element}");
        }
    }
    assert_eq!(codes(&outcomes).iter().filter(|code| **code == "ok").count(), 3, "{outcomes:?}");
}

#[tokio::test]
async fn a_list_that_is_none_or_too_long_is_refused_as_a_whole() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.publish_many(&[]).await.refused(400, "invalid_request");
    root.publish_many(&numbered("greet", 1001)).await.refused(400, "invalid_request");
    for wrong in [json!(5), json!("x"), json!({}), Value::Null, json!([intent("greet"), 5]), json!([[intent("greet")]])]
    {
        root.post("/intents", json!({"intents": wrong})).await.refused(400, "invalid_request");
        for verb in ["/fulfill", "/fail"] {
            root.post(verb, json!({"claims": wrong})).await.refused(400, "invalid_request");
        }
    }
    root.post("/intents", "{").await.refused(400, "invalid_json");
    root.post("/intents", "{}").await.refused(400, "invalid_request");
    assert_eq!(app.db.count("intents").await, 0);
    let claim = json!({"id": "0".repeat(32), "claim_token": "t"});
    for verb in ["/fulfill", "/fail"] {
        root.post(verb, json!({"claims": []})).await.refused(400, "invalid_request");
        root.post(verb, json!({"claims": vec![claim.clone(); 1001]})).await.refused(400, "invalid_request");
        root.post(verb, json!({"claims": [{"claim_token": "t"}]})).await.refused(400, "invalid_request");
        assert_eq!(root.post(verb, json!({"claims": vec![claim.clone(); 1000]})).await.outcomes().len(), 1000);
    }
    assert_eq!(root.published_many(&numbered("greet", 1000)).await.len(), 1000);
}

#[tokio::test]
async fn a_limit_is_a_whole_number_from_1_to_1000() {
    let app = TestApp::spawn().await;
    for limit in ["0", "1001", "-1", "x", "", "1.5", "1e2"] {
        app.root().post(&format!("/claim?limit={limit}"), "").await.refused(400, "invalid_request");
    }
    for limit in [1, 1000] {
        app.root().post(&format!("/claim?limit={limit}"), "").await.empty();
    }
    app.root().published(intent("greet")).await;
    assert_eq!(app.root().claim_many("greet", 1).await.len(), 1);
}

#[tokio::test]
async fn the_first_intents_of_a_list_fill_the_quota_and_the_rest_are_told_so() {
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", "7")]).await;
    let alice = app.tenant("alice").await;
    alice.published(intent("greet")).await;
    let mut elements = numbered("greet", 10);
    elements[2] = intent("");
    let outcomes = alice.publish_many(&elements).await.outcomes();
    let (ok, full) = ("ok", "limit_exceeded");
    assert_eq!(codes(&outcomes), [ok, ok, "invalid_goal", ok, ok, ok, ok, full, full, full]);
    assert_eq!(app.db.count("intents").await, 7);
    assert_eq!(app.db.count("payloads").await, 7);
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 7);
}

#[tokio::test]
async fn the_quota_is_given_back_by_all_that_end() {
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", "6")]).await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    for owner in [&alice, &bob] {
        let body = intent_with("greet", json!({"visibility": "public", "max_attempts": 1}));
        owner.published_many(&vec![body; 6]).await;
    }
    // Both tenants' intents, in the hands of one of them.
    let claims = alice.claim_many("greet", 12).await;
    assert_eq!(claims.len(), 12);
    assert_eq!(codes(&alice.fulfill_many(&claims[..9], json!(1)).await.outcomes()), ["ok"; 9]);
    assert_eq!(codes(&alice.fail_many(&claims[9..], "no").await.outcomes()), ["ok"; 3]);
    assert_eq!(app.db.value::<i64>("SELECT sum(open_intents)::bigint FROM quotas", &[]).await, 0);
    for owner in [&alice, &bob] {
        let outcomes = owner.publish_many(&numbered("greet", 7)).await.outcomes();
        assert_eq!(codes(&outcomes).iter().filter(|code| **code == "ok").count(), 6);
    }
}

#[tokio::test]
async fn the_same_list_again_gives_the_same_ids_and_a_changed_element_clashes_alone() {
    let app = TestApp::spawn().await;
    let keyed = app.root().with("idempotency-key", "k");
    let mut elements = numbered("greet", 5);
    let first = keyed.published_many(&elements).await;
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(keyed.published_many(&elements).await, first);
    elements[3] = intent("other");
    let outcomes = keyed.publish_many(&elements).await.outcomes();
    assert_eq!(codes(&outcomes), ["ok", "ok", "ok", "conflict", "ok"]);
    let of_today = keyed.declaring("7.61").publish_many(&elements).await.outcomes();
    assert_eq!(codes(&of_today), ["ok", "ok", "ok", "idempotency_conflict", "ok"]);
    // More of them, or fewer: the key stands for each by its number.
    assert_eq!(keyed.published_many(&elements[..2]).await, first[..2]);
    assert_eq!(app.db.count("intents").await, 5);
    // An element that was refused has left its place unused.
    let other = app.root().with("idempotency-key", "l");
    assert_eq!(codes(&other.publish_many(&[intent(""), intent("greet")]).await.outcomes()), ["invalid_goal", "ok"]);
    assert_eq!(codes(&other.publish_many(&[intent("now"), intent("greet")]).await.outcomes()), ["ok", "ok"]);
    assert_eq!(app.db.count("intents").await, 7);
}

#[tokio::test]
async fn the_same_list_at_the_same_moment_is_stored_once() {
    let app = TestApp::spawn().await;
    let replica = app.replica(&[]).await;
    let alice = app.tenant("alice").await;
    let there = replica.client(alice.api_key());
    for round in 1..=4 {
        let key = format!("round-{round}");
        let (here, there) = (alice.with("idempotency-key", &key), there.with("idempotency-key", &key));
        let elements = numbered("greet", 50);
        let sent = (0..6).map(|number| if number % 2 == 0 { &here } else { &there }.published_many(&elements));
        let answers: BTreeSet<Vec<String>> = futures_util::future::join_all(sent).await.into_iter().collect();
        assert_eq!(answers.len(), 1);
        assert_eq!(app.db.count("intents").await, 50 * round);
        assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 50 * round);
    }
}

#[tokio::test]
async fn payloads_and_results_of_a_list_arrive_byte_for_byte() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let payloads = [
        r#"{ "z":1.0E+4, "a":1234567890123456789012345678901,"n":0.10, "s":"\u0000\/", "z":[ ] }"#,
        r#"{"b":1,"a":{"d":  "é\u00e9"}}"#,
        "{\t}",
    ];
    let elements: Vec<String> =
        payloads.iter().map(|payload| format!(r#"{{"payload": {payload} , "goal":"greet"}}"#)).collect();
    let body = format!(r#"{{"intents":[{}]}}"#, elements.join(" ,\n"));
    let published = root.post("/intents", body).await;
    assert_eq!(codes(&published.outcomes()), ["ok"; 3]);
    let answer = root.post("/claim?goal=greet&limit=10", "").await;
    let claims = answer.claims();
    for (claim, payload) in claims.iter().zip(payloads) {
        assert!(answer.text().contains(&format!(r#""payload":{payload},"#)), "{}", answer.text());
        assert!(published.text().contains(&claim.id));
    }
    let ended: Vec<String> = claims
        .iter()
        .zip(payloads)
        .map(|(claim, result)| {
            format!(r#"{{"id":"{}","claim_token":"{}","result": {result} }}"#, claim.id, claim.token)
        })
        .collect();
    root.post("/fulfill", format!(r#"{{"claims":[{}]}}"#, ended.join(","))).await.outcomes();
    for (claim, result) in claims.iter().zip(payloads) {
        let seen = root.result(&claim.id).await;
        assert!(seen.text().contains(&format!(r#""result":{result},"#)), "{}", seen.text());
    }
}

#[tokio::test]
async fn a_list_is_claimed_in_its_order() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let published = root.published_many(&numbered("sort", 400)).await;
    let mut claimed = ids(&root.claim_many("sort", 150).await);
    claimed.push(root.claimed("sort").await.id);
    claimed.extend(ids(&root.claim_many("sort", 1000).await));
    assert_eq!(claimed, published);
    assert!(root.claim_many("sort", 1000).await.is_empty());
    // Priorities before that.
    let mixed: Vec<Value> = (0..90).map(|number| intent_with("mixed", json!({"priority": number % 3}))).collect();
    let published = root.published_many(&mixed).await;
    let mut expected: Vec<(usize, String)> = published.into_iter().enumerate().collect();
    expected.sort_by_key(|(number, _)| (2 - number % 3, *number));
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids(&root.claim_many("mixed", 1000).await), expected);
}

#[tokio::test]
async fn each_claim_of_a_batch_has_a_token_of_its_own() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published_many(&numbered("greet", 100)).await;
    let claims = root.claim_many("greet", 100).await;
    let tokens: BTreeSet<_> = claims.iter().map(|claim| &claim.token).collect();
    assert_eq!(tokens.len(), 100);
    for claim in claims.iter().step_by(9) {
        root.fulfill(claim, json!(1)).await.expect(200);
    }
}

#[tokio::test]
async fn a_batch_is_one_signature_and_is_let_in_once() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let body = json!({"intents": numbered("greet", 20)}).to_string();
    let signed = root.signed_once("POST", "/intents", &body, unix_now());
    assert_eq!(codes(&signed.post("/intents", body.clone()).await.outcomes()), ["ok"; 20]);
    let again = signed.post("/intents", body.clone()).await.refused(403, "invalid_signature");
    assert!(again.starts_with("Replay detected"), "{again}");
    assert_eq!(app.db.count("intents").await, 20);
    let stale = root.signed_once("POST", "/intents", &body, unix_now() - 1000);
    stale.post("/intents", body).await.refused(403, "invalid_signature");
    assert_eq!(app.db.count("intents").await, 20);

    let claims = root.claim_many("greet", 4).await;
    for verb in ["fulfill", "fail"] {
        let (target, claims) = (format!("/{verb}"), if verb == "fail" { &claims[..2] } else { &claims[2..] });
        let named: Vec<_> = claims.iter().map(|claim| json!({"id": claim.id, "claim_token": claim.token})).collect();
        let body = json!({"claims": named}).to_string();
        let signed = root.signed_once("POST", &target, &body, unix_now());
        assert_eq!(codes(&signed.post(&target, body.clone()).await.outcomes()), ["ok"; 2]);
        signed.post(&target, body).await.refused(403, "invalid_signature");
    }
}

#[tokio::test]
async fn a_batch_takes_one_place_in_the_minute() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "5")]).await;
    let alice = app.limited_tenant("alice").await;
    alice.published_many(&numbered("greet", 30)).await;
    let claims = alice.claim_many("greet", 30).await;
    alice.fulfill_many(&claims[..15], json!(1)).await.outcomes();
    alice.fail_many(&claims[15..], "no").await.outcomes();
    // A batch of nothing but bad elements was asked for too.
    assert_eq!(codes(&alice.publish_many(&[intent("")]).await.outcomes()), ["invalid_goal"]);
    alice.publish_many(&numbered("greet", 30)).await.refused(429, "rate_limited");
    alice.post("/claim?limit=3", "").await.refused(429, "rate_limited");
    alice.fulfill_many(&claims[..1], json!(1)).await.refused(429, "rate_limited");
    alice.fail_many(&claims[..1], "no").await.refused(429, "rate_limited");
    assert_eq!(app.db.count("intents").await, 0);
}

/// Of claims that are held, and of claims that are not, ends the first by a list of both.
async fn only_the_held_ones_end(verb: &str) {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    alice.published_many(&numbered("greet", 6)).await;
    bob.published(intent("greet")).await;
    let held = alice.claim_many("greet", 6).await;
    let anothers = bob.claimed("greet").await;
    let by = |claim: &Claim, token: &str| Claim { token: token.to_owned(), ..claim.clone() };
    let named = |id: &str| Claim { id: id.to_owned(), ..held[0].clone() };
    let list = [
        held[0].clone(),
        held[0].clone(),
        anothers.clone(),
        by(&held[1], "wrong"),
        held[1].clone(),
        held[1].clone(),
        by(&held[2], &held[3].token),
        named(&"0".repeat(32)),
        named("no id at all"),
        held[4].clone(),
    ];
    let outcomes = alice.finish_many(verb, &list, &json!({"result": {"a": 1}, "error": "no"})).await.outcomes();
    let (ok, gone) = ("ok", "not_found");
    assert_eq!(codes(&outcomes), [ok, gone, gone, gone, ok, gone, gone, gone, gone, ok]);
    for (outcome, claim) in outcomes.iter().zip(&list) {
        assert_eq!(outcome["id"], claim.id);
    }
    // The others are held still, by those who held them.
    bob.fulfill(&anothers, json!(1)).await.expect(200);
    for claim in [&held[2], &held[3], &held[5]] {
        alice.fulfill(claim, json!(1)).await.expect(200);
    }
    for claim in [&held[0], &held[1], &held[4]] {
        alice.fulfill(claim, json!(1)).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn of_a_list_to_fulfil_only_claims_that_are_held_end_and_each_once() {
    only_the_held_ones_end("fulfill").await;
}

#[tokio::test]
async fn of_a_list_to_fail_only_claims_that_are_held_end_and_each_once() {
    only_the_held_ones_end("fail").await;
}

#[tokio::test]
async fn each_failure_of_a_list_keeps_its_own_error_and_goes_its_own_way() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let elements: Vec<Value> =
        (0..4).map(|number| intent_with("greet", json!({"max_attempts": 1 + number % 2}))).collect();
    root.published_many(&elements).await;
    let claims = root.claim_many("greet", 4).await;
    let named: Vec<Value> = (0..4)
        .map(|number: usize| {
            json!({"id": claims[number].id, "claim_token": claims[number].token, "error": format!("error {number}")})
        })
        .collect();
    let outcomes = root.post("/fail", json!({"claims": named})).await.outcomes();
    let statuses: Vec<&Value> = outcomes.iter().map(|outcome| &outcome["status"]).collect();
    assert_eq!(statuses, ["dead", "open", "dead", "open"].map(|status| json!(status)).iter().collect::<Vec<_>>());
    for (number, claim) in claims.iter().enumerate() {
        assert_eq!(root.status(&claim.id).await.expect(200)["last_error"], format!("error {number}"));
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_kept_does_not_hold_up_the_others() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "2048")]).await;
    let root = app.root().declaring("7.61");
    root.published_many(&numbered("greet", 4)).await;
    let claims = root.claim_many("greet", 4).await;
    let with = |number: usize, fields: Value| {
        let mut element = json!({"id": claims[number].id, "claim_token": claims[number].token});
        element.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        element
    };
    let mut untold = with(2, json!({"result": 1}));
    untold.as_object_mut().unwrap().remove("claim_token");
    let list = [
        with(0, json!({"result": "x".repeat(3000)})),
        with(1, json!({"result": 5, "result_type": "text"})),
        untold,
        with(3, json!({"result": "fine", "result_type": "text"})),
    ];
    let outcomes = root.post("/fulfill", json!({"claims": list})).await.outcomes();
    assert_eq!(codes(&outcomes)[1..], ["invalid_request", "invalid_request", "ok"]);
    let alone = root.fulfill(&claims[0], json!("x".repeat(3000))).await.json();
    assert_eq!(outcomes[0]["error"], alone["error"]);
    assert_eq!(root.result(&claims[3].id).await.expect(200)["result"], "fine");
    for claim in &claims[..3] {
        root.fulfill(claim, json!(1)).await.expect(200);
    }
}

#[tokio::test]
async fn a_batch_may_have_8_mib_where_a_single_request_may_not() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "65536")]).await;
    let root = app.root();
    let long = |count: usize| vec![json!({"goal": "greet", "payload": {"x": "x".repeat(65_000)}}); count];
    root.publish(json!({"goal": "greet", "payload": {"x": "x".repeat(200_000)}}))
        .await
        .refused(413, "payload_too_large");
    assert_eq!(root.published_many(&long(120)).await.len(), 120);
    root.publish_many(&long(135)).await.refused(413, "payload_too_large");
    let claims = root.claim_many("greet", 1000).await;
    assert_eq!(claims.len(), 120);
    let result = json!("x".repeat(60_000));
    assert_eq!(codes(&root.fulfill_many(&claims, result).await.outcomes()), ["ok"; 120]);
}
