//! Load, and the books of it: what was acknowledged, what was run, what failed. Held against the bus at the end.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    cluster::{KEY, LEASE},
    docker::say,
    http::http,
};

/// Clients of each kind.
const CLIENTS: usize = 8;
/// What they are about.
const GOAL: &str = "checked";
/// How long a client waits for an answer: longer than a lease, so that nobody gives up what he could still have had.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long everything may take to come to its end once nothing is broken any more.
const SETTLED_IN: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// One run of what was published under a key: when its claim was sent and answered, and whether its end was acknowledged.
struct Run {
    id: String,
    asked: Instant,
    claimed: Instant,
    finished: bool,
}

#[derive(Default)]
struct Books {
    /// Intents whose publication was acknowledged.
    published: Mutex<Vec<String>>,
    /// By the key in the payload: were it published twice, it would be run twice.
    runs: Mutex<HashMap<String, Vec<Run>>>,
    requests: AtomicU64,
    /// Requests that were not answered, or by 500 or more.
    failed: Mutex<HashMap<String, u64>>,
    stopped: AtomicBool,
    drained: AtomicBool,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) published: usize,
    /// Acknowledged and never fulfilled.
    pub(crate) lost: usize,
    /// Run again although nobody's lease had ended.
    pub(crate) duplicated: usize,
    /// Run again after a lease had ended or an answer was lost.
    pub(crate) repeated: usize,
    /// Ended twice, acknowledged both times.
    pub(crate) finished_twice: usize,
    pub(crate) requests: u64,
    pub(crate) failed: HashMap<String, u64>,
}

impl Outcome {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// What has to hold whatever was done to the cluster.
    #[track_caller]
    pub(crate) fn is_safe(&self, scenario: &str) {
        say(&format!(
            "{scenario}: {} published, {} lost, {} duplicated, {} repeated after a lease, {} finished twice; {} of {} requests \
             failed: {:?}",
            self.published,
            self.lost,
            self.duplicated,
            self.repeated,
            self.finished_twice,
            self.failures(),
            self.requests,
            self.failed
        ));
        assert!(self.published > 100, "{scenario}: there was hardly any load: {self:?}");
        assert_eq!((self.lost, self.duplicated, self.finished_twice), (0, 0, 0), "{scenario}: {self:?}");
    }
}

/// Clients at work.
pub(crate) struct Load {
    books: Arc<Books>,
    publishers: JoinSet<()>,
    workers: JoinSet<()>,
    bus: Bus,
}

/// How clients reach it.
#[derive(Clone)]
struct Bus {
    http: reqwest::Client,
    url: String,
}

impl Load {
    pub(crate) fn start(url: &str) -> Self {
        let http = http().timeout(PATIENCE).build().expect("an HTTP client");
        let bus = Bus { http, url: url.to_owned() };
        let books = Arc::new(Books::default());
        let (mut publishers, mut workers) = (JoinSet::new(), JoinSet::new());
        for _ in 0..CLIENTS {
            publishers.spawn(publish(bus.clone(), books.clone()));
            workers.spawn(work(bus.clone(), books.clone()));
        }
        Self { books, publishers, workers, bus }
    }

