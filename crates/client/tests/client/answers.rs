//! Answers that are not to be trusted, and what a client without a word of advice does.

use std::time::Duration;

use intent_bus_client::{Error, IntentState, Job, RetryPolicy, Worker};

use crate::stub::{Reply, Stub, json, refused};

#[tokio::test]
async fn a_redirect_is_not_followed_so_the_key_stays_here() {
    let elsewhere = Stub::start(|_| json(200, r#"{"value":"x"}"#)).await;
    let url = elsewhere.url.clone();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{url}/get/a");
        let stub = Stub::start(move |_| Reply::Answer(status, vec![("location", to.clone())], String::new())).await;
        let error = stub.client().get("a").await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)) && !error.is_retryable(), "{error}");
        let own = stub.builder().http_client(reqwest_builder()).build().unwrap();
        assert!(own.get("a").await.is_err(), "nor with an HTTP client that would follow it");
        assert_eq!(stub.requests().len(), 2);
    }
    assert!(elsewhere.requests().is_empty());
}

fn reqwest_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(5))
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let value = |length: usize| json(200, format!(r#"{{"value":"{}"}}"#, "x".repeat(length)));
    let stub = Stub::start(move |seen| if seen.what == "GET /get/small" { value(900) } else { value(2000) }).await;
    let bus = stub.builder().largest_answer(1000).build().unwrap();
    assert_eq!(bus.get("small").await.unwrap().unwrap().len(), 900);
    let error = bus.get("large").await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(said) if said.contains("more than 1000 bytes")), "{error}");
}

#[tokio::test]
async fn an_answer_without_a_length_is_not_read_beyond_the_limit_either() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut sent = 0_u64;
        // For ever, if the client lets it.
        while stream.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes()).await.is_ok() && sent < 1 << 30 {
            sent += 1000;
        }
        sent
    });
    let stub = Stub::start(|_| refused(500, "x")).await;
    let bus = stub.builder().base_url(format!("http://{address}")).largest_answer(100_000).build().unwrap();
    assert!(matches!(bus.get("a").await, Err(Error::Protocol(_))));
    drop(bus);
    let sent = server.await.unwrap();
    assert!(sent < 50_000_000, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_shown_for_what_it_is() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => json(200, "<html>a proxy</html>"),
        _ => json(404, "<html>nothing here</html>"),
    })
    .await;
    let bus = stub.client();
    let error = bus.status("0a").await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(said) if said.contains("a proxy")), "{error}");
    let error = bus.status("0a").await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), None));
    assert!(error.to_string().contains("nothing here"), "{error}");
}

#[tokio::test]
async fn a_bus_that_does_not_answer_is_left_after_the_timeout() {
    let late = Reply::Late(Duration::from_secs(30), Box::new(Reply::Lost));
    let stub = Stub::start(move |_| late.clone()).await;
    let bus = stub.builder().timeout(Duration::from_millis(50)).build().unwrap();
    let began = std::time::Instant::now();
    let error = bus.claim("g").await.unwrap_err();
    assert!(matches!(&error, Error::Network(error) if error.is_timeout() && !error.is_unsent()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_claim_may_take_as_long_as_it_waits_and_the_timeout_on_top() {
    let late = Reply::Late(Duration::from_millis(600), Box::new(Reply::Answer(204, vec![], String::new())));
    let stub = Stub::start(move |_| late.clone()).await;
    let bus = stub.builder().timeout(Duration::from_millis(300)).build().unwrap();
    assert!(bus.claim("g").wait(Duration::from_secs(1)).await.unwrap().is_none());
    assert_eq!(stub.seen()[0].query, "goal=g&wait=1");
}

#[tokio::test]
async fn a_result_is_waited_for_until_the_intent_is_done_with() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => json(200, r#"{"id":"0a","status":"open"}"#),
        1 => Reply::Lost,
        2 => json(200, r#"{"id":"0a","status":"claimed"}"#),
        _ => json(200, r#"{"id":"0a","status":"dead","error":"no such file"}"#),
    })
    .await;
    let result = stub.client().wait_for_result("0a", Duration::from_secs(10)).await.unwrap();
    assert_eq!((result.status.state, result.error.as_deref()), (IntentState::Dead, Some("no such file")));
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn a_result_that_does_not_come_is_waited_for_no_longer_than_asked() {
    let stub = Stub::start(|_| json(200, r#"{"id":"0a","status":"open"}"#)).await;
    let error = stub.client().wait_for_result("0a", Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    let stub = Stub::start(|_| refused(404, "not_found")).await;
    let error = stub.client().wait_for_result("0a", Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn a_key_that_the_path_would_swallow_is_not_sent() {
    let stub = Stub::start(|_| json(200, r#"{"ok":true}"#)).await;
    let bus = stub.client();
    for key in ["..", ".", "a/../b", "", "a?b=c", "a\n1700000000"] {
        let error = bus.set(key, "x", None).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{key:?}: {error}");
    }
    assert!(stub.requests().is_empty());
    bus.set("a?b#c", "x", None).await.unwrap();
    assert_eq!(stub.requests(), ["POST /set/a%3Fb%23c"]);
}

#[tokio::test]
async fn a_value_that_is_not_there_is_none_and_a_lone_surrogate_is_no_text() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => refused(404, "not_found"),
        1 => json(200, r#"{"value":"{\"state\":\"green\"}"}"#),
        _ => json(200, r#"{"value":"\ud800"}"#),
    })
    .await;
    let bus = stub.client();
    assert_eq!(bus.get("a").await.unwrap(), None);
    assert_eq!(bus.get("a").await.unwrap().as_deref(), Some(r#"{"state":"green"}"#));
    assert!(matches!(bus.get("a").await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn a_bus_that_stays_away_is_told_of_however_long_a_result_may_be_waited_for() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => json(200, r#"{"id":"0a","status":"open"}"#),
        _ => Reply::Lost,
    })
    .await;
    let bus = stub.builder().retry(RetryPolicy::default().patience(Duration::from_millis(100))).build().unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(10), bus.wait_for_result("0a", Duration::MAX)).await;
    let error = waited.expect("it gives up").unwrap_err();
    assert!(matches!(error, Error::Network(_)), "{error}");
}

#[tokio::test]
async fn times_of_any_length_are_taken() {
    let stub = Stub::start(|seen| match seen.what.as_str() {
        "POST /claim" => Reply::Answer(204, vec![("retry-after", "1000000000000000000".to_owned())], String::new()),
        _ => json(200, r#"{"id":"0a","status":"dead"}"#),
    })
    .await;
    let retry = RetryPolicy::default().first_pause(Duration::MAX).longest_pause(Duration::MAX);
    let bus = stub.builder().timeout(Duration::MAX).connect_timeout(Duration::MAX).retry(retry).build().unwrap();
    assert!(bus.wait_for_result("0a", Duration::MAX).await.is_ok());
    assert!(bus.claim("g").wait(Duration::from_secs(60)).await.unwrap().is_none());
    let worker = Worker::new(bus).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) });
    let worker = worker.poll_interval(Duration::MAX).handler_timeout(Duration::MAX).cancel_grace(Duration::MAX);
    worker.drain_timeout(Duration::MAX).run_until(stub.until("POST /claim", 2)).await.unwrap();
}
