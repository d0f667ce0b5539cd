//! Workers let loose on two replicas. What happened to each intent, by its timeline and by what workers were told, is then held
//! against the machine (`lease_model::trace`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use lease_model::trace::{Event, Terms, What, check};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, client::Claim};

const TERMS: Terms = Terms { max_attempts: 2, backoff_base: 1.0, lease: 1.0, time_to_live: 86_400.0 };
const GOAL: &str = "loose";
/// Workers at each replica.
const WORKERS: usize = 6;
/// Seconds for which a worker waits for more: longer than a lapsed lease and its backoff take.
const PATIENCE: u32 = 7;

/// What a worker makes of a claim.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Fulfill,
    /// By both replicas at once.
    FulfillTwice,
    ExtendAndFulfill,
    Fail,
    /// Nothing. When the intent has been claimed again, a late finish is tried.
    Forget,
    /// When the lease has ended, and perhaps somebody has claimed it since.
    FulfillLate,
}

/// What is made of the first and of the second claim of an intent.
const PLANS: [[Deed; 2]; 8] = [
    [Deed::Fulfill, Deed::Fulfill],
    [Deed::FulfillTwice, Deed::Fulfill],
    [Deed::ExtendAndFulfill, Deed::Fulfill],
    [Deed::Fail, Deed::FulfillTwice],
    [Deed::Fail, Deed::Fail],
    [Deed::Forget, Deed::Fulfill],
    [Deed::Forget, Deed::Forget],
    [Deed::FulfillLate, Deed::Fail],
];

/// Something that a worker was told.
#[derive(Debug, Clone)]
struct Told {
    token: String,
    /// When it asked, and when it was told, by the database's clock.
    asked: f64,
    at: f64,
    what: &'static str,
}

/// What is recorded of one intent.
#[derive(Debug, Default)]
struct Record {
    /// Tokens by the number of the attempt.
    tokens: BTreeMap<i64, String>,
    told: Vec<Told>,
}

#[derive(Clone)]
struct Worker {
    app: Arc<TestApp>,
    here: Client,
    there: Client,
    records: Arc<Mutex<HashMap<String, Record>>>,
}

impl Worker {
    async fn now(&self) -> f64 {
        self.app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await
    }

    /// Sends a finish and records what it was told.
    async fn tell(&self, client: &Client, verb: &str, claim: &Claim) -> Answer {
        let asked = self.now().await;
        let answer = match verb {
            "fulfill" => client.fulfill(claim, json!({"by": claim.token})).await,
            "fail" => client.fail(claim, "no paper").await,
            _ => client.extend(claim, 10).await,
        };
        let what = match (answer.status, verb) {
            // Its lease has ended, or its claim is over: nobody can tell which.
            (404, "extend_claim") => return answer,
            (404, _) => "refused",
            (200, "fulfill") => "fulfilled",
            (200, "fail") if answer.json()["status"] == "dead" => "dead",
            (200, "fail") => "failed",
            (200, _) => "extended",
            _ => panic!("{answer:?}"),
        };
        let told = Told { token: claim.token.clone(), asked, at: self.now().await, what };
        self.records.lock().unwrap().entry(claim.id.clone()).or_default().told.push(told);
        answer
    }

    async fn work(self) {
        loop {
            let answer = self.here.claim_waiting(GOAL, PATIENCE).await;
            if answer.status == 204 {
                return;
            }
            let claim = answer.claim();
            let attempt = claim.body["claim_attempts"].as_i64().unwrap();
            let before = {
                let mut records = self.records.lock().unwrap();
                let record = records.entry(claim.id.clone()).or_default();
                assert_eq!(
                    record.tokens.insert(attempt, claim.token.clone()),
                    None,
                    "attempt {attempt} was given out twice"
                );
                record.tokens.get(&(attempt - 1)).cloned()
            };
            if let Some(token) = before {
                let lost = Claim { token, ..claim.clone() };
                // Whether it should have been refused is for the machine to say.
                self.tell(&self.there, "fulfill", &lost).await;
            }
            let plan = PLANS[usize::try_from(claim.body["payload"]["n"].as_u64().unwrap()).unwrap() % PLANS.len()];
            self.act(plan[usize::try_from(attempt - 1).unwrap()], &claim).await;
        }
    }

