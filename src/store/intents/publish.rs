//! Publishing.

use std::{collections::HashMap, time::Instant};

use futures_util::future::BoxFuture;
use tokio_postgres::{Row, error::SqlState, types::ToSql};
use uuid::Uuid;

use crate::{
    domain::{
        ids::IntentId,
        intent::NewIntent,
        lanes::Lanes,
        names::{Label, Namespace},
    },
    error::{Error, ErrorCode, Result},
    store::{
        Store,
        admission::{Admission, Columns, OfAll, Verdict, run, run_all},
        coalesce::{Coalesced, Failure},
        idempotency::Idempotency,
        session::Session,
        statements::{self, Admitting},
    },
    telemetry::events::{Changed, changed},
};

/// A request to publish.
#[derive(Debug)]
pub struct Publish {
    /// What has to be checked first.
    pub admission: Admission,
    /// What to publish, each with its idempotency key.
    pub intents: Vec<(NewIntent, Option<Idempotency>)>,
    /// Unfinished intents that the tenant may have. None: any number.
    pub max_open: Option<i64>,
}

impl Store {
    /// Publishes intents, each once, whatever is lost on the way, and gives their ids: that of the first answer if the same was
    /// published before under the same idempotency key.
    ///
    /// # Errors
    /// What admission refuses. For each intent: an idempotency clash; `limit_exceeded` when the tenant has `max_open` unfinished
    /// ones.
    pub async fn publish(&self, request: Publish) -> Result<Vec<Result<IntentId>>> {
        let count = request.intents.len();
        let answer = self.publishes.ask(self, request).await;
        self.count_answers("publish", count, &answer);
        answer
    }
}

impl Coalesced for Publish {
    const KIND: &'static str = "publish";
    const FLIGHT: &'static str = "flight of publish";

    const EACH_FINDS_OUT: bool = true;

    type Answer = Vec<Result<IntentId>>;

    fn turn(&self) -> i64 {
        self.admission.tenant
    }

    fn items(&self) -> usize {
        self.intents.len()
    }

    fn bytes(&self) -> usize {
        self.intents
            .iter()
            .map(|(intent, _)| intent.payload.len() + intent.reward.as_ref().map_or(0, bytes::Bytes::len))
            .sum()
    }

    fn once(&self) -> impl Iterator<Item = Uuid> {
        let keys = self.intents.iter().filter_map(|(_, idempotency)| idempotency.map(|idempotency| idempotency.key));
        self.admission.signed.map(|signed| signed.nonce).into_iter().chain(keys)
    }

    fn attempt<'a>(
        store: &'a Store,
        client: &'a Session,
        requests: &'a [&'a Self],
        again: bool,
    ) -> BoxFuture<'a, std::result::Result<Vec<Result<Self::Answer>>, Failure>> {
        Box::pin(publish(store, client, requests, again))
    }
}

async fn publish(
    store: &Store,
    client: &Session,
    requests: &[&Publish],
    again: bool,
) -> std::result::Result<Vec<Result<Vec<Result<IntentId>>>>, Failure> {
    let columns = IntentColumns::of(requests);
    let pairs = store.lanes_in_use.unknown(columns.pairs());
    let admissions = Columns::of(requests.iter().map(|request| &request.admission)).counted_before(again);
    let max_open: Vec<i64> = requests.iter().map(|request| request.max_open.unwrap_or(i64::MAX)).collect();
    let (keys, limits) = (!pairs.is_empty() || columns.key.iter().any(Option::is_some), admissions.are_limited());
    let (lanes, priorities): (Vec<i64>, Vec<i16>) = pairs.iter().copied().unzip();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = admissions.parameters().to_vec();
    parameters.extend(columns.parameters());
    parameters.extend([&max_open as &(dyn ToSql + Sync), &lanes, &priorities, &columns.traceparent]);
    let began = Instant::now();
    let of_all = if keys || limits || again {
        OfAll::Each
    } else {
        run_all(store, client, Admitting::publish_all, &parameters).await?
    };
    let rows = match of_all {
        OfAll::Done(rows) => Ok(rows),
        _ => run(store, client, |statements| statements.publish(keys, limits), &parameters).await,
    };
    let rows = match rows {
        // The lost first try has stored it.
        Err(error) if again && error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                let before = published_before(client, request).await;
                answers.push(
                    before.and_then(|answer| answer.ok_or_else(|| Error::busy("an id was taken and is not there"))),
                );
            }
            return Ok(answers);
        }
        rows => rows?,
    };
    store.marks.took(began.elapsed());
    store.lanes_in_use.learn(pairs);

    // From here on it has been done: whatever fails now concerns one request, and none is run again.
    wake(store, &columns);
    let (verdicts, outcomes) = read(&rows, requests.len())?;
    let mut answers = Vec::with_capacity(requests.len());
    for (request, verdict) in requests.iter().zip(verdicts) {
        answers.push(match verdict {
            Verdict::LetIn => answer_of(client, request, &outcomes, keys, again).await,
            refused => refused_answer(store, client, request, refused, again).await,
        });
    }
    for (request, answer) in requests.iter().zip(&answers) {
        count_published(store, request, answer);
    }
    Ok(answers)
}

