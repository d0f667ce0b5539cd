//! `GET /admin/events`

use std::time::Duration;

use intent_bus::server::Stop;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::browser;
use crate::support::{TestApp, app::ADMIN, factory::intent_with};

const PATIENCE: Duration = Duration::from_secs(20);

/// One reader of the stream, on a connection of its own.
struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Asks for the stream. Gives the status, too.
    async fn open(app: &TestApp) -> (u16, Self) {
        let mut stream = TcpStream::connect(app.address).await.expect("a connection");
        let request = format!("GET /admin/events HTTP/1.1\r\nHost: bus\r\nX-Admin-Token: {ADMIN}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the request is taken");
        let mut stream = Self(BufReader::new(stream));
        let status = stream.line().await.expect("an answer").split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("a status"), stream)
    }

    /// The next line; none at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("a line in time").expect("a line");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event of this name.
    async fn event(&mut self, name: &str) -> Value {
        let wanted = format!("event: {name}");
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if line.ends_with(&wanted) {
                let data = self.line().await.expect("data");
                return serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            }
        }
    }
}

#[tokio::test]
async fn the_stream_sends_the_overview_and_then_what_has_changed() {
    let app = TestApp::spawn().await;
    let (status, mut stream) = Stream::open(&app).await;
    assert_eq!(status, 200);
    let first = stream.event("overview").await;
    let names: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    let page = browser(&app).get("/admin/dashboard").await;
    for name in &names {
        assert!(page.text().contains(&format!("data-part=\"{name}\"")), "{name} has a place on the page");
    }
    assert_eq!(names.len(), page.text().matches("data-part=").count(), "and every place has its part: {names:?}");
    app.admin().post("/admin/pause", json!({"namespace": "default", "goal": "<b>held</b>"})).await.expect(200);
    loop {
        let next = stream.event("overview").await;
        assert!(next.get("goals").is_none(), "what is as it was is not sent again: {next}");
        if let Some(part) = next.get("pauses") {
            assert!(part.as_str().unwrap().contains("&#60;b&#62;held"), "{part}");
            break;
        }
    }
}

#[tokio::test]
async fn streams_end_when_the_replica_is_about_to_stop_and_none_begins() {
    let mut app = TestApp::with(&[("BUS_DRAIN_SECONDS", "3")]).await;
    let (_, mut stream) = Stream::open(&app).await;
    stream.event("overview").await;
    let began = std::time::Instant::now();
    app.stop(Stop::Gently);
    stream.event("over").await;
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.0.read_to_end(&mut rest)).await.expect("an end").expect("a clean end");
    assert!(String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"), "the last chunk is there: {rest:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "before the listener closes");
    let (status, mut late) = Stream::open(&app).await;
    assert_eq!(status, 200);
    late.event("over").await;
}

#[tokio::test]
async fn a_replica_has_places_for_so_many_streams_and_gives_them_again() {
    let app = TestApp::spawn().await;
    let mut streams = Vec::new();
    for number in 0..64 {
        let (status, stream) = Stream::open(&app).await;
        assert_eq!(status, 200, "{number}");
        streams.push(stream);
    }
    let refused = app.admin().get("/admin/events").await;
    let message = refused.refused(503, "database_busy");
    assert!(message.contains("64 dashboards"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("30"));
    // Who has no stream can ask now and then.
    let parts = app.admin().get("/admin/dashboard/parts").await.expect(200);
    assert!(parts["tiles"].as_str().unwrap().contains("claimable"), "{parts}");
    drop(streams);
    timeout(PATIENCE, async {
        while Stream::open(&app).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a place is free again");
}

#[tokio::test]
async fn the_overview_says_what_is_stuck_and_why() {
    let app = TestApp::spawn().await;
    app.root().published(intent_with("nobody-asks", json!({}))).await;
    let long_ago = "UPDATE intents SET visible_at = visible_at - interval '10 minutes'";
    assert_eq!(app.db.execute(long_ago, &[]).await, 1);
    app.count_all().await;
    let page = browser(&app).get("/admin/dashboard").await;
    assert!(page.text().contains("1 of nobody-asks in default can be claimed"), "{}", page.text());
    assert!(page.text().contains("no worker has asked for it"), "{}", page.text());
}

#[tokio::test]
async fn the_goals_that_wait_longest_are_named_and_the_others_counted() {
    let app = TestApp::spawn().await;
    for number in 1..=7 {
        app.root().published(intent_with(&format!("goal-{number}"), json!({}))).await;
    }
    // Many of one goal do not hide the one that waits longest.
    app.root().published_many(&vec![intent_with("goal-1", json!({})); 9]).await;
    let since = "UPDATE intents SET visible_at = visible_at - right(goal, 1)::integer * interval '10 minutes'";
    assert_eq!(app.db.execute(since, &[]).await, 16);
    app.count_all().await;
    let page = browser(&app).get("/admin/dashboard").await;
    let place = |number: usize| page.text().find(&format!("of goal-{number} in default can be claimed"));
    let places: Vec<_> = (1..=7).rev().map(place).collect();
    assert!(places[..5].iter().all(Option::is_some) && places[..5].is_sorted(), "{places:?}");
    assert_eq!(places[5..], [None, None]);
    assert!(page.text().contains("2 more goals: the oldest intent could have been claimed"), "{}", page.text());
}
