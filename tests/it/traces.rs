//! Traces: one intent's story from its publisher to its worker, over two replicas; what is recorded and what is not; and a
//! collector that hangs.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    Collector, TestApp, TestDb,
    collector::{Manner, Span},
    factory::intent,
    process::Replica,
};

/// The span of a client that publishes, and that of a worker that claims: each is in a trace of its own.
const PUBLISHER: [&str; 2] = ["11111111111111111111111111111111", "1111111111111111"];
const WORKER: [&str; 2] = ["22222222222222222222222222222222", "2222222222222222"];

fn traceparent([trace, span]: [&str; 2]) -> String {
    format!("00-{trace}-{span}-01")
}

fn of(span: &Span) -> String {
    traceparent([&span.trace, &span.id])
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    match (found.next(), found.next()) {
        (Some(span), None) => span,
        (first, _) => panic!("{name}: {} in {spans:#?}", if first.is_some() { "several" } else { "none" }),
    }
}

fn child<'a>(spans: &'a [Span], name: &str, parent: &Span) -> &'a Span {
    let span = find(spans, name);
    assert_eq!((&span.trace, &span.parent), (&parent.trace, &parent.id), "{span:#?} below {parent:#?}");
    span
}

#[track_caller]
fn has(span: &Span, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:#?}");
    }
}

#[tokio::test]
async fn one_story_leads_from_the_publisher_over_two_replicas_to_the_worker() {
    let collector = Collector::grpc(Manner::Takes).await;
    let first = TestApp::with(&collector.settings()).await;
    let second = first.replica(&collector.settings()).await;

    let publisher = first.root().with("traceparent", traceparent(PUBLISHER));
    let id = publisher.published(intent("greet")).await;
    let worker = second.root().with("traceparent", traceparent(WORKER)).with("x-worker-id", "pi");
    let answer = worker.claim("greet").await;
    let stored = answer.header("traceparent").expect("the header").to_owned();
    let body = answer.expect(200);
    assert_eq!(body["traceparent"], stored);
    let fields = json!({"claim_token": body["claim_token"], "result": "hello"});
    // The worker's span is a child of the publisher's, as this client wants it.
    let processing = second.root().with("traceparent", &stored);
    processing.post(&format!("/fulfill/{id}"), fields).await.expect(200);

    let done = |spans: &[Span]| spans.iter().any(|span| span.name == "POST /fulfill/{id}");
    let published = |spans: &[Span]| spans.iter().any(|span| span.name == "POST /intent");
    let claimed = |spans: &[Span]| spans.iter().any(|span| span.name == "POST /claim");
    let spans = collector.wait_for(|spans| done(spans) && published(spans) && claimed(spans)).await;

    let request = find(&spans, "POST /intent");
    assert_eq!((request.trace.as_str(), request.parent.as_str(), request.kind), (PUBLISHER[0], PUBLISHER[1], 2));
    has(
        request,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/intent"),
            ("http.response.status_code", "201"),
            ("url.scheme", "http"),
            ("intent_bus.tenant", "0"),
        ],
    );
    let publish = child(&spans, "publish greet", request);
    assert_eq!(publish.kind, 4);
    has(
        publish,
        &[
            ("messaging.system", "intent_bus"),
            ("messaging.operation.name", "publish"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "greet"),
            ("messaging.message.id", &id),
            ("intent_bus.namespace", "default"),
        ],
    );
    assert_eq!(of(publish), stored, "what is given back is the span that has published");
    let flight = child(&spans, "flight of publish", publish);
    has(flight, &[("intent_bus.flight_requests", "1")]);
    let statement = child(&spans, "intents/publish.sql", flight);
    assert_eq!(statement.kind, 3);
    has(statement, &[("db.system.name", "postgresql"), ("db.query.summary", "intents/publish.sql")]);
    assert!(statement.attributes.contains_key("db.namespace"), "{statement:#?}");

    let claim = child(&spans, "claim greet", find(&spans, "POST /claim"));
    assert_eq!((claim.trace.as_str(), claim.kind), (WORKER[0], 3));
    assert_eq!(claim.links, [(publish.trace.clone(), publish.id.clone())]);
    has(claim, &[("messaging.operation.type", "receive"), ("messaging.message.id", &id), ("intent_bus.worker", "pi")]);
    child(&spans, "intents/claim.sql", child(&spans, "flight of claim", claim));

    let finish = find(&spans, "POST /fulfill/{id}");
    assert_eq!((finish.trace.as_str(), &finish.parent), (PUBLISHER[0], &publish.id));
    let fulfill = child(&spans, "fulfill greet", finish);
    assert_eq!(fulfill.links, [(publish.trace.clone(), publish.id.clone())]);
    has(fulfill, &[("messaging.operation.type", "settle"), ("messaging.message.id", &id), ("intent_bus.attempt", "1")]);
    child(&spans, "intents/fulfill.sql", child(&spans, "flight of fulfill", fulfill));

    let replica = |span: &Span| span.resource["service.instance.id"].clone();
    assert_eq!(request.resource["service.name"], "intent-bus");
    assert_ne!(replica(request), replica(claim));
    assert_eq!(replica(claim), replica(finish));
}

