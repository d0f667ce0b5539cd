//! How clients reach the bus: tenants and their keys, replicas and their addresses, and the log that all of it goes into.

use std::{
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::Method;
use intent_bus_protocol::{
    headers,
    signature::{SignedParts, sign},
};
use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    http::{Http, Request},
    log::{Lease, Log, Outcome, What, now, token_hash},
};

/// How long a client waits for an answer, unless it waits for work.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The name of whoever has the root key.
pub const ROOT: &str = "root";

/// Somebody with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name in the log.
    pub name: String,
    /// Its secret.
    pub key: String,
    /// Whether it signs what it sends.
    pub signs: bool,
}

impl Tenant {
    /// A request of this tenant, signed if it signs, with a nonce that was never used.
    pub fn request(&self, random: &mut StdRng, method: Method, path: String, body: String) -> Request {
        let mut request = Request { method, path, headers: vec![(headers::API_KEY, self.key.clone())], body };
        if self.signs {
            let nonce = format!("{:032x}", random.random::<u128>());
            self.sign(&mut request, now(), nonce);
        }
        request
    }

    /// Signs a request as of this moment, in unix seconds.
    pub fn sign(&self, request: &mut Request, at: f64, nonce: String) {
        let timestamp = format!("{at:.0}");
        let parts = SignedParts {
            method: request.method.as_str(),
            path_and_query: &request.path,
            timestamp: &timestamp,
            nonce: &nonce,
            body: request.body.as_bytes(),
        };
        let signature = sign(&self.key, &parts);
        let signed = [(headers::TIMESTAMP, timestamp), (headers::NONCE, nonce), (headers::SIGNATURE, signature)];
        request.headers.extend(signed);
    }
}

/// Where the replicas are. A replica that is down keeps its place until another one takes it, as in a balancer that has not
/// noticed yet.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<RwLock<Vec<SocketAddr>>>);

impl Targets {
    /// Some that stay where they are.
    #[must_use]
    pub fn of(addresses: Vec<SocketAddr>) -> Self {
        Self(Arc::new(RwLock::new(addresses)))
    }

    /// Puts a replica in its place.
    pub fn set(&self, place: usize, address: SocketAddr) {
        let mut targets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if place < targets.len() {
            targets[place] = address;
        } else {
            targets.push(address);
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<SocketAddr> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Any of them. None only while there is none at all, when nobody listens at port 1 either.
    pub fn any(&self, random: &mut StdRng) -> SocketAddr {
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if targets.is_empty() {
            return SocketAddr::from(([127, 0, 0, 1], 1));
        }
        targets[random.random_range(0..targets.len())]
    }

    /// Any two of them: different ones, if there are two.
    pub fn two(&self, random: &mut StdRng) -> [SocketAddr; 2] {
        let all = self.all();
        let first = self.any(random);
        let others: Vec<SocketAddr> = all.into_iter().filter(|other| *other != first).collect();
        [first, if others.is_empty() { first } else { others[random.random_range(0..others.len())] }]
    }
}

/// A lease and its secret.
#[derive(Debug, Clone)]
pub struct Held {
    /// As it is in the log.
    pub lease: Lease,
    /// The claim token.
    pub token: String,
    /// Who has published it.
    pub owner: String,
    /// Whether others may work on it.
    pub public: bool,
    /// Whether it kills whoever works on it.
    pub poison: bool,
}

/// The bus as its clients see it.
#[derive(Debug, Clone)]
pub struct Bus {
    /// The connections.
    pub http: Http,
    /// The replicas.
    pub targets: Targets,
    /// What was said.
    pub log: Arc<Log>,
    /// Answers 429 and 503, with Retry-After and without.
    refusals: Arc<[AtomicUsize; 2]>,
}

impl Bus {
    /// A bus that nobody has asked anything yet.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { http: Http::default(), targets: Targets::default(), log: Arc::new(log), refusals: Arc::default() }
    }

    /// Answers 429 and 503 so far: with Retry-After, and without.
    #[must_use]
    pub fn refusals(&self) -> (usize, usize) {
        (self.refusals[0].load(Ordering::Relaxed), self.refusals[1].load(Ordering::Relaxed))
    }

    /// Asks a replica, and has both halves in the log.
    pub async fn ask(&self, to: SocketAddr, what: What, request: &Request) -> Outcome {
        self.claim(to, what, request, PATIENCE).await.0
    }

    /// The same for a claim, whose leases it gives with their secrets.
    pub async fn claim(
        &self,
        to: SocketAddr,
        what: What,
        request: &Request,
        patience: Duration,
    ) -> (Outcome, Vec<Held>) {
        let op = self.log.ask(what.clone());
        let (outcome, held) = match self.http.send(to, request, patience).await {
            Ok(answer) => {
                if matches!(answer.status, 429 | 503) {
                    self.refusals[usize::from(answer.retry_after.is_none())].fetch_add(1, Ordering::Relaxed);
                }
                read(&what, answer.status, &answer.body)
            }
            Err(why) => (Outcome::Unknown(why), Vec::new()),
        };
        self.log.answer(op, outcome.clone());
        (outcome, held)
    }
}

/// What an answer means.
fn read(what: &What, status: u16, body: &[u8]) -> (Outcome, Vec<Held>) {
    if status >= 500 {
        return (Outcome::Unknown(status.to_string()), Vec::new());
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let outcome = match (what, status) {
        (What::Publish { .. } | What::Replay { .. }, 201) => Outcome::Published(text(&body["id"])),
        (What::Claim { .. }, 204) => Outcome::Claimed(Vec::new()),
        (What::Claim { .. }, 200) => {
            let intents = body["intents"].as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
            let held: Vec<Held> = intents.iter().map(held).collect();
            return (Outcome::Claimed(held.iter().map(|held| held.lease.clone()).collect()), held);
        }
        (What::Fail { .. }, 200) => Outcome::Failed(text(&body["status"])),
        (_, 200) => Outcome::Done,
        _ => Outcome::Refused(status, text(&body["error"]["code"])),
    };
    (outcome, Vec::new())
}

fn held(intent: &Value) -> Held {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let token = text(&intent["claim_token"]);
    let lease = Lease {
        id: text(&intent["id"]),
        token: token_hash(&token),
        key: text(&intent["payload"]["key"]),
        attempt: intent["claim_attempts"].as_i64().unwrap_or_default(),
    };
    let (owner, public) = (text(&intent["payload"]["owner"]), intent["payload"]["public"] == true);
    Held { lease, token, owner, public, poison: intent["payload"]["poison"] == true }
}