/// Wakes claims that wait: those of this replica, or if they are fewer than the intents, those of others.
fn wake(store: &Store, columns: &IntentColumns<'_>) {
    let mut come: HashMap<Lanes, usize> = HashMap::new();
    for (lanes, delay) in columns.lanes.iter().zip(&columns.delay) {
        if *delay <= 0.0 {
            *come.entry(*lanes).or_default() += 1;
        }
    }
    for (lanes, count) in come {
        let woken = store.waiters.wake(lanes, count);
        if woken < count {
            store.signals.send(lanes, count - woken);
        }
    }
}

/// What was published before under the same idempotency key answers by another id.
fn count_published(store: &Store, request: &Publish, answer: &Result<Vec<Result<IntentId>>>) {
    let Ok(answers) = answer else { return };
    for ((intent, _), answer) in request.intents.iter().zip(answers) {
        if answer.as_ref().is_ok_and(|id| *id == intent.id) {
            let (namespace, goal) = (intent.namespace.as_str(), intent.goal.as_str());
            store.flow.published(namespace, goal);
            changed("published", intent.id, Changed { namespace, goal, attempt: None, worker: None });
        }
    }
}

async fn refused_answer(
    store: &Store,
    client: &Session,
    request: &Publish,
    verdict: Verdict,
    again: bool,
) -> Result<Vec<Result<IntentId>>> {
    // By the lost first try, if that has left what it was to store. Its timestamp may have grown too old since.
    if again && matches!(verdict, Verdict::Replayed | Verdict::Stale) {
        if let Some(answer) = published_before(client, request).await? {
            return Ok(answer);
        }
        if verdict == Verdict::Replayed {
            return Err(Error::busy("what became of a publish is not known"));
        }
    }
    Err(store.refused(request.admission.refusal(verdict, client).await?))
}

/// What became of one intent.
enum Outcome {
    Stored,
    Full,
    Repeated { stands_for: Uuid, named: Option<Uuid> },
}

fn read(rows: &[Row], requests: usize) -> Result<(Vec<Verdict>, HashMap<Uuid, Outcome>)> {
    let (first, rows) = rows.split_first().ok_or_else(|| Error::fault("a publish has brought no verdicts"))?;
    let verdicts = Verdict::read(&first.try_get::<_, Vec<i16>>("verdicts")?, requests)?;
    let mut outcomes = HashMap::with_capacity(rows.len());
    for row in rows {
        let outcome = match row.try_get::<_, i32>("outcome")? {
            0 => Outcome::Stored,
            1 => Outcome::Full,
            _ => Outcome::Repeated { stands_for: row.try_get("request_hash")?, named: row.try_get("intent_id")? },
        };
        outcomes.insert(row.try_get("id")?, outcome);
    }
    Ok((verdicts, outcomes))
}

async fn answer_of(
    client: &Session,
    request: &Publish,
    outcomes: &HashMap<Uuid, Outcome>,
    keys: bool,
    again: bool,
) -> Result<Vec<Result<IntentId>>> {
    let mut answers = Vec::with_capacity(request.intents.len());
    for (intent, idempotency) in &request.intents {
        let answer = match (outcomes.get(&intent.id.0), idempotency) {
            (Some(Outcome::Stored), _) => Ok(intent.id),
            (None, _) if !keys => Ok(intent.id),
            (Some(Outcome::Full), _) => Err(full()),
            (Some(Outcome::Repeated { stands_for, named }), Some(idempotency)) => {
                idempotency.first_answer(*stands_for, *named).and_then(|named| {
                    named.map(IntentId).ok_or_else(|| Error::fault("an idempotency key of a publish names no intent"))
                })
            }
            // The lost first try had stored it.
            (None, _) if again && exists(client, intent.id).await? => Ok(intent.id),
            // The statement has waited for whoever used the key; now his answer can be seen.
            (None, Some(idempotency)) => idempotency.find(client).await?.and_then(|named| {
                named.map(IntentId).ok_or_else(|| Error::fault("an idempotency key of a publish names no intent"))
            }),
            _ => Err(Error::fault(format!("nothing is known of the intent {}", intent.id))),
        };
        answers.push(answer);
    }
    Ok(answers)
}

