//! The servers that came before: what they know, and what they do not. A client and a worker have to get along with each.
//!
//! | server | serves | tokens | status, extend | many, waiting |
//! |---|---|---|---|---|
//! | 7.0.1 | SDK 1.x | no | no | no |
//! | 7.5 | SDK 2.0.x | no | yes | no |
//! | 7.61 | SDK 2.1.x | yes | yes | no |

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use intent_bus_client::{FailedAs, IntentClient, IntentState, Job, NewIntent, RetryPolicy, Worker};
use intent_bus_protocol::signature::{SignedParts, verify};
use serde_json::{Value, json};
use tokio::sync::Notify;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

const KEY: &str = "tk_0123456789abcdef";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V7_0_1,
    V7_5,
    V7_61,
}

const ALL: [Version; 3] = [Version::V7_0_1, Version::V7_5, Version::V7_61];

struct Intent {
    goal: String,
    payload: Value,
    status: &'static str,
    attempts: usize,
    result: Value,
    error: Value,
}

/// One of the servers, with its intents in memory.
#[derive(Clone)]
struct Old {
    version: Version,
    intents: Arc<Mutex<Vec<Intent>>>,
    wrong: Arc<Mutex<Vec<String>>>,
    finished: Arc<Notify>,
}

impl Old {
    async fn start(version: Version) -> (Self, MockServer) {
        let old = Self { version, intents: Arc::default(), wrong: Arc::default(), finished: Arc::default() };
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(old.clone()).mount(&server).await;
        (old, server)
    }

    /// Waits until so many intents are fulfilled or dead.
    async fn finished(&self, count: usize) {
        let enough = async {
            loop {
                let told = self.finished.notified();
                let done = |intent: &&Intent| matches!(intent.status, "fulfilled" | "failed" | "dead");
                if self.intents.lock().unwrap().iter().filter(done).count() >= count {
                    return;
                }
                told.await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), enough).await.is_ok(), "{count} are not finished");
    }

    fn knows_status(&self) -> bool {
        self.version != Version::V7_0_1
    }

    fn has_tokens(&self) -> bool {
        self.version == Version::V7_61
    }

    fn claim(&self, goal: Option<&str>) -> ResponseTemplate {
        let mut intents = self.intents.lock().unwrap();
        let wanted = |intent: &Intent| intent.status == "open" && goal.is_none_or(|goal| intent.goal == goal);
        let Some((index, intent)) = intents.iter_mut().enumerate().find(|(_, intent)| wanted(intent)) else {
            let nothing = ResponseTemplate::new(204);
            return if self.knows_status() { nothing.insert_header("Retry-After", "1") } else { nothing };
        };
        intent.status = "claimed";
        intent.attempts += 1;
        let mut claimed = json!({"id": index.to_string(), "goal": intent.goal, "payload": intent.payload});
        if self.knows_status() {
            claimed["claim_attempts"] = intent.attempts.into();
            claimed["namespace"] = "default".into();
            claimed["priority"] = 100.into();
        }
        if self.has_tokens() {
            claimed["claim_token"] = format!("t{index}-{}", intent.attempts).into();
            claimed["claim_timeout"] = 1.into();
        }
        ResponseTemplate::new(200).set_body_json(claimed)
    }

    /// Fulfill, fail and extend.
    fn hold(&self, verb: &str, id: &str, body: &Value) -> ResponseTemplate {
        let mut intents = self.intents.lock().unwrap();
        let held = id.parse::<usize>().ok().and_then(|id| intents.get_mut(id));
        let Some(intent) = held.filter(|intent| intent.status == "claimed") else {
            return refused(404, "not_found");
        };
        if self.has_tokens() && body["claim_token"] != format!("t{id}-{}", intent.attempts) {
            return refused(400, "invalid_request");
        }
        match verb {
            "fulfill" => {
                intent.status = "fulfilled";
                intent.result = body["result"].clone();
            }
            "fail" => {
                intent.status = if self.version == Version::V7_0_1 { "failed" } else { "dead" };
                intent.error = body["error"].clone();
            }
            _ => return ResponseTemplate::new(200).set_body_json(json!({"ok": true, "extended_by": body["seconds"]})),
        }
        self.finished.notify_waiters();
        let mut answer = json!({"ok": true});
        if verb == "fail" && self.knows_status() {
            answer["status"] = intent.status.into();
        }
        ResponseTemplate::new(200).set_body_json(answer)
    }

    fn status(&self, id: &str) -> ResponseTemplate {
        let intents = self.intents.lock().unwrap();
        match id.parse::<usize>().ok().and_then(|id| intents.get(id)) {
            None => refused(404, "not_found"),
            Some(intent) => ResponseTemplate::new(200).set_body_json(json!({
                "id": id, "status": intent.status, "claim_attempts": intent.attempts, "result": intent.result,
                "last_error": intent.error,
            })),
        }
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let path = request.url.path().trim_start_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["intent"]) => {
                let mut intents = self.intents.lock().unwrap();
                let goal = body["goal"].as_str().unwrap_or_default().to_owned();
                let (payload, result, error) = (body["payload"].clone(), Value::Null, Value::Null);
                intents.push(Intent { goal, payload, status: "open", attempts: 0, result, error });
                let id = (intents.len() - 1).to_string();
                ResponseTemplate::new(201).set_body_json(json!({"id": id, "status": "published"}))
            }
            ("POST", ["claim"]) => {
                let goal = request.url.query_pairs().find(|(name, _)| name == "goal");
                self.claim(goal.as_ref().map(|(_, goal)| &**goal))
            }
            ("POST", [verb @ ("fulfill" | "fail"), id]) => self.hold(verb, id, &body),
            ("POST", ["extend_claim", id]) if self.knows_status() => self.hold("extend", id, &body),
            ("GET", ["status" | "result", id]) if self.knows_status() => self.status(id),
            // What Flask says of paths that it does not know.
            _ => ResponseTemplate::new(404).set_body_string("<!doctype html><h1>Not Found</h1>"),
        }
    }
}

