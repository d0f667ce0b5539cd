//! What must not leave the bus: keys, tokens, signatures, passwords, payloads. Canaries go in, and everything that operators
//! and logs get to see is searched for them.

use serde_json::json;

use crate::support::{
    TestDb,
    app::{ADMIN, METRICS, PASSWORD, ROOT},
    process::Replica,
};

#[tokio::test]
async fn neither_the_log_nor_an_operator_gets_to_see_a_secret() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[("BUS_LOG", "trace"), ("BUS_CLEANUP_INTERVAL_SECONDS", "1")]);
    let (root, admin) = (replica.root(), replica.admin());
    let made = admin.generate_key("alice").await.expect(201);
    let alice = replica.nobody().key(made["api_key"].as_str().unwrap()).signing();
    let mut secrets: Vec<String> = [ROOT, ADMIN, PASSWORD, METRICS].map(str::to_owned).to_vec();
    secrets.push(alice.api_key()[3..].to_owned());
    for canary in ["payload", "reward", "result", "value", "idempotency", "reason-of-nobody"] {
        secrets.push(format!("{canary}-canary"));
    }
    for goal in ["done", "dead", "held"] {
        let body = json!({"goal": goal, "payload": {"a": "payload-canary"}, "reward": "reward-canary"});
        alice.with("idempotency-key", format!("idempotency-canary-{goal}")).published(body).await;
        let claim = alice.claimed(goal).await;
        secrets.push(claim.token.clone());
        match goal {
            "done" => alice.fulfill(&claim, json!("result-canary")).await.expect(200),
            "dead" => alice.fail(&claim, "no paper").await.expect(200),
            _ => json!(null),
        };
    }
    alice.set("k", json!("value-canary")).await.expect(200);
    // What goes wrong is logged with more than what goes well.
    alice.publish(r#"{"goal": "payload-canary", "payload": "payload-canary"#).await.refused(400, "invalid_json");
    replica.nobody().key("tk_payload-canary").claim("x").await.refused(401, "unauthorized");
    db.batch("ALTER TABLE key_values RENAME TO gone").await;
    alice.set("k", json!("value-canary")).await.refused(500, "internal_error");
    db.batch("ALTER TABLE gone RENAME TO key_values").await;
    replica.nobody().with("x-admin-token", "payload-canary").get("/admin/dead").await.refused(401, "unauthorized");
    root.get("/admin/dead").await.expect(200);

    let mut seen = Vec::new();
    for path in [
        "/admin/dashboard",
        "/admin/overview",
        "/admin/intents",
        "/admin/dead",
        "/admin/keys",
        "/admin/workers",
        "/admin/audit",
        "/metrics",
        "/openapi.json",
        "/readyz",
    ] {
        seen.push((path.to_owned(), admin.get(path).await.text().to_owned()));
    }
    replica.terminate();
    assert!(replica.wait().success());
    let log: Vec<String> = replica.logs().iter().map(ToString::to_string).collect();
    assert!(log.iter().any(|line| line.contains("key_values")), "the fault is logged");
    seen.extend(log.into_iter().map(|line| ("the log".to_owned(), line)));
    for (place, text) in seen {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {place}: {text}");
        }
    }
}