/// The answer to a request whose nonce the lost first try has used: it has stored what there was room for, or nothing.
async fn published_before(client: &Session, request: &Publish) -> Result<Option<Vec<Result<IntentId>>>> {
    let mut answers = Vec::with_capacity(request.intents.len());
    let mut any = false;
    for (intent, idempotency) in &request.intents {
        let mut answer = if exists(client, intent.id).await? { Ok(intent.id) } else { Err(full()) };
        if answer.is_err()
            && let Some(idempotency) = idempotency
            && let Ok(Ok(Some(named))) = idempotency.find(client).await
        {
            answer = Ok(IntentId(named));
        }
        any |= answer.is_ok();
        answers.push(answer);
    }
    Ok(any.then_some(answers))
}

async fn exists(client: &Session, id: IntentId) -> Result<bool> {
    let statement = client.prepare_cached(statements::EXISTS).await?;
    Ok(client.query_opt(&statement, &[&id.0]).await?.is_some())
}

fn full() -> Error {
    Error::new(ErrorCode::LimitExceeded, "This key has as many unfinished intents as it may. Wait until some are done.")
        .retry_after(5)
}

/// The intents of a flight, column by column.
#[derive(Default)]
struct IntentColumns<'a> {
    request: Vec<i32>,
    id: Vec<Uuid>,
    lanes: Vec<Lanes>,
    own_goal_lane: Vec<i64>,
    own_lane: Vec<i64>,
    public_goal_lane: Vec<Option<i64>>,
    public_lane: Vec<Option<i64>>,
    namespace: Vec<&'a str>,
    goal: Vec<&'a str>,
    priority: Vec<i16>,
    delay: Vec<f64>,
    max_attempts: Vec<i16>,
    backoff_base: Vec<f64>,
    has_retry_policy: Vec<bool>,
    target_worker: Vec<Option<&'a str>>,
    required_capability: Vec<Option<&'a str>>,
    payload: Vec<&'a [u8]>,
    reward: Vec<Option<&'a [u8]>>,
    key: Vec<Option<Uuid>>,
    stands_for: Vec<Option<Uuid>>,
    traceparent: Vec<Option<&'a str>>,
}

impl<'a> IntentColumns<'a> {
    fn of(requests: &[&'a Publish]) -> Self {
        let mut columns = Self::default();
        for (number, request) in (1..).zip(requests) {
            for (intent, idempotency) in &request.intents {
                columns.push(number, intent, idempotency.as_ref());
            }
        }
        columns
    }

    fn push(&mut self, request: i32, intent: &'a NewIntent, idempotency: Option<&Idempotency>) {
        let lanes = intent.lanes();
        self.request.push(request);
        self.id.push(intent.id.0);
        self.lanes.push(lanes);
        self.own_goal_lane.push(lanes.own_goal);
        self.own_lane.push(lanes.own);
        self.public_goal_lane.push(lanes.public_goal);
        self.public_lane.push(lanes.public);
        self.namespace.push(Namespace::as_str(&intent.namespace));
        self.goal.push(intent.goal.as_str());
        self.priority.push(intent.priority);
        self.delay.push(intent.delay);
        self.max_attempts.push(intent.max_attempts);
        self.backoff_base.push(intent.backoff_base);
        self.has_retry_policy.push(intent.has_retry_policy);
        self.target_worker.push(intent.target_worker.as_ref().map(Label::as_str));
        self.required_capability.push(intent.required_capability.as_ref().map(Label::as_str));
        self.payload.push(&intent.payload);
        self.reward.push(intent.reward.as_deref());
        self.key.push(idempotency.map(|idempotency| idempotency.key));
        self.stands_for.push(idempotency.map(|idempotency| idempotency.request));
        self.traceparent.push(intent.traceparent.as_deref());
    }

    /// Lanes and priorities in use.
    fn pairs(&self) -> impl Iterator<Item = (Lanes, i16)> {
        self.lanes.iter().copied().zip(self.priority.iter().copied())
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 19] {
        [
            &self.request,
            &self.id,
            &self.own_goal_lane,
            &self.own_lane,
            &self.public_goal_lane,
            &self.public_lane,
            &self.namespace,
            &self.goal,
            &self.priority,
            &self.delay,
            &self.max_attempts,
            &self.backoff_base,
            &self.has_retry_policy,
            &self.target_worker,
            &self.required_capability,
            &self.payload,
            &self.reward,
            &self.key,
            &self.stands_for,
        ]
    }
}
