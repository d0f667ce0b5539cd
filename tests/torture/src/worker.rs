//! A worker, good and bad.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use hyper::Method;
use intent_bus_protocol::headers;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    bus::{Bus, Held, PATIENCE, ROOT, Tenant},
    http::Request,
    load::{CAPABILITY, GOAL, Habits, PAUSE, Signs},
    log::{Lease, Outcome, What, token_hash},
};

/// How long a claim waits for work, in seconds.
const WAIT: u64 = 1;
/// By how much a lease is extended, in seconds: the least that can be asked for.
const EXTENSION: u32 = 10;

/// One worker and what it needs.
struct Worker {
    bus: Bus,
    tenants: Arc<Vec<Tenant>>,
    me: usize,
    habits: Arc<Habits>,
    random: StdRng,
}

/// Claims and ends intents until it is told to stop.
pub(crate) async fn work(
    bus: Bus,
    tenants: Arc<Vec<Tenant>>,
    me: usize,
    habits: Arc<Habits>,
    signs: Signs,
    random: StdRng,
) {
    let mut worker = Worker { bus, tenants, me, habits, random };
    while signs.work() {
        let (outcome, held) = worker.claim().await;
        for held in held {
            worker.execute(&held).await;
        }
        if !matches!(outcome, Outcome::Claimed(_)) {
            worker.pause().await;
        }
    }
}

impl Worker {
    fn tenant(&self) -> &Tenant {
        &self.tenants[self.me]
    }

    async fn pause(&mut self) {
        sleep(Duration::from_secs_f64(self.random.random_range(PAUSE))).await;
    }

    /// Claims; asks again if the claim has an id and nobody has answered, as long as what it may have got would last, and at times
    /// although somebody has.
    async fn claim(&mut self) -> (Outcome, Vec<Held>) {
        let request =
            self.random.random_bool(self.habits.again).then(|| format!("{:032x}", self.random.random::<u128>()));
        let what = What::Claim { tenant: self.tenant().name.clone(), request: request.clone() };
        let begun = tokio::time::Instant::now();
        let mut deaf = self.random.random_bool(self.habits.deaf);
        loop {
            let path = format!("/claim?goal={GOAL}&wait={WAIT}");
            let mut asked = self.request(path, String::new());
            asked.headers.extend(request.clone().map(|request| (headers::CLAIM_REQUEST_ID, request)));
            if self.habits.capable {
                asked.headers.push((headers::WORKER_CAPABILITIES, CAPABILITY.to_owned()));
            }
            let to = self.bus.targets.any(&mut self.random);
            let patience = PATIENCE + Duration::from_secs(WAIT);
            let (outcome, held) = self.bus.claim(to, what.clone(), &asked, patience).await;
            let is_heard = !matches!(outcome, Outcome::Unknown(_)) && (held.is_empty() || !std::mem::take(&mut deaf));
            let is_open = request.is_some() && !is_heard;
            if !is_open || begun.elapsed().as_secs_f64() > self.habits.lease {
                return (outcome, held);
            }
            self.pause().await;
        }
    }

    /// Works on it, and says so in one way or another.
    async fn execute(&mut self, held: &Held) {
        let habits = self.habits.clone();
        if held.poison && habits.mortal {
            std::process::exit(1);
        }
        let mut time = self.random.random_range(habits.work.clone());
        if self.random.random_bool(habits.extends) {
            self.extend(held).await;
            time += habits.lease;
        } else if self.random.random_bool(habits.sluggish) {
            // Past the lease and the longest backoff of a first attempt: by then somebody else has it.
            time += habits.lease + self.random.random_range(1.0..5.0);
        }
        sleep(Duration::from_secs_f64(time)).await;
        if self.random.random_bool(habits.forged) {
            let token = format!("{:032x}", self.random.random::<u128>());
            self.fulfil(&held.lease, &token).await;
        }
        if self.random.random_bool(habits.twice) {
            self.both(held).await;
        } else if self.random.random_bool(habits.fails) {
            self.until_known(held, false).await;
        } else {
            self.until_known(held, true).await;
        }
        if self.random.random_bool(habits.peeks) {
            self.peek(held).await;
        }
    }

