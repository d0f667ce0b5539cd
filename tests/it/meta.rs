//! About the bus itself: name, health, probes, metrics.

use intent_bus::{http::meta::VERSION, server::Stop};
use serde_json::json;

use crate::support::{
    Answer, TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn the_index_is_text_with_the_version() {
    let app = TestApp::spawn().await;
    let answer = app.nobody().get("/").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    assert!(answer.text().contains(VERSION), "{}", answer.text());
}

#[tokio::test]
async fn health_tells_the_time_and_the_version() {
    let app = TestApp::spawn().await;
    let answer = app.nobody().get("/health").await.expect(200);
    let now: f64 = app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await;
    assert_eq!((&answer["ok"], &answer["version"]), (&json!(true), &json!(VERSION)));
    assert!((answer["ts"].as_f64().unwrap() - now).abs() < 5.0, "{answer}");
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let app = TestApp::spawn().await;
    for path in ["/", "/health", "/livez", "/readyz", "/openapi.json"] {
        let (head, get) = (app.nobody().send("HEAD", path, "").await, app.nobody().get(path).await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn a_replica_without_its_schema_lives_and_is_not_ready() {
    let app = TestApp::spawn().await;
    app.nobody().get("/readyz").await.expect(200);
    app.db.batch("ALTER TABLE schema_migrations RENAME TO away").await;
    app.nobody().get("/readyz").await.refused(503, "database_busy");
    app.nobody().get("/livez").await.expect(200);
    app.nobody().get("/health").await.expect(200);
    app.db.batch("ALTER TABLE away RENAME TO schema_migrations; DELETE FROM schema_migrations WHERE number = 3").await;
    app.nobody().get("/readyz").await.refused(503, "database_busy");
}

#[tokio::test]
async fn a_replica_that_is_to_stop_is_not_ready_and_serves_on() {
    let mut app = TestApp::with(&[("BUS_DRAIN_SECONDS", "30")]).await;
    app.stop(Stop::Gently);
    while app.nobody().get("/readyz").await.status == 200 {
        tokio::task::yield_now().await;
    }
    app.nobody().get("/livez").await.expect(200);
    let answer = app.root().publish(intent("greet")).await;
    assert_eq!((answer.status, answer.header("connection")), (201, Some("close")));
}

/// The samples of a metric, in the order of their labels.
fn samples(answer: &Answer, name: &str) -> Vec<String> {
    let mut samples: Vec<String> = answer
        .text()
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .map(str::to_owned)
        .collect();
    samples.sort();
    samples
}

#[tokio::test]
async fn the_metrics_tell_of_the_whole_bus_once_it_has_been_counted() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    app.admin().revoke_key(app.limited_tenant("bob").await.api_key()).await.expect(200);
    alice.published(intent("open")).await;
    alice.published(intent("open")).await;
    alice.published(intent_with("other", json!({"namespace": "east"}))).await;
    alice.published(intent("done")).await;
    alice.fulfill(&alice.claimed("done").await, json!(1)).await.expect(200);
    let dead = alice.published(intent("dead")).await;
    app.admin().cancel(&dead).await.expect(200);
    alice.published(intent("held")).await;
    alice.claimed("held").await;
    app.count_all().await;
    let other_replica = app.replica(&[]).await;
    for replica in [&app, &other_replica] {
        replica.admin().cleanup().await.expect(200);
        let answer = replica.admin().get("/metrics").await;
        assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        let expected = [
            r#"intent_bus_intents_total{namespace="default",status="claimed"} 1"#,
            r#"intent_bus_intents_total{namespace="default",status="dead"} 1"#,
            r#"intent_bus_intents_total{namespace="default",status="fulfilled"} 1"#,
            r#"intent_bus_intents_total{namespace="default",status="open"} 2"#,
            r#"intent_bus_intents_total{namespace="east",status="open"} 1"#,
        ];
        assert_eq!(samples(&answer, "intent_bus_intents_total"), expected);
        assert_eq!(samples(&answer, "intent_bus_dead_letters_total"), ["intent_bus_dead_letters_total 1"]);
        assert_eq!(samples(&answer, "intent_bus_tester_keys_total"), ["intent_bus_tester_keys_total 1"]);
    }
}

#[tokio::test]
async fn more_pauses_than_have_series_are_told_by_their_number() {
    let app = TestApp::spawn().await;
    app.db
        .batch("INSERT INTO pauses (namespace, goal) SELECT 'default', 'goal ' || n FROM generate_series(1, 60) AS n")
        .await;
    // The look for what is paused is on its way, for 750 ms at most.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        app.admin().cleanup().await.expect(200);
        let answer = app.admin().get("/metrics").await;
        if samples(&answer, "intent_bus_pauses") == ["intent_bus_pauses 60"] {
            assert_eq!(samples(&answer, "intent_bus_paused").len(), 50);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{:?}", samples(&answer, "intent_bus_pauses"));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn sizes_are_told_by_table_and_by_partition() {
    let app = TestApp::spawn().await;
    app.admin().cleanup().await.expect(200);
    let answer = app.admin().get("/metrics").await;
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    for table in ["finished", "payloads", "nonces"] {
        let of_table = |name: &str| -> Vec<i64> {
            let label = format!("table=\"{table}\"");
            samples(&answer, name).iter().filter(|line| line.contains(&label)).map(|line| value(line)).collect()
        };
        let parts = of_table("intent_bus_database_partition_bytes");
        assert_eq!(vec![i64::try_from(parts.len()).unwrap()], of_table("intent_bus_database_partitions"), "{table}");
        assert_eq!(vec![parts.iter().sum::<i64>()], of_table("intent_bus_database_table_bytes"), "{table}");
    }
    let parts = samples(&answer, "intent_bus_database_partition_bytes");
    assert!(!parts.iter().any(|line| line.contains("table=\"tenants\"")), "{parts:?}");
}

#[tokio::test]
async fn the_metrics_of_a_replica_tell_of_its_own_requests_by_route_and_not_by_path() {
    let app = TestApp::spawn().await;
    let other_replica = app.replica(&[]).await;
    app.root().status("secret-id").await;
    app.root().value("secret-key").await;
    app.nobody().get("/secret-path").await;
    let answer = app.admin().get("/metrics").await;
    let count = r#"intent_bus_http_request_duration_seconds_count{method="GET",route="/status/{id}",status="404"} 1"#;
    assert!(answer.text().contains(count), "{}", answer.text());
    assert!(!answer.text().contains("secret-"), "{}", answer.text());
    assert!(!other_replica.admin().get("/metrics").await.text().contains("/status/{id}"));
}

#[tokio::test]
async fn methods_and_paths_that_strangers_make_up_do_not_become_labels() {
    let app = TestApp::spawn().await;
    for number in 0..20 {
        app.nobody().send(&format!("M{number}"), &format!("/x{number}"), "").await;
    }
    let answer = app.admin().get("/metrics").await;
    let counts = samples(&answer, "intent_bus_http_request_duration_seconds_count");
    assert!(counts.len() < 5, "{counts:#?}");
}

#[tokio::test]
async fn the_open_metrics_are_on_a_listener_of_their_own_if_at_all() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::with(&[("BUS_METRICS_LISTEN", &port.to_string())]).await;
    let http = crate::support::http().build().unwrap();
    let get = async |path: &str| http.get(format!("http://{port}{path}")).send().await.unwrap();
    let answer = get("/metrics").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("intent_bus_tester_keys_total"));
    for path in ["/", "/intent", "/admin/dead", "/health"] {
        assert_eq!(get(path).await.status(), 404, "{path}");
    }
    app.nobody().get("/metrics").await.refused(401, "unauthorized");
}