fn refused(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {"code": code, "message": "No."}}))
}

impl Respond for Old {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let parts = SignedParts {
            method: request.method.as_str(),
            path_and_query: &target,
            timestamp: header("x-timestamp"),
            nonce: header("x-nonce"),
            body: &request.body,
        };
        if header("x-api-key") != KEY || !verify(KEY, &parts, header("x-signature")) {
            self.wrong.lock().unwrap().push(target);
            return refused(403, "invalid_signature");
        }
        let answer = self.answer(request);
        if self.version == Version::V7_61 { answer.insert_header("X-Intent-Version", "7.61") } else { answer }
    }
}

fn client(server: &MockServer) -> IntentClient {
    let retry = RetryPolicy::default().first_pause(Duration::from_millis(5)).patience(Duration::from_secs(5));
    IntentClient::builder().base_url(server.uri()).api_key(KEY).retry(retry).build().unwrap()
}

async fn paths(server: &MockServer) -> Vec<String> {
    let received = server.received_requests().await.unwrap_or_default();
    received.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

#[tokio::test]
async fn every_generation_takes_a_publication_a_claim_and_a_finish() {
    for version in ALL {
        let (old, server) = Old::start(version).await;
        let bus = client(&server);
        let id = bus.publish("greet", &json!({"name": "Ada"})).priority(500).await.unwrap().id;
        let claimed = bus.claim("greet").await.unwrap().unwrap();
        assert_eq!((claimed.id(), claimed.payload_json().get()), (id.as_str(), r#"{"name":"Ada"}"#), "{version:?}");
        bus.fulfill(&claimed, "hello, Ada").await.unwrap();
        assert_eq!(old.intents.lock().unwrap()[0].result, "hello, Ada");

        bus.publish("greet", &json!({})).await.unwrap();
        let claimed = bus.claim("greet").await.unwrap().unwrap();
        assert_eq!(bus.fail(&claimed, "no name").await.unwrap(), FailedAs::Dead, "{version:?}");
        assert!(bus.claim("greet").await.unwrap().is_none());
        if old.knows_status() {
            let result = bus.wait_for_result(&id, Duration::from_secs(5)).await.unwrap();
            assert_eq!(result.value::<String>().unwrap().as_deref(), Some("hello, Ada"));
            assert_eq!(bus.status("1").await.unwrap().state, IntentState::Dead);
        }
        assert!(old.wrong.lock().unwrap().is_empty(), "{version:?}");
    }
}

#[tokio::test]
async fn a_worker_gets_along_with_every_generation() {
    for version in ALL {
        let (old, server) = Old::start(version).await;
        let bus = client(&server);
        for n in 0..12 {
            bus.publish("double", &json!({"n": n})).await.unwrap();
        }
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let double = move |job: Job<Value>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match job.payload["n"].as_u64() {
                    Some(7) => Err("seven is not doubled"),
                    n => Ok(n.unwrap_or_default() * 2),
                }
            }
        };
        let worker = Worker::new(bus).goal("double", double).concurrency(4).poll_interval(Duration::from_millis(10));
        worker.run_until(old.finished(12)).await.unwrap();
        for (n, intent) in old.intents.lock().unwrap().iter().enumerate() {
            let expected = if n == 7 { json!("seven is not doubled") } else { json!(n * 2) };
            assert_eq!(if n == 7 { &intent.error } else { &intent.result }, &expected, "{version:?}");
        }
        assert_eq!(runs.load(Ordering::Relaxed), 12, "{version:?}: each once");
        let paths = paths(&server).await;
        let batches = paths.iter().filter(|path| matches!(path.as_str(), "POST /fulfill" | "POST /fail")).count();
        assert_eq!(batches, 0, "{version:?}: its claims have shown that it knows no requests about many");
        assert!(old.wrong.lock().unwrap().is_empty(), "{version:?}");
    }
}

#[tokio::test]
async fn ends_that_come_together_reach_a_server_that_knows_nothing_about_many() {
    for version in ALL {
        let (old, server) = Old::start(version).await;
        let bus = client(&server);
        for goal in ["a", "b", "c"] {
            bus.publish(goal, &json!({})).await.unwrap();
        }
        // With several goals a claim asks for one, so nothing has shown yet what the server knows when all end at once.
        let together = Arc::new(tokio::sync::Barrier::new(3));
        let handler = move |_: Job<Value>| {
            let together = Arc::clone(&together);
            async move {
                together.wait().await;
                Ok::<_, &str>("done")
            }
        };
        let worker =
            Worker::new(bus).goal("a", handler.clone()).goal("b", handler.clone()).goal("c", handler).concurrency(3);
        worker.run_until(old.finished(3)).await.unwrap();
        assert!(old.intents.lock().unwrap().iter().all(|intent| intent.result == "done"), "{version:?}");
        assert!(paths(&server).await.contains(&"POST /fulfill".to_owned()), "{version:?}: else this is about nothing");
    }
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_asked_as_often_as_it_says() {
    // 7.0.1 says nothing, so every 20 ms; 7.5 says 1 s. A jitter of a fifth is part of both.
    for (version, claims, pause) in [(Version::V7_0_1, 40, 20), (Version::V7_5, 3, 1000)] {
        let (_old, server) = Old::start(version).await;
        let worker = Worker::new(client(&server))
            .goal("nothing", |job: Job<Value>| async move { Ok::<_, &str>(job.payload) })
            .poll_interval(Duration::from_millis(20));
        let began = Instant::now();
        let asked = async {
            while paths(&server).await.len() < claims {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), worker.run_until(asked)).await.unwrap().unwrap();
        let least = Duration::from_millis(pause * 4 / 5) * u32::try_from(claims - 1).unwrap();
        assert!(began.elapsed() >= least, "{version:?}: {claims} claims in {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_handler_of_several_leases_runs_once_where_the_lease_can_be_extended() {
    let (old, server) = Old::start(Version::V7_61).await;
    let bus = client(&server);
    bus.publish("long", &json!({})).await.unwrap();
    let long = |_: Job<Value>| async {
        tokio::time::sleep(Duration::from_millis(1700)).await;
        Ok::<_, &str>("done")
    };
    Worker::new(bus).goal("long", long).run_until(old.finished(1)).await.unwrap();
    assert_eq!(old.intents.lock().unwrap()[0].attempts, 1);
    let extensions = paths(&server).await.iter().filter(|path| *path == "POST /extend_claim/0").count();
    // The lease is 1 s, and 10 s longer after the first extension.
    assert_eq!(extensions, 1);
}

#[tokio::test]
async fn many_by_one_request_is_refused_by_servers_that_know_it_not() {
    let (_old, server) = Old::start(Version::V7_61).await;
    let error = client(&server).publish_many([NewIntent::new("a", &1)]).await.unwrap_err();
    assert_eq!((error.status(), error.code(), error.is_retryable()), (Some(404), None, false));
    let claimed = client(&server).claim("a").many(10).await.unwrap();
    assert!(claimed.is_empty());
}