    /// Repeats a finish that was not answered: the token makes sure that it counts once. Gives up after two leases.
    async fn until_known(&mut self, held: &Held, good: bool) {
        let begun = tokio::time::Instant::now();
        loop {
            let outcome = if good { self.fulfil(&held.lease, &held.token).await } else { self.fail(held).await };
            if !matches!(outcome, Outcome::Unknown(_)) || begun.elapsed().as_secs_f64() > 2.0 * self.habits.lease {
                return;
            }
            self.pause().await;
        }
    }

    fn request(&mut self, path: String, body: String) -> Request {
        self.tenants[self.me].request(&mut self.random, Method::POST, path, body)
    }

    /// The result names the claim, so that the end tells whose it was.
    async fn fulfil(&mut self, lease: &Lease, token: &str) -> Outcome {
        let hash = token_hash(token);
        let body = json!({"claim_token": token, "result": hash}).to_string();
        let request = self.request(format!("/fulfill/{}", lease.id), body);
        let what = What::Fulfil { id: lease.id.clone(), token: hash.clone(), result: format!("\"{hash}\"") };
        let to = self.bus.targets.any(&mut self.random);
        self.bus.ask(to, what, &request).await
    }

    async fn fail(&mut self, held: &Held) -> Outcome {
        let body = json!({"claim_token": held.token, "error": "It did not work."}).to_string();
        let request = self.request(format!("/fail/{}", held.lease.id), body);
        let what = What::Fail { id: held.lease.id.clone(), token: held.lease.token.clone() };
        let to = self.bus.targets.any(&mut self.random);
        self.bus.ask(to, what, &request).await
    }

    /// Ends it at two replicas at the same moment: as failed twice, for different reasons; as fulfilled twice, with different
    /// results; or as either.
    async fn both(&mut self, held: &Held) {
        let [to, there] = self.bus.targets.two(&mut self.random);
        let (first, second) = [(false, false), (true, true), (false, true)][self.random.random_range(0..3)];
        let (what, one) = self.end(held, first, "here");
        let (what_else, other) = self.end(held, second, "there");
        join(self.bus.ask(to, what, &one), self.bus.ask(there, what_else, &other)).await;
    }

    /// A finish that names the place it is sent to.
    fn end(&mut self, held: &Held, good: bool, place: &str) -> (What, Request) {
        let (id, token) = (held.lease.id.clone(), held.lease.token.clone());
        if good {
            let result = format!("{token} {place}");
            let body = json!({"claim_token": held.token, "result": result}).to_string();
            let request = self.request(format!("/fulfill/{id}"), body);
            return (What::Fulfil { id, token, result: format!("\"{result}\"") }, request);
        }
        let body = json!({"claim_token": held.token, "error": format!("It did not work {place}.")}).to_string();
        let request = self.request(format!("/fail/{id}"), body);
        (What::Fail { id, token }, request)
    }

    async fn extend(&mut self, held: &Held) {
        let body = json!({"claim_token": held.token, "seconds": EXTENSION}).to_string();
        let request = self.request(format!("/extend_claim/{}", held.lease.id), body);
        let (id, token) = (held.lease.id.clone(), held.lease.token.clone());
        let what = What::Extend { id, token, seconds: EXTENSION.into() };
        let to = self.bus.targets.any(&mut self.random);
        self.bus.ask(to, what, &request).await;
    }

    /// Somebody who has nothing to do with it looks at the result of what is private. Root may.
    async fn peek(&mut self, held: &Held) {
        if held.public {
            return;
        }
        let is_stranger = |tenant: &Tenant| tenant.name != held.owner && tenant.name != ROOT;
        let strangers: Vec<usize> =
            (0..self.tenants.len()).filter(|other| is_stranger(&self.tenants[*other])).collect();
        if strangers.is_empty() {
            return;
        }
        let stranger = self.tenants[strangers[self.random.random_range(0..strangers.len())]].clone();
        let request =
            stranger.request(&mut self.random, Method::GET, format!("/result/{}", held.lease.id), String::new());
        let what = What::Look { tenant: stranger.name, id: held.lease.id.clone() };
        let to = self.bus.targets.any(&mut self.random);
        self.bus.ask(to, what, &request).await;
    }
}
