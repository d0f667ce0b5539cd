//! A server of a few lines: it answers as a test says, or reads a request and hangs up, so that the client cannot know whether
//! it was done. It checks that every request is signed, and that no nonce comes twice.

use std::{
    collections::{HashMap, HashSet},
    fmt::{Display, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use intent_bus_client::{ClientBuilder, IntentClient, RetryPolicy};
use intent_bus_protocol::signature::{SignedParts, verify};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) const KEY: &str = "tk_0123456789abcdef";

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `POST /intent`, without the query.
    pub(crate) what: String,
    /// The query, encoded as it was sent.
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    /// How many with the same `what` have come before.
    pub(crate) nth: usize,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// What the server does with it.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Hangs up, or never answers: whether it was done is for the test to say.
    Lost,
    /// Answers later.
    Late(Duration, Box<Reply>),
}

pub(crate) fn json(status: u16, body: impl Display) -> Reply {
    Reply::Answer(status, Vec::new(), format!("{body}"))
}

pub(crate) fn refused(status: u16, code: &str) -> Reply {
    json(status, serde_json::json!({"error": {"code": code, "message": "No."}}))
}

pub(crate) fn empty(retry_after: &str) -> Reply {
    Reply::Answer(204, vec![("retry-after", retry_after.to_owned())], String::new())
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

pub(crate) struct Stub {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    wrong: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Stub {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, wrong) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let script: Arc<Script> = Arc::new(script);
        let nonces = Arc::<Mutex<HashSet<String>>>::default();
        let (all, faults) = (Arc::clone(&seen), Arc::clone(&wrong));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all, faults, nonces) =
                    (Arc::clone(&script), Arc::clone(&all), Arc::clone(&faults), Arc::clone(&nonces));
                tokio::spawn(serve(stream, script, all, faults, nonces));
            }
        });
        Self { url, seen, wrong, task }
    }

    /// A client of it whose pauses are short.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let retry = RetryPolicy::default()
            .first_pause(Duration::from_millis(5))
            .longest_pause(Duration::from_millis(20))
            .patience(Duration::from_secs(5));
        IntentClient::builder().base_url(&self.url).api_key(KEY).retry(retry)
    }

    pub(crate) fn client(&self) -> IntentClient {
        self.builder().build().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What has come so far, as `POST /intent`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.what).collect()
    }

    /// Waits until so many requests of this kind have come.
    pub(crate) async fn until(&self, what: &str, count: usize) {
        let enough = async {
            while self.requests().iter().filter(|seen| *seen == what).count() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(10), enough).await;
        assert!(done.is_ok(), "no {count} × {what}: {:?}", self.requests());
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
        if !std::thread::panicking() {
            let wrong = self.wrong.lock().unwrap();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
}

async fn serve(
    stream: TcpStream,
    script: Arc<Script>,
    all: Arc<Mutex<Vec<Seen>>>,
    wrong: Arc<Mutex<Vec<String>>>,
    nonces: Arc<Mutex<HashSet<String>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some((method, target, mut seen)) = read(&mut stream).await {
        if let Err(error) = check(&method, &target, &seen, &nonces) {
            wrong.lock().unwrap().push(format!("{method} {target}: {error}"));
        }
        {
            let mut all = all.lock().unwrap();
            seen.nth = all.iter().filter(|other| other.what == seen.what).count();
            all.push(seen.clone());
        }
        let mut reply = script(&seen);
        while let Reply::Late(pause, then) = reply {
            tokio::time::sleep(pause).await;
            reply = *then;
        }
        let Reply::Answer(status, headers, body) = reply else {
            return;
        };
        let mut head = format!("HTTP/1.1 {status} X\r\n");
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if status != 204 {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        if stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String, Seen)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut parts = line.split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let what = format!("{method} {path}");
    let seen = Seen { what, query: query.to_owned(), headers, body: String::from_utf8(body).ok()?, nth: 0 };
    Some((method, target, seen))
}

fn check(method: &str, target: &str, seen: &Seen, nonces: &Mutex<HashSet<String>>) -> Result<(), String> {
    let header = |name: &str| seen.headers.get(name).cloned().ok_or_else(|| format!("no {name}"));
    let (timestamp, nonce, signature) = (header("x-timestamp")?, header("x-nonce")?, header("x-signature")?);
    let body = seen.body.as_bytes();
    let parts = SignedParts { method, path_and_query: target, timestamp: &timestamp, nonce: &nonce, body };
    if header("x-api-key")? != KEY || !verify(KEY, &parts, &signature) {
        return Err("a wrong key or signature".to_owned());
    }
    if nonces.lock().unwrap().insert(nonce) { Ok(()) } else { Err("a nonce that was used before".to_owned()) }
}
