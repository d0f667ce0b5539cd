//! What must not leave the bus: keys, tokens, signatures, passwords, payloads. Canaries go in, and everything that operators
//! and logs get to see is searched for them.

use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Collector, TestApp, TestDb,
    app::{ADMIN, METRICS, PASSWORD, ROOT},
    client::{nonce, sign_as, unix_now},
    collector::Manner,
    process::Replica,
};

#[tokio::test]
async fn neither_the_log_nor_an_operator_gets_to_see_a_secret() {
    let db = TestDb::create().await;
    let collector = Collector::grpc(Manner::Takes).await;
    let mut replica = Replica::start(
        &db,
        &collector.settings_with(&[
            // What the libraries say, too, though nobody hears it who does not name them.
            ("BUS_LOG", "trace,actix_http=trace,h2=trace,hyper=trace,hyper_util=trace,rustls=trace,tonic=trace,tower=trace,tokio_postgres=trace"),
            ("BUS_CLEANUP_INTERVAL_SECONDS", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20header-canary,x-tenant=header-canary"),
        ]),
    );
    let (root, admin) = (replica.root(), replica.admin());
    let made = admin.generate_key("alice").await.expect(201);
    let alice = replica.nobody().key(made["api_key"].as_str().unwrap()).signing();
    let mut secrets: Vec<String> = [ROOT, ADMIN, PASSWORD, METRICS].map(str::to_owned).to_vec();
    secrets.push(alice.api_key()[3..].to_owned());
    for canary in [
        "payload",
        "reward",
        "result",
        "value",
        "idempotency",
        "reason-of-nobody",
        "header",
        "bearer",
        "cookie",
        "publisher",
    ] {
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
    // A reason that nobody is told: its claim token is none.
    let held = alice.published(json!({"goal": "nobody's", "payload": {}})).await;
    let reason = json!({"claim_token": "0".repeat(32), "error": "reason-of-nobody-canary"});
    alice.post(&format!("/fail/{held}"), reason).await.refused(404, "not_found");
    // What goes wrong is logged with more than what goes well.
    alice.publish(r#"{"goal": "payload-canary", "payload": "payload-canary"#).await.refused(400, "invalid_json");
    replica.nobody().key("tk_payload-canary").claim("x").await.refused(401, "unauthorized");
    db.batch("ALTER TABLE key_values RENAME TO gone").await;
    alice.set("k", json!("value-canary")).await.refused(500, "internal_error");
    db.batch("ALTER TABLE gone RENAME TO key_values").await;
    replica.nobody().with("x-admin-token", "payload-canary").get("/admin/dead").await.refused(401, "unauthorized");
    root.get("/admin/dead").await.expect(200);
    for (name, value) in [("authorization", "Bearer bearer-canary"), ("cookie", "session=cookie-canary")] {
        replica.nobody().with(name, value).get("/metrics").await.refused(401, "unauthorized");
    }
    alice.post("/claim?publisher=tk_publisher-canary", "").await.refused(403, "forbidden");
    // The last, so that no span comes after it.
    admin.get("/admin/intents/none").await.refused(404, "not_found");
    collector.span("GET /admin/intents/{id}").await;

    let mut seen: Vec<(String, String)> =
        collector.spans().into_iter().map(|span| (format!("the span {}", span.name), span.whole)).collect();
    assert!(seen.len() > 20, "{seen:#?}");
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

/// All rows of all tables, as text.
async fn dump(db: &TestDb) -> String {
    let tables = "SELECT quote_ident(relname) FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace ORDER BY relname";
    let mut dump = String::new();
    for table in db.rows(tables, &[]).await {
        let table: String = table.get(0);
        let rows = format!("SELECT coalesce(string_agg(kept::text, E'\\n'), '') FROM {table} AS kept");
        dump.extend([table, "\n".into(), db.value::<String>(&rows, &[]).await, "\n".into()]);
    }
    dump
}

#[tokio::test]
async fn a_stolen_dump_of_the_database_holds_no_key_and_no_token() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let key = alice.api_key().to_owned();
    let mut secrets: Vec<String> = [ROOT, ADMIN, PASSWORD, METRICS, &key].map(str::to_owned).to_vec();
    // Without what all keys begin with.
    secrets.push(key["tk_".len()..].to_owned());
    let (body, nonce) = (r#"{"goal":"greet","payload":{"a":"payload-canary"}}"#, nonce());
    let signed = sign_as(&key, "POST", "/intent", body.as_bytes(), unix_now(), &nonce);
    secrets.extend(
        signed.iter().filter(|(name, _)| name == "x-signature").map(|(_, value)| String::from_utf8_lossy(value).into()),
    );
    secrets.extend([nonce, "idempotency-canary".to_owned()]);
    let publisher = signed
        .iter()
        .fold(alice.with("idempotency-key", "idempotency-canary"), |client, (name, value)| client.with(name, value));
    publisher.publish(body).await.expect(201);
    for goal in ["greet", "done", "dead"] {
        alice.published(json!({"goal": goal, "payload": {}})).await;
        let claim = alice.claimed(goal).await;
        secrets.push(claim.token.clone());
        match goal {
            "done" => drop(alice.fulfill(&claim, json!("result-canary")).await.expect(200)),
            "dead" => drop(alice.fail(&claim, "no paper").await.expect(200)),
            _ => {}
        }
    }
    alice.set("k", json!("value-canary")).await.expect(200);
    let number = app.admin().get("/admin/keys").await.expect(200)["keys"][0]["id"].as_i64().expect("a number");
    let rotated = app.admin().post(&format!("/admin/keys/{number}/rotate"), json!({})).await;
    assert!(rotated.status < 300, "{rotated:?}");
    secrets.push(rotated.json()["api_key"].as_str().expect("the new key").to_owned());

    let dump = dump(&app.db).await;
    for table in ["api_keys", "intents", "finished", "nonces", "idempotency_keys", "audit_log", "key_values"] {
        assert!(dump.contains(&format!("{table}\n(")), "nothing of {table}: {dump}");
    }
    for secret in &secrets {
        let forms = [
            Some(secret.clone()),
            Some(hex::encode(secret)),
            // As an id, should a token have been stored as it is.
            Uuid::try_parse(secret).ok().map(|uuid| uuid.to_string()),
        ];
        for form in forms.into_iter().flatten() {
            assert!(!dump.contains(&form), "{form} is in the dump: {dump}");
        }
    }
    // And what it does hold of keys opens nothing.
    for row in app.db.rows("SELECT encode(key_hash, 'hex') FROM api_keys", &[]).await {
        let hash: String = row.get(0);
        app.client(&hash).claim("greet").await.refused(401, "unauthorized");
        app.client(&format!("tk_{hash}")).claim("greet").await.refused(401, "unauthorized");
    }
    for row in app
        .db
        .rows("SELECT id::text, replace(claim_hash::text, '-', '') FROM intents WHERE state = 'claimed'", &[])
        .await
    {
        let (id, hash): (String, String) = (row.get(0), row.get(1));
        let answer = alice.post(&format!("/fulfill/{}", id.replace('-', "")), json!({"claim_token": hash})).await;
        answer.refused(404, "not_found");
    }
}
