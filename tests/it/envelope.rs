//! What every answer carries, whatever it answers, and what is refused before any key is looked at.

use serde_json::json;

use crate::support::{Answer, Client, TestApp, app::ROOT, factory::intent};

fn carries_the_envelope(what: &str, answer: &Answer) {
    let fixed = [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-intent-version", "1.1"),
    ];
    for (name, value) in fixed {
        assert_eq!(answer.header(name), Some(value), "{what}: {name}");
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{what}: {name}");
    }
    let id = answer.header("x-request-id").unwrap_or_default();
    assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{what}: {id:?}");
}

/// An answer of every kind, by its status.
async fn every_kind_of_answer(app: &TestApp) -> Vec<(&'static str, u16, Answer)> {
    let (root, nobody, alice) = (app.root(), app.nobody(), app.limited_tenant("alice").await);
    app.db.batch("UPDATE tenants SET rate_limit_per_minute = 1").await;
    let id = root.published(intent("greet")).await;
    let mut answers = vec![
        ("text", 200, nobody.get("/").await),
        ("health", 200, nobody.get("/health").await),
        ("probe", 200, nobody.get("/readyz").await),
        ("HEAD", 200, nobody.send("HEAD", "/health", "").await),
        ("document", 200, nobody.get("/openapi.json").await),
        ("page", 200, app.admin().get("/admin/dashboard").await),
        ("style", 200, nobody.get("/admin/style.css").await),
        ("metrics", 200, app.admin().get("/metrics").await),
        ("created", 201, root.publish(intent("other")).await),
        ("no content", 204, root.claim("nothing").await),
        ("not JSON", 400, root.publish("{").await),
        ("no key", 401, nobody.publish(intent("greet")).await),
        ("no operator", 401, nobody.get("/admin/dead").await),
        ("another's intent", 403, alice.status(&id).await),
        ("a bad signature", 403, root.with("x-signature", "0").publish(intent("greet")).await),
        ("no such path", 404, nobody.get("/nothing/here").await),
        ("no such intent", 404, root.status("x").await),
        ("another method", 405, nobody.send("DELETE", "/intent", "").await),
        ("an unknown method", 405, nobody.send("BREW", "/claim", "").await),
        ("not dead", 409, app.admin().retry(&id).await),
        ("too large", 413, root.publish(" ".repeat(400_000)).await),
        ("encoded", 415, root.with("content-encoding", "gzip").publish(intent("greet")).await),
        ("too many", 429, alice.value("k").await),
    ];
    app.db.batch("ALTER TABLE key_values RENAME TO gone").await;
    answers.push(("a fault", 500, root.value("k").await));
    app.db.batch("ALTER TABLE schema_migrations RENAME TO gone_too").await;
    answers.push(("not ready", 503, nobody.get("/readyz").await));
    answers
}

#[tokio::test]
async fn every_answer_carries_the_same_headers() {
    let app = TestApp::spawn().await;
    for (what, status, answer) in every_kind_of_answer(&app).await {
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        carries_the_envelope(what, &answer);
    }
}

#[tokio::test]
async fn every_refusal_is_json_with_a_code_and_a_message_and_without_internals() {
    let app = TestApp::spawn().await;
    for (what, status, answer) in every_kind_of_answer(&app).await {
        if status < 400 {
            continue;
        }
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        let body = answer.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("{what}: {body}"));
        assert_eq!((body.as_object().unwrap().len(), error.len()), (1, 2), "{what}: {body}");
        let (code, message) = (error["code"].as_str().unwrap(), error["message"].as_str().unwrap());
        let known = intent_bus::error::ErrorCode::ALL.iter().find(|known| known.as_str() == code);
        assert_eq!(known.map(|code| code.http_status()), Some(status), "{what}: {code}");
        assert!(!message.is_empty());
        for internal in ["key_values", "relation", "SELECT", "postgres", "src/", "panicked", "tokio", "schema"] {
            assert!(!message.contains(internal), "{what}: {message}");
        }
    }
}

