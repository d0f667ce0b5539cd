//! Two generations of the protocol on one bus: the differences, one test for each, over every way to declare a version.

use serde_json::json;

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

/// What a request may declare, and whether it is then of the second generation where the setting says `1.1`.
const DECLARED: &[(Option<&str>, bool)] = &[
    (None, false),
    (Some("1.1"), false),
    (Some("nonsense"), false),
    (Some("7.5"), true),
    (Some("7.61"), true),
    (Some("2.1"), true),
];

fn declaring(client: &Client, version: Option<&str>) -> Client {
    version.map_or_else(|| client.clone(), |version| client.declaring(version))
}

#[tokio::test]
async fn a_payload_must_be_an_object_under_1_1_and_may_be_any_json_under_2() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let client = declaring(&app.root(), version);
        for payload in [json!([1]), json!("text"), json!(7), json!(null)] {
            let answer = client.publish(json!({"goal": "greet", "payload": payload})).await;
            if second {
                answer.expect(201);
                assert_eq!(client.claimed("greet").await.body["payload"], payload);
            } else {
                answer.refused(400, "invalid_payload");
            }
        }
        client.publish(intent("greet")).await.expect(201);
        client.claimed("greet").await;
    }
}

#[tokio::test]
async fn a_finish_without_a_token_is_for_those_who_know_no_tokens() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let client = declaring(&app.root(), version);
        for (verb, body) in [
            ("fulfill", json!({"result": 1})),
            ("fail", json!({"error": "no"})),
            ("extend_claim", json!({"seconds": 60})),
        ] {
            app.root().published(intent("greet")).await;
            let claim = client.claimed("greet").await;
            let answer = client.post(&format!("/{verb}/{}", claim.id), body).await;
            if second && version != Some("7.5") {
                assert_eq!(answer.refused(400, "invalid_request"), "Missing claim_token.", "{version:?} {verb}");
            } else {
                answer.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn a_finish_without_a_body_is_for_those_who_know_no_tokens() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let client = declaring(&app.root(), version);
        for verb in ["fulfill", "fail"] {
            app.root().published(intent("greet")).await;
            let claim = client.claimed("greet").await;
            let answer = client.post(&format!("/{verb}/{}", claim.id), "").await;
            if second && version != Some("7.5") {
                answer.refused(400, "invalid_request")
            } else {
                answer.expect(200).to_string()
            };
        }
    }
}