#[tokio::test]
async fn spans_go_out_by_http_too_with_the_headers_and_the_names_that_were_set() {
    let collector = Collector::http(Manner::Takes).await;
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20header-canary");
    let named = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=bus,deployment.environment.name=test");
    let app = TestApp::with(&collector.settings_with(&[headers, named])).await;
    app.root().set("k", json!(1)).await.expect(200);
    let span = collector.span("POST /set/{key:.*}").await;
    assert_eq!(span.resource["service.name"], "bus");
    assert_eq!(span.resource["deployment.environment.name"], "test");
    let request = collector.request().await;
    assert_eq!(request["authorization"], "Bearer header-canary");
    // What has a transaction of its own has its statements right below the request.
    let spans = collector.spans();
    for name in ["BEGIN", "kv/set.sql", "COMMIT"] {
        child(&spans, name, &span);
    }
}

#[tokio::test]
async fn failures_leases_and_operators_are_traced_and_errors_have_their_codes() {
    let collector = Collector::grpc(Manner::Takes).await;
    let app = TestApp::with(&collector.settings_with(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")])).await;
    app.root().published(intent("greet")).await;
    assert_eq!(collector.request().await["grpc-encoding"], "gzip");
    let claim = app.root().claimed("greet").await;
    app.root().extend(&claim, 30).await.expect(200);
    app.root().fail(&claim, "no paper").await.expect(200);
    app.root().fulfill(&claim, json!(1)).await.refused(404, "not_found");
    app.admin().retry(&claim.id).await.expect(200);
    let publish = collector.span("publish greet").await;
    for name in ["extend greet", "fail greet"] {
        let settle = collector.span(name).await;
        assert_eq!(settle.links, [(publish.trace.clone(), publish.id.clone())], "{name}");
        assert!(!settle.failed);
    }
    let refused = collector.span("fulfill").await;
    assert!(refused.failed);
    has(&refused, &[("error.type", "not_found"), ("messaging.message.id", &claim.id)]);
    let request = collector.span("POST /fulfill/{id}").await;
    has(&request, &[("error.type", "not_found"), ("http.response.status_code", "404")]);
    assert!(!request.failed, "a client's mistake is no failure of the server: {request:#?}");
    collector.span("POST /admin/intents/{id}/retry").await;

    app.db.batch("ALTER TABLE key_values RENAME TO gone").await;
    app.root().set("k", json!(1)).await.refused(500, "internal_error");
    let faulty = |span: &Span| span.name == "POST /set/{key:.*}";
    let spans = collector.wait_for(|spans| spans.iter().any(faulty)).await;
    let request = spans.iter().find(|span| faulty(span)).unwrap();
    assert!(request.failed);
    has(request, &[("error.type", "internal_error")]);
}

#[tokio::test]
async fn requests_that_fly_together_are_linked_to_their_flight() {
    let collector = Collector::grpc(Manner::Takes).await;
    let app = TestApp::with(&collector.settings()).await;
    let root = app.root();
    let mut session = app.db.session().await;
    let held = session.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE intents IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let first = root.publish(intent("greet"));
    let others = async {
        app.db.somebody_waits().await;
        let others = join_all((0..5).map(|_| root.publish(intent("greet"))));
        let release = async {
            // Nothing tells how many have arrived; those that come later fly later.
            tokio::time::sleep(Duration::from_millis(600)).await;
            held.rollback().await.unwrap();
        };
        tokio::join!(others, release).0
    };
    let (one, others) = tokio::join!(first, others);
    one.expect(201);
    for answer in others {
        answer.expect(201);
    }
    let flights = |spans: &[Span]| spans.iter().filter(|span| span.name == "flight of publish").count();
    let sent = |spans: &[Span]| spans.iter().filter(|span| span.name == "POST /intent").count();
    let spans = collector.wait_for(|spans| flights(spans) >= 2 && sent(spans) == 6).await;
    let together = spans.iter().find(|span| span.name == "flight of publish" && !span.links.is_empty());
    let together = together.unwrap_or_else(|| panic!("no flight has carried several: {spans:#?}"));
    assert_eq!(together.parent, "", "it is in no request's trace");
    has(together, &[("intent_bus.flight_requests", together.links.len().to_string().as_str())]);
    for (trace, id) in &together.links {
        let publish = spans.iter().find(|span| span.id == *id).expect("the span of the one who asked");
        assert_eq!((&publish.trace, publish.name.as_str()), (trace, "publish greet"));
    }
    assert!(
        spans.iter().any(|span| span.name.starts_with("intents/publish") && span.parent == together.id),
        "its statement is below it: {spans:#?}"
    );
}

#[tokio::test]
async fn many_intents_by_one_request_are_one_span_with_a_link_to_each_publication() {
    let collector = Collector::grpc(Manner::Takes).await;
    let app = TestApp::with(&collector.settings()).await;
    app.root().published_many(&[intent("greet"), intent("greet")]).await;
    app.root().published(intent("greet")).await;
    let claims = app.root().claim_many("greet", 10).await;
    app.root().fulfill_many(&claims, json!("done")).await.expect(200);
    let settle = collector.span("fulfill greet").await;
    has(&settle, &[("messaging.batch.message_count", "3")]);
    let claim = collector.span("claim greet").await;
    has(&claim, &[("messaging.batch.message_count", "3")]);
    let spans = collector.spans();
    let published: Vec<&Span> = spans.iter().filter(|span| span.name == "publish greet").collect();
    assert_eq!(published.len(), 2);
    for span in [&claim, &settle] {
        assert_eq!(span.links.len(), 3, "{span:#?}");
        for publish in &published {
            assert!(span.links.contains(&(publish.trace.clone(), publish.id.clone())), "{span:#?}");
        }
    }
}

#[tokio::test]
async fn what_the_sampler_leaves_out_is_not_sent_and_its_trace_is_handed_on() {
    let collector = Collector::grpc(Manner::Takes).await;
    let off = TestApp::with(&collector.settings_with(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")])).await;
    // Recorded since the caller does so; the last one, so that nothing of the others comes after it.
    let unsampled = traceparent(PUBLISHER).replace("-01", "-00");
    off.root().published(intent("nobody")).await;
    off.root().with("traceparent", &unsampled).published(intent("unsampled")).await;
    off.root().with("traceparent", traceparent(PUBLISHER)).published(intent("sampled")).await;
    let spans = collector.wait_for(|spans| spans.iter().any(|span| span.name == "POST /intent")).await;
    assert!(spans.iter().all(|span| span.trace == PUBLISHER[0]), "{spans:#?}");
    assert_eq!(spans.iter().filter(|span| span.name == "POST /intent").count(), 1);

    let handed_on = off.root().claim("unsampled").await.expect(200);
    assert_eq!(handed_on["traceparent"], unsampled);
    let made = off.root().claim("nobody").await.expect(200);
    assert!(made["traceparent"].as_str().unwrap().ends_with("-00"), "the decision is handed on: {made}");
}

#[tokio::test]
async fn without_a_collector_the_publishers_trace_is_handed_on_and_nothing_is_made_up() {
    let app = TestApp::spawn().await;
    app.root().published(intent("none")).await;
    let answer = app.root().claim("none").await;
    assert_eq!(answer.header("traceparent"), None);
    assert!(answer.expect(200).get("traceparent").is_none());

    app.root().with("traceparent", traceparent(PUBLISHER)).published(intent("one")).await;
    let many = [intent("many")];
    app.root().with("traceparent", traceparent(WORKER)).published_many(&many).await;
    let answer = app.root().claim("one").await;
    assert_eq!(answer.header("traceparent"), Some(traceparent(PUBLISHER).as_str()));
    assert_eq!(answer.expect(200)["traceparent"], traceparent(PUBLISHER));
    let answer = app.root().post("/claim?goal=many&limit=2", "").await;
    assert_eq!(answer.header("traceparent"), None, "several may have several");
    assert_eq!(answer.expect(200)["intents"][0]["traceparent"], traceparent(WORKER));

    for bad in ["", "x", "00-0-0-01", &traceparent(PUBLISHER).to_uppercase().replace('1', "A")] {
        app.root().with("traceparent", bad).published(intent("bad")).await;
        assert!(app.root().claim("bad").await.expect(200).get("traceparent").is_none(), "{bad}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_no_request_and_not_the_end() {
    for collector in [Collector::grpc(Manner::Hangs).await, Collector::http(Manner::Hangs).await] {
        let db = TestDb::create().await;
        let small = ("OTEL_BSP_MAX_QUEUE_SIZE", "16");
        let mut replica = Replica::start(&db, &collector.settings_with(&[small]));
        replica.root().published(intent("greet")).await;
        collector.request().await;
        for _ in 0..30 {
            replica.root().published(intent("greet")).await;
        }
        let began = Instant::now();
        replica.terminate();
        assert!(replica.wait().success());
        assert!(began.elapsed() < Duration::from_secs(6), "it took {:?} to stop", began.elapsed());
        let log = replica.logs();
        assert!(
            log.iter().any(|line| line["message"].as_str().unwrap_or("").starts_with("the last spans were not sent")),
            "{log:#?}"
        );
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_said_and_the_bus_serves() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(
        &db,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ],
    );
    replica.root().published(intent("greet")).await;
    replica.terminate();
    assert!(replica.wait().success());
    let log: Vec<String> = replica.logs().iter().map(ToString::to_string).collect();
    for said in
        ["OTEL_TRACES_SAMPLER must be", "OTEL_EXPORTER_OTLP_CERTIFICATE, or the same for traces, cannot be used"]
    {
        assert!(log.iter().any(|line| line.contains(said)), "{said}: {log:#?}");
    }
}