    async fn act(&self, deed: Deed, claim: &Claim) {
        match deed {
            Deed::Fulfill => drop(self.tell(&self.there, "fulfill", claim).await),
            Deed::FulfillTwice => {
                tokio::join!(self.tell(&self.here, "fulfill", claim), self.tell(&self.there, "fulfill", claim));
            }
            Deed::ExtendAndFulfill => {
                self.tell(&self.there, "extend_claim", claim).await;
                self.tell(&self.here, "fulfill", claim).await;
            }
            Deed::Fail => drop(self.tell(&self.here, "fail", claim).await),
            Deed::Forget => {}
            Deed::FulfillLate => {
                // The length of a lease.
                self.there.claim_waiting("nothing", 1).await.empty();
                self.tell(&self.here, "fulfill", claim).await;
            }
        }
    }
}

/// What happened, from the timeline of the intent and from what workers were told of it.
fn events(timeline: &[Value], record: &Record) -> Vec<Event> {
    let mut told = record.told.clone();
    // Whoever was told of a change is who made it; of more tellings than changes, the rest is held against the machine as it is.
    let mut teller = |what: &str, of: Option<&String>| {
        let found = told.iter().position(|told| told.what == what && of.is_none_or(|token| *token == told.token));
        found.map(|found| told.remove(found).token)
    };
    let mut events = Vec::new();
    for event in timeline {
        let (at, attempt) = (event["at"].as_f64().unwrap(), event["attempt"].as_i64());
        let token = attempt.and_then(|attempt| record.tokens.get(&attempt));
        let what = match event["event"].as_str().unwrap() {
            "published" => What::Published { due_at: at },
            "claimed" => What::Claimed { attempt: attempt.unwrap(), token: token.cloned() },
            "lapsed" => What::Lapsed,
            "fulfilled" => What::Fulfilled { token: teller("fulfilled", None) },
            "failed" => What::Failed { token: teller("failed", token), last: false },
            "dead" => match teller("dead", None) {
                Some(token) => What::Failed { token: Some(token), last: true },
                None => What::Dead,
            },
            // Was refused, which its worker was told.
            "too_late" => continue,
            other => panic!("{other} after all is done"),
        };
        events.push(Event { at, what });
    }
    events.extend(told.into_iter().map(|Told { token, asked, at, what }| match what {
        "refused" => Event { at, what: What::Refused { token } },
        "extended" => Event { at: asked, what: What::Extended { token, by: 10.0 } },
        "fulfilled" => Event { at, what: What::Fulfilled { token: Some(token) } },
        told => Event { at, what: What::Failed { token: Some(token), last: told == "dead" } },
    }));
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_intents_on_two_replicas_is_what_the_machine_allows() {
    let settings = [("BUS_CLAIM_TIMEOUT_SECONDS", "1")];
    let app = Arc::new(TestApp::with(&settings).await);
    let other = app.replica(&settings).await;
    let clients = [app.root(), other.root()].map(|client| client.declaring("7.61"));
    let intents: Vec<Value> = (0..10 * PLANS.len())
        .map(|n| json!({"goal": GOAL, "payload": {"n": n}, "max_attempts": TERMS.max_attempts, "backoff_base": TERMS.backoff_base}))
        .collect();
    let ids = clients[0].published_many(&intents).await;
    let records = Arc::default();
    let workers: Vec<_> = (0..2 * WORKERS)
        .map(|number| {
            let [here, there] = [number % 2, (number + 1) % 2].map(|side| clients[side].clone());
            let worker = Worker { app: Arc::clone(&app), here, there, records: Arc::clone(&records) };
            tokio::spawn(worker.work())
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    app.admin().cleanup().await.expect(200);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &ids {
        let intent = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
        let timeline = intent["timeline"].as_array().unwrap();
        let records = records.lock().unwrap();
        let events = events(timeline, &records[id]);
        let life = check(TERMS, events.clone()).unwrap_or_else(|fault| panic!("{fault}, in {events:#?}"));
        assert_eq!(
            intent["status"],
            life.seen(intent["now"].as_f64().unwrap(), TERMS.time_to_live).as_str(),
            "{events:#?}"
        );
        assert!(!life.is_unfinished(), "{id} was left: {events:#?}");
        for name in timeline.iter().map(|event| event["event"].as_str().unwrap()) {
            *seen.entry(name_of(name)).or_default() += 1;
        }
        for told in &records[id].told {
            *seen.entry(told.what).or_default() += 1;
        }
    }
    eprintln!("{seen:?}");
    for kind in ["fulfilled", "failed", "dead", "lapsed", "extended", "refused"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 2), "{kind} has hardly come by: {seen:?}");
    }
}

/// For what is counted.
fn name_of(event: &str) -> &'static str {
    match event {
        "lapsed" => "lapsed",
        "claimed" => "claimed",
        _ => "of the timeline",
    }
}