#[tokio::test]
async fn without_a_token_the_key_that_holds_the_claim_decides() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    for version in [None, Some("7.5")] {
        let (root, alice) = (declaring(&app.root(), version), declaring(&alice, version));
        let id = root.published(intent_with("greet", json!({"visibility": "public"}))).await;
        root.post(&format!("/fulfill/{id}"), "").await.refused(404, "not_found");
        root.claimed("greet").await;
        alice.post(&format!("/fulfill/{id}"), "").await.refused(404, "not_found");
        root.post(&format!("/fulfill/{id}"), r#"{"claim_token": "0"}"#).await.refused(404, "not_found");
        root.post(&format!("/fulfill/{id}"), r#"{"claim_token": null}"#).await.expect(200);
    }
}

#[tokio::test]
async fn a_failure_is_final_under_1_1_unless_the_publisher_asked_for_retries() {
    let app = TestApp::spawn().await;
    let policies = [json!({}), json!({"max_attempts": 3}), json!({"backoff_base": 5})];
    for &(publisher, publisher_second) in DECLARED {
        for &(finisher, finisher_second) in DECLARED {
            for policy in &policies {
                let asked_for_retries = publisher_second || policy != &json!({});
                let id = declaring(&app.root(), publisher).published(intent_with("greet", policy.clone())).await;
                let worker = declaring(&app.root(), finisher);
                let claim = worker.claimed("greet").await;
                let answered = worker.fail(&claim, "no").await.expect(200);
                let stands = app.root().status(&id).await.expect(200);
                let expected = if finisher_second || asked_for_retries { ("open", "open") } else { ("failed", "dead") };
                let seen = (answered["status"].as_str().unwrap(), stands["status"].as_str().unwrap());
                assert_eq!(seen, expected, "published by {publisher:?} with {policy}, failed by {finisher:?}");
                app.admin().cancel(&id).await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn the_terminal_state_is_failed_in_answers_to_fail_under_1_1_and_dead_elsewhere() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let client = declaring(&app.root(), version);
        let id = client.published(intent_with("greet", json!({"max_attempts": 1}))).await;
        let claim = client.claimed("greet").await;
        let answer = client.fail(&claim, "no").await.expect(200);
        assert_eq!(answer["status"], if second { "dead" } else { "failed" }, "{version:?}");
        assert_eq!(client.status(&id).await.expect(200)["status"], "dead");
        assert_eq!(client.result(&id).await.expect(200)["status"], "dead");
    }
}

#[tokio::test]
async fn an_idempotency_clash_is_409_under_1_1_and_422_under_2() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let client = declaring(&app.root(), version).with("idempotency-key", format!("{version:?}"));
        client.publish(intent("greet")).await.expect(201);
        let clash = client.publish(intent("other")).await;
        if second {
            clash.refused(422, "idempotency_conflict")
        } else {
            clash.refused(409, "conflict")
        };
    }
}

#[tokio::test]
async fn the_root_key_makes_keys_under_1_1_only() {
    let app = TestApp::spawn().await;
    for &(version, second) in DECLARED {
        let answer = declaring(&app.root(), version).generate_key("alice").await;
        if second {
            answer.refused(403, "forbidden")
        } else {
            answer.expect(201).to_string()
        };
        declaring(&app.admin(), version).generate_key("alice").await.expect(201);
    }
}

#[tokio::test]
async fn an_answer_carries_the_version_that_its_client_expects() {
    let app = TestApp::spawn().await;
    for (version, answered) in [
        (None, "1.1"),
        (Some("1.1"), "1.1"),
        (Some("7.5"), "7.61"),
        (Some("7.61"), "7.61"),
        (Some("2.1"), "2.1"),
        (Some("x"), "1.1"),
    ] {
        let client = declaring(&app.root(), version);
        let answers = [
            client.get("/health").await,
            client.claim("greet").await,
            client.status("x").await,
            client.get("/none").await,
        ];
        for answer in answers {
            assert_eq!(answer.header("x-intent-version"), Some(answered), "{version:?}");
        }
    }
}

#[tokio::test]
async fn the_setting_decides_for_requests_that_declare_nothing() {
    let app = TestApp::with(&[("BUS_PROTOCOL", "2.1")]).await;
    let root = app.root();
    assert_eq!(root.get("/health").await.header("x-intent-version"), Some("2.1"));
    root.publish(json!({"goal": "greet", "payload": [1]})).await.expect(201);
    let claim = root.claimed("greet").await;
    root.post(&format!("/fulfill/{}", claim.id), "").await.refused(400, "invalid_request");
    assert_eq!(root.fail(&claim, "no").await.expect(200)["status"], "open");
    root.generate_key("alice").await.refused(403, "forbidden");
    let old = root.declaring("1.1");
    old.publish(json!({"goal": "greet", "payload": [1]})).await.refused(400, "invalid_payload");
    old.generate_key("alice").await.expect(201);
    let same_key = root.with("idempotency-key", "k");
    same_key.publish(intent("greet")).await.expect(201);
    same_key.publish(intent("other")).await.refused(422, "idempotency_conflict");
}

#[tokio::test]
async fn a_wrong_token_is_404_in_every_generation() {
    let app = TestApp::spawn().await;
    for &(version, _) in DECLARED {
        let client = declaring(&app.root(), version);
        client.published(intent("greet")).await;
        let claim = client.claimed("greet").await;
        for (verb, body) in
            [("fulfill", json!({"result": 1})), ("fail", json!({})), ("extend_claim", json!({"seconds": 60}))]
        {
            let forged = crate::support::Claim { token: "f".repeat(32), ..claim.clone() };
            client.finish(verb, &forged, body).await.refused(404, "not_found");
        }
        client.fulfill(&claim, json!(1)).await.expect(200);
    }
}