#[tokio::test]
async fn another_method_is_told_which_one_to_use() {
    let app = TestApp::spawn().await;
    for (method, path, allowed) in [
        ("GET", "/intent", "POST"),
        ("HEAD", "/intent", "POST"),
        ("OPTIONS", "/claim", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PUT", "/set/k", "POST"),
        ("POST", "/get/k", "GET, HEAD"),
        ("DELETE", "/admin/dead", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ] {
        let answer = app.root().send(method, path, "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_404_whatever_the_method() {
    let app = TestApp::spawn().await;
    let paths = [
        "/Intent",
        "/intent/",
        "/claim/x",
        "/fulfill/",
        "/status/a/b",
        "/set",
        "/admin",
        "/admin/",
        "/index.html",
        "/.env",
        "//intent",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let answer = app.root().send(method, path, "").await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_if_it_may_stand_in_a_log() {
    let app = TestApp::spawn().await;
    let longest = "x".repeat(128);
    for id in ["a", "A.b_c:d-9", &longest] {
        for answer in [
            app.nobody().with("x-request-id", id).get("/health").await,
            app.nobody().with("x-request-id", id).get("/none").await,
        ] {
            assert_eq!(answer.header("x-request-id"), Some(id));
        }
    }
    let mut made = std::collections::BTreeSet::new();
    for id in [&b""[..], b"a b", b"a/b", b"\"", b"\xe9", "x".repeat(129).as_bytes(), b"a,b", b"<b>"] {
        let answer = app.nobody().with("x-request-id", id).get("/health").await;
        let own = answer.header("x-request-id").unwrap().to_owned();
        assert_ne!(own.as_bytes(), id);
        assert!(own.len() == 32 && made.insert(own));
    }
}

#[tokio::test]
async fn bodies_are_taken_as_they_are() {
    let app = TestApp::spawn().await;
    for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"] {
        app.root()
            .with("content-encoding", encoding)
            .publish(intent("greet"))
            .await
            .refused(415, "unsupported_media_type");
    }
    for encoding in ["identity", "Identity"] {
        app.root().with("content-encoding", encoding).publish(intent("greet")).await.expect(201);
    }
}

#[tokio::test]
async fn two_lengths_at_once_are_refused_and_what_follows_is_not_read_as_a_request() {
    let app = TestApp::spawn().await;
    let smuggled = format!(
        "POST /intent HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {ROOT}\r\nContent-Length: 29\r\n\r\n{{\"goal\":\"bad\",\"payload\":{{}}}} "
    );
    for first in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: xchunked",
        "Content-Length: +5",
        "Content-Length: 5, 5",
    ] {
        let request =
            format!("POST /claim HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {ROOT}\r\n{first}\r\n\r\n0\r\n\r\n{smuggled}");
        let answer = app.raw(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{first}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{first}: {answer}");
    }
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_does_nothing() {
    let app = TestApp::with(&[("BUS_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let request =
        format!("POST /intent HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {ROOT}\r\nContent-Length: 1000\r\n\r\n{{\"goal\":");
    let answer = app.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn where_https_is_enforced_plain_requests_are_refused_but_for_the_probes() {
    let app = TestApp::with(&[("BUS_ENFORCE_HTTPS", "true"), ("BUS_TRUST_PROXY", "127.0.0.0/8")]).await;
    let through = |client: Client, proto: &str| client.with("x-forwarded-proto", proto);
    for client in [app.root(), through(app.root(), "http"), through(app.root(), "http, https"), through(app.root(), "")]
    {
        client.publish(intent("greet")).await.refused(403, "https_required");
        client.get("/").await.refused(403, "https_required");
        client.get("/admin/dead").await.refused(403, "https_required");
        client.get("/metrics").await.refused(403, "https_required");
        for probe in ["/health", "/livez", "/readyz"] {
            client.get(probe).await.expect(200);
        }
    }
    for proto in ["https", "HTTPS", "https, http"] {
        through(app.root(), proto).publish(intent("greet")).await.expect(201);
    }
}

#[tokio::test]
async fn forwarding_headers_of_strangers_are_not_believed() {
    let app = TestApp::with(&[("BUS_ENFORCE_HTTPS", "true"), ("BUS_TRUST_PROXY", "10.0.0.0/8")]).await;
    app.root().with("x-forwarded-proto", "https").publish(intent("greet")).await.refused(403, "https_required");
    app.root().with("forwarded", "proto=https").publish(intent("greet")).await.refused(403, "https_required");
}

#[tokio::test]
async fn where_https_is_not_enforced_the_header_means_nothing() {
    let app = TestApp::spawn().await;
    app.root().with("x-forwarded-proto", "http").publish(intent("greet")).await.expect(201);
}

#[tokio::test]
async fn in_maintenance_mode_clients_are_told_to_wait_and_operators_are_not() {
    let app = TestApp::with(&[("BUS_MAINTENANCE_MODE", "true")]).await;
    let root = app.root();
    let answers = [
        root.publish(intent("greet")).await,
        root.claim("greet").await,
        root.post("/fulfill/x", "").await,
        root.status("x").await,
        root.set("k", json!(1)).await,
        app.nobody().value("k").await,
    ];
    for answer in answers {
        answer.refused(503, "maintenance");
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    }
    for probe in ["/health", "/livez", "/readyz", "/openapi.json"] {
        app.nobody().get(probe).await.expect(200);
    }
    app.admin().get("/admin/dead").await.expect(200);
    app.admin().cleanup().await.expect(200);
    assert_eq!(app.admin().get("/metrics").await.status, 200);
}

#[tokio::test]
async fn a_fault_of_the_bus_is_named_by_the_request_id_and_leaves_it_running() {
    let app = TestApp::spawn().await;
    app.db.batch("ALTER TABLE key_values RENAME TO gone").await;
    let answer = app.root().with("x-request-id", "find-me").value("k").await;
    answer.refused(500, "internal_error");
    assert_eq!(answer.header("x-request-id"), Some("find-me"));
    app.db.batch("ALTER TABLE gone RENAME TO key_values").await;
    app.root().value("k").await.refused(404, "not_found");
}