    /// Until so many more intents were acknowledged: there is load again.
    pub(crate) async fn flows(&self, more: usize) {
        let before = self.books.published.lock().expect("the books").len();
        let deadline = Instant::now() + SETTLED_IN;
        while self.books.published.lock().expect("the books").len() < before + more {
            assert!(Instant::now() < deadline, "nothing is published any more: {:?}", self.books.failed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops publishing, lets the workers finish, and holds the books against the bus.
    pub(crate) async fn settle(mut self) -> Outcome {
        self.books.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.publishers.join_next().await {
            ended.expect("a publisher goes on until it is told to stop");
        }
        let published = self.books.published.lock().expect("the books").clone();
        let deadline = Instant::now() + SETTLED_IN;
        let mut open = published.clone();
        while !open.is_empty() && Instant::now() < deadline {
            let mut still = Vec::new();
            for id in open {
                if !self.bus.is_fulfilled(&id).await {
                    still.push(id);
                }
            }
            open = still;
            tokio::time::sleep(PAUSE).await;
        }
        self.books.drained.store(true, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a worker goes on until it is told to stop");
        }
        let mut runs = self.books.runs.lock().expect("the books");
        let mut outcome = Outcome {
            published: published.len(),
            lost: open.len(),
            duplicated: 0,
            repeated: 0,
            finished_twice: 0,
            requests: self.books.requests.load(Ordering::Relaxed),
            failed: self.books.failed.lock().expect("the books").clone(),
        };
        for runs in runs.values_mut() {
            runs.sort_by_key(|run| run.claimed);
            let ends = runs.iter().filter(|run| run.finished).count();
            outcome.finished_twice += usize::from(ends > 1);
            for pair in runs.windows(2) {
                // One key is one intent. The first lease has begun after it was asked for; the second before its answer came.
                let explained = pair[1].id == pair[0].id && pair[1].claimed >= pair[0].asked + LEASE;
                outcome.repeated += usize::from(explained);
                outcome.duplicated += usize::from(!explained);
            }
        }
        outcome
    }
}

impl Bus {
    /// Status and body. None: no answer, or that of a server in trouble; it is in the books.
    async fn ask(&self, books: &Books, request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        books.requests.fetch_add(1, Ordering::Relaxed);
        let outcome = match request.header("x-api-key", KEY).send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                match answer.bytes().await {
                    Ok(body) if status < 500 => Ok((status, serde_json::from_slice(&body).unwrap_or_default())),
                    Ok(_) => Err(status.to_string()),
                    Err(_) => Err("an answer that broke off".to_owned()),
                }
            }
            Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
            Err(error) if error.is_connect() => Err("no connection".to_owned()),
            Err(_) => Err("a connection that broke".to_owned()),
        };
        match outcome {
            Ok(answer) => Some(answer),
            Err(why) => {
                *books.failed.lock().expect("the books").entry(why).or_default() += 1;
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }

    async fn is_fulfilled(&self, id: &str) -> bool {
        let request = self.http.get(format!("{}/status/{id}", self.url)).header("x-api-key", KEY);
        let Ok(answer) = request.send().await else { return false };
        let Ok(body) = answer.bytes().await else { return false };
        serde_json::from_slice::<Value>(&body).is_ok_and(|status| status["status"] == "fulfilled")
    }
}

/// Publishes one intent after the other, each with a key of its own until it is acknowledged.
async fn publish(bus: Bus, books: Arc<Books>) {
    while !books.stopped.load(Ordering::Relaxed) {
        let key = Uuid::new_v4().to_string();
        loop {
            let body =
                json!({"goal": GOAL, "payload": {"key": key}, "max_attempts": 20, "backoff_base": 1}).to_string();
            let request = bus.http.post(format!("{}/intent", bus.url)).header("idempotency-key", &key).body(body);
            if let Some((status, answer)) = bus.ask(&books, request).await {
                assert!(matches!(status, 200 | 201), "{status}: {answer}");
                let id = answer["id"].as_str().expect("an id").to_owned();
                books.published.lock().expect("the books").push(id);
                break;
            }
        }
    }
}

/// Claims and fulfils until everything has been.
async fn work(bus: Bus, books: Arc<Books>) {
    while !books.drained.load(Ordering::Relaxed) {
        let request = bus.http.post(format!("{}/claim?goal={GOAL}&wait=1", bus.url));
        let asked = Instant::now();
        let Some((status, intent)) = bus.ask(&books, request).await else { continue };
        if status != 200 {
            assert_eq!(status, 204, "{intent}");
            continue;
        }
        let claimed = Instant::now();
        let id = intent["id"].as_str().expect("an id").to_owned();
        let key = intent["payload"]["key"].as_str().expect("a key").to_owned();
        let body = json!({"claim_token": intent["claim_token"], "result": 1}).to_string();
        let (mut finished, mut tries) = (false, 0);
        // A finish without an answer is sent again: the token makes sure that it counts once.
        while claimed.elapsed() < 2 * LEASE {
            let request = bus.http.post(format!("{}/fulfill/{id}", bus.url)).body(body.clone());
            tries += 1;
            match bus.ask(&books, request).await {
                Some((200, _)) => finished = true,
                // Somebody else has it, or an earlier try has ended it; at the first try of a fresh lease neither can be.
                Some((404, answer)) => {
                    assert!(tries > 1 || asked.elapsed() > LEASE, "a lease that was held was refused: {answer}");
                }
                Some((status, answer)) => panic!("a finish was answered {status}: {answer}"),
                None => continue,
            }
            break;
        }
        books.runs.lock().expect("the books").entry(key).or_default().push(Run { id, asked, claimed, finished });
    }
}
