//! `POST /intent`

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn a_published_intent_has_an_id_and_a_namespace() {
    let app = TestApp::spawn().await;
    let answer = app.root().publish(intent("greet")).await.expect(201);
    let id = answer["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{id}");
    assert_eq!(answer, json!({"id": id, "status": "published", "namespace": "default"}));
}

#[tokio::test]
async fn what_is_left_out_has_its_default() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("greet")).await;
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    let expected = json!({
        "id": id, "namespace": "default", "goal": "greet", "status": "open", "priority": 100, "visibility": "private",
        "claim_attempts": 0, "max_attempts": 3, "run_at": seen["created_at"], "created_at": seen["created_at"],
        "claim_expires_at": null, "target_worker": null, "required_capability": null, "completed_at": null,
        "last_error": null, "worker_id": null,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&seen[field], value, "{field}");
    }
    assert_eq!(app.db.value::<f64>("SELECT backoff_base FROM intents", &[]).await.to_string(), "5");
    assert_eq!(app.root().claimed("greet").await.body["claim_timeout"], 60);
}

#[tokio::test]
async fn what_is_given_is_kept() {
    let app = TestApp::spawn().await;
    let given = json!({
        "goal": "  resize  ", "payload": {"w": 1}, "namespace": "a.B_c-9", "visibility": "public", "priority": 1000,
        "delay": 90.5, "max_attempts": 20, "backoff_base": 3600, "target_worker": "pi:4.b_c-d",
        "required_capability": "gpu:a100", "reward": {"coins": 5},
    });
    let id = app.root().published(&given).await;
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    let fields =
        ["goal", "namespace", "visibility", "priority", "max_attempts", "target_worker", "required_capability"];
    for field in fields.into_iter().skip(1) {
        assert_eq!(seen[field], given[field], "{field}");
    }
    assert_eq!(seen["goal"], "resize", "trimmed");
    let delay = seen["run_at"].as_f64().unwrap() - seen["created_at"].as_f64().unwrap();
    assert!((delay - 90.5).abs() < 0.001, "{delay}");
    assert_eq!(app.db.value::<f64>("SELECT backoff_base FROM intents", &[]).await.to_string(), "3600");
    let reward: Vec<u8> = app.db.value("SELECT reward FROM payloads", &[]).await;
    assert_eq!(reward, br#"{"coins":5}"#);
}

#[tokio::test]
async fn null_counts_as_left_out_and_unknown_fields_are_ignored() {
    let app = TestApp::spawn().await;
    let body = json!({
        "goal": "greet", "payload": {}, "namespace": null, "visibility": null, "priority": null, "delay": null,
        "max_attempts": null, "backoff_base": null, "target_worker": null, "required_capability": null, "reward": null,
        "ttl": 5, "metadata": {"deep": []},
    });
    let answer = app.root().publish(body).await.expect(201);
    assert_eq!(answer["namespace"], "default");
    assert!(app.db.value::<bool>("SELECT reward IS NULL FROM payloads", &[]).await);
}

#[tokio::test]
async fn a_field_that_is_wrong_is_refused_with_the_code_of_that_field() {
    let app = TestApp::spawn().await;
    let long = |length: usize| Value::from("a".repeat(length));
    let table: Vec<(&str, &str, Vec<Value>)> = vec![
        (
            "goal",
            "invalid_goal",
            vec![json!(""), json!(" \t\n "), long(257), json!(5), json!(["a"]), json!("a\0b"), json!(null)],
        ),
        ("payload", "invalid_payload", vec![json!([1]), json!("text"), json!(7), json!(null), json!(true)]),
        (
            "namespace",
            "invalid_namespace",
            vec![json!(""), json!("a/b"), json!("a b"), json!("é"), json!("a:b"), long(65), json!(1)],
        ),
        (
            "target_worker",
            "invalid_target_worker",
            vec![json!(""), json!("a b"), json!("a,b"), long(65), json!(1), json!("é")],
        ),
        (
            "required_capability",
            "invalid_required_capability",
            vec![json!(""), json!("a b"), json!("a,b"), long(65), json!(1)],
        ),
        ("visibility", "invalid_request", vec![json!("secret"), json!(""), json!("Public"), json!(true)]),
        ("priority", "invalid_request", vec![json!(-1), json!(1001), json!(1.5), json!("5"), json!(true), json!([])]),
        ("delay", "invalid_request", vec![json!(-1), json!(-0.001), json!("5"), json!(31_536_001), json!(false)]),
        ("max_attempts", "invalid_request", vec![json!(0), json!(21), json!(-3), json!(2.5), json!("3")]),
        ("backoff_base", "invalid_request", vec![json!(0), json!(0.5), json!(3600.5), json!("5"), json!({})]),
    ];
    for (field, code, values) in table {
        for value in values {
            let mut body = intent("greet");
            body[field] = value;
            app.root().publish(&body).await.refused(400, code);
        }
    }
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn the_ends_of_every_range_are_accepted() {
    let app = TestApp::spawn().await;
    let ends = [
        json!({"goal": "é".repeat(256)}),
        json!({"goal": "a"}),
        json!({"namespace": "n".repeat(64)}),
        json!({"target_worker": "w".repeat(64)}),
        json!({"required_capability": "c".repeat(64)}),
        json!({"priority": 0}),
        json!({"priority": 1000}),
        json!({"delay": 0}),
        json!({"delay": 31_536_000}),
        json!({"max_attempts": 1}),
        json!({"max_attempts": 20}),
        json!({"backoff_base": 1}),
        json!({"backoff_base": 3600.0}),
        json!({"visibility": "private"}),
    ];
    for end in ends {
        app.root().publish(intent_with("greet", end)).await.expect(201);
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_refused() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for body in ["", "{", "nonsense", r#"{"goal": "a", "payload": {}} x"#, "{'goal': 'a'}", r#"{"goal": NaN}"#] {
        root.publish(body).await.refused(400, "invalid_json");
    }
    root.send("POST", "/intent", &b"{\"goal\": \"\xff\", \"payload\": {}}"[..]).await.refused(400, "invalid_json");
    for body in ["[]", "1", "null", "\"text\""] {
        root.publish(body).await.refused(400, "invalid_request");
    }
    root.publish(r#"{"payload": {}}"#).await.refused(400, "invalid_goal");
    root.publish(r#"{"goal": "a"}"#).await.refused(400, "invalid_payload");
    root.publish(r#"{"goal": "a", "goal": "b", "payload": {}}"#).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn the_body_is_read_as_json_whatever_its_content_type() {
    let app = TestApp::spawn().await;
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "nonsense"] {
        app.root().with("content-type", kind).publish(intent("greet")).await.expect(201);
    }
}

#[tokio::test]
async fn ids_of_intents_are_not_repeated_and_hold_random_bits() {
    let app = TestApp::spawn().await;
    let mut tails = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let id = app.root().published(intent("greet")).await;
        tails.insert(id[16..].to_owned());
    }
    assert_eq!(tails.len(), 20);
}
