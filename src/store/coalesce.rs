//! Requests that arrive together are served together: while some are in Postgres the next ones gather, and go as one statement
//! when a flight is free. An idle replica starts at once, with whatever is there, unless it knows that others are about to ask
//! ([`Coalescer::gather`]). Under load a flight waits for a moment until those
//! are back who were just answered: two small flights cost more than one large one, and what they cost others wait for.
//!
//! What fails for a reason of the database's is tried again one by one, so that no request fails because of a neighbour. What
//! got no answer is looked up and, if need be, done again. docs/decisions/0008-coalescing.md has why.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, join_all};
use opentelemetry::{context::FutureExt, trace::SpanContext};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};
use uuid::Uuid;

use super::{Store, session::Session, transaction::PATIENCE};
use crate::{
    error::{Error, Result},
    telemetry::traces::statements::end_flight,
};

/// Rows that one flight carries at most, but for a single request that brings more.
const FLIGHT_ITEMS: usize = 1000;
/// Bytes likewise.
const FLIGHT_BYTES: usize = 16 << 20;
/// Different turns (tenants, or kinds of claims) in a flight.
const FLIGHT_TURNS: usize = 64;
/// Rows of a kind that may wait. More than a replica serves in a second.
const WAITING_ITEMS: usize = 20_000;
/// Bytes likewise.
const WAITING_BYTES: usize = 64 << 20;

/// Requests of a flight from which on the next one waits until as many rows are there again as came with it and during it.
const LOADED: usize = 4;
/// Rows that are enough for a flight to leave.
const ENOUGH_ITEMS: usize = 64;
/// Longest time for which a flight waits, as many times what the last one took.
const GATHER: u32 = 4;
/// And whatever that took.
const GATHER_AT_MOST: Duration = Duration::from_millis(25);

/// Longest time for which a request waits for its answer: for the flight before, one try of its own, and a second after a lost answer.
const ANSWERED_IN: Duration = Duration::from_secs(20);
/// For a second try. Whoever has let the first one wait so long seldom answers the second.
const PATIENCE_AGAIN: Duration = Duration::from_secs(5);

/// A kind of request that can be served together with others of its kind.
pub(super) trait Coalesced: Sized + Send + Sync + 'static {
    /// Its name in metrics.
    const KIND: &'static str;

    /// The name of its flights in traces.
    const FLIGHT: &'static str;

    /// Whether each of a flight that may have been committed finds out by itself what became of it.
    const EACH_FINDS_OUT: bool;

    /// What each request gets back.
    type Answer: Send + 'static;

    /// Whose turn it is: flights take from each in rotation, so that nobody waits behind somebody else's flood.
    fn turn(&self) -> i64;

    /// Rows that it takes or makes.
    fn items(&self) -> usize;

    /// Bytes that it holds.
    fn bytes(&self) -> usize;

    /// What must not occur twice in a statement: nonces, idempotency keys.
    fn once(&self) -> impl Iterator<Item = Uuid>;

    /// Serves them, each with an answer of its own, in their order. `again`: an earlier try may have been committed.
    fn attempt<'a>(
        store: &'a Store,
        client: &'a Session,
        requests: &'a [&'a Self],
        again: bool,
    ) -> BoxFuture<'a, std::result::Result<Vec<Result<Self::Answer>>, Failure>>;

    /// Undoes what was done for somebody who is not there any more.
    fn unheard(&self, _store: &Store, _answer: Result<Self::Answer>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Why a flight, or a sign of life, brought no answer.
#[derive(Debug)]
pub enum Failure {
    /// The database has refused, and nothing was done by this try.
    Refused(Error),
    /// The connection ended or hung: nobody knows what was done.
    Lost,
    /// There was no connection.
    Away(Error),
}

impl Failure {
    /// For traces.
    const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Lost => "lost",
            Self::Away(_) => "away",
        }
    }

    /// As an error, for what is not tried again.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Refused(error) | Self::Away(error) => error,
            Self::Lost => Error::busy("the answer of the database was lost"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if super::transaction::answer_was_lost(&error) { Self::Lost } else { Self::Refused(error.into()) }
    }
}

/// A request and the way back to whoever waits for its answer.
struct Job<R: Coalesced> {
    request: R,
    /// The span of whoever asks, if it is recorded.
    asked_in: Option<SpanContext>,
    answer: oneshot::Sender<Result<R::Answer>>,
}

/// Where the requests of a kind gather.
pub(super) struct Coalescer<R: Coalesced> {
    queue: Mutex<Queue<R>>,
    /// Enough have gathered for the flight that waits for it.
    enough: Notify,
    runtime: Handle,
}

struct Queue<R: Coalesced> {
    /// Those whose turn comes, in their order. Each has something in `waiting`.
    turns: VecDeque<i64>,
    waiting: HashMap<i64, VecDeque<Job<R>>>,
    items: usize,
    bytes: usize,
    /// A flight is under way, or about to take off. One of a kind at a time: two would both be smaller, and cost more.
    in_flight: bool,
    /// The next flight waits for so many rows.
    enough: usize,
}

impl<R: Coalesced> Coalescer<R> {
    /// An empty one. Its flights run on this runtime, whoever asks.
    pub(super) fn new(runtime: Handle) -> Arc<Self> {
        let queue = Queue {
            turns: VecDeque::new(),
            waiting: HashMap::new(),
            items: 0,
            bytes: 0,
            in_flight: false,
            enough: usize::MAX,
        };
        Arc::new(Self { queue: Mutex::new(queue), enough: Notify::new(), runtime })
    }

    /// Puts a request in and waits for its answer.
    pub(super) async fn ask(self: &Arc<Self>, store: &Store, request: R) -> Result<R::Answer> {
        let (answer, answered) = oneshot::channel();
        let asked_in = store.traces.current();
        let (takes_off, enough) = {
            let mut queue = self.lock();
            let takes_off = queue.push(Job { request, asked_in, answer })?;
            (takes_off, queue.is_enough())
        };
        if enough {
            self.enough.notify_one();
        }
        if takes_off {
            let (queue, store) = (Arc::clone(self), store.clone());
            self.runtime.spawn(async move { queue.fly(&store).await });
        }
        match tokio::time::timeout(ANSWERED_IN, answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Error::busy("a flight has ended without an answer"))),
            // Dropping the way back takes it out of the queue, or has undone what can be undone.
            Err(_) => Err(Error::busy("the database does not answer")),
        }
    }

    /// Holds the next flight until so many rows are there, though not for longer than a flight may gather: for those who are about
    /// to ask, so that they share it. Does nothing while a flight is under way.
    pub(super) fn gather(self: &Arc<Self>, store: &Store, rows: usize) {
        {
            let mut queue = self.lock();
            if queue.in_flight {
                return;
            }
            (queue.in_flight, queue.enough) = (true, rows.min(FLIGHT_ITEMS));
        }
        let (queue, store) = (Arc::clone(self), store.clone());
        self.runtime.spawn(async move {
            let _ = tokio::time::timeout(GATHER_AT_MOST, queue.enough.notified()).await;
            queue.fly(&store).await;
        });
    }

    /// Rows that wait for a flight.
    pub(super) fn waiting(&self) -> usize {
        self.lock().items
    }

    /// Carries what waits until nothing does.
    async fn fly(&self, store: &Store) {
        loop {
            let jobs = self.lock().take();
            if jobs.is_empty() {
                return;
            }
            let began = Instant::now();
            let (requests, rows) = (jobs.len(), jobs.iter().map(|job| job.request.items()).sum());
            // A task of its own: should it panic, those behind it are served all the same.
            let for_flight = store.clone();
            let flight = self.runtime.spawn(async move { settle(&for_flight, jobs, false).await });
            if let Err(error) = flight.await {
                tracing::error!(%error, "a flight has crashed");
            }
            store.flow.flown(R::KIND, requests, began.elapsed());
            if requests >= LOADED && self.lock().gathers(rows) {
                let limit = GATHER_AT_MOST.min(GATHER * began.elapsed());
                let _ = tokio::time::timeout(limit, self.enough.notified()).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Coalesced> Queue<R> {
    /// Whether a flight has to take off for this.
    fn push(&mut self, job: Job<R>) -> Result<bool> {
        let (items, bytes, turn) = (job.request.items(), job.request.bytes(), job.request.turn());
        if self.items + items > WAITING_ITEMS || self.bytes + bytes > WAITING_BYTES {
            return Err(Error::busy("too many requests wait for the database"));
        }
        self.items += items;
        self.bytes += bytes;
        let waiting = self.waiting.entry(turn).or_default();
        if waiting.is_empty() {
            self.turns.push_back(turn);
        }
        waiting.push_back(job);
        Ok(!std::mem::replace(&mut self.in_flight, true))
    }

    /// Whether the flight that waits for more has enough now. Says so once.
    fn is_enough(&mut self) -> bool {
        let enough = self.items >= self.enough;
        if enough {
            self.enough = usize::MAX;
        }
        enough
    }

    /// Whether it is worth while to wait until more are there.
    fn gathers(&mut self, carried: usize) -> bool {
        let enough = (carried + self.items).min(ENOUGH_ITEMS);
        let gathers = self.items < enough;
        self.enough = if gathers { enough } else { usize::MAX };
        gathers
    }

    /// The next flight. Empty: nothing waits, and the last flight has landed.
    fn take(&mut self) -> Vec<Job<R>> {
        self.enough = usize::MAX;
        let mut jobs: Vec<Job<R>> = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        let mut once: HashSet<Uuid> = HashSet::new();
        let mut aboard: HashSet<i64> = HashSet::new();
        // Those who have to wait for the next flight with what they have left.
        let mut later = VecDeque::new();
        while let Some(turn) = self.turns.pop_front() {
            let full = aboard.len() >= FLIGHT_TURNS && !aboard.contains(&turn);
            let Some(job) = self.waiting.get(&turn).and_then(VecDeque::front) else { continue };
            let (more, larger) = (job.request.items(), job.request.bytes());
            let twice = job.request.once().any(|id| once.contains(&id));
            let heavy = items + more > FLIGHT_ITEMS || bytes + larger > FLIGHT_BYTES;
            if full || twice || (heavy && !jobs.is_empty()) {
                later.push_back(turn);
                if heavy {
                    break;
                }
                continue;
            }
            let Some(job) = self.pop(turn) else { continue };
            if job.answer.is_closed() {
                continue;
            }
            once.extend(job.request.once());
            aboard.insert(turn);
            items += more;
            bytes += larger;
            jobs.push(job);
        }
        later.append(&mut self.turns);
        self.turns = later;
        self.in_flight = !jobs.is_empty();
        jobs
    }

    /// The first of a turn; the turn goes to the end if there is more.
    fn pop(&mut self, turn: i64) -> Option<Job<R>> {
        let waiting = self.waiting.get_mut(&turn)?;
        let job = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        self.items -= job.request.items();
        self.bytes -= job.request.bytes();
        Some(job)
    }
}

/// Brings every job its answer. `again`: an earlier try may have been committed.
fn settle<R: Coalesced>(store: &Store, jobs: Vec<Job<R>>, again: bool) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let requests: Vec<&R> = jobs.iter().map(|job| &job.request).collect();
        let asked_in = jobs.iter().filter_map(|job| job.asked_in.as_ref());
        let (outcome, again) = match store.traces.begin_flight(R::FLIGHT, jobs.len(), asked_in) {
            None => attempt_twice(store, &requests, again).await,
            Some(span) => {
                let (outcome, again) = attempt_twice(store, &requests, again).with_context(span.clone()).await;
                end_flight(&span, outcome.as_ref().err().map(Failure::name));
                (outcome, again)
            }
        };
        drop(requests);
        match outcome {
            Ok(answers) => {
                let mut unheard = Vec::new();
                for (job, answer) in jobs.into_iter().zip(answers) {
                    if let Err(answer) = job.answer.send(answer) {
                        unheard.push((job.request, answer));
                    }
                }
                if !unheard.is_empty() {
                    // Beside the next flight, which need not wait for it.
                    let store = store.clone();
                    tokio::spawn(async move {
                        for (request, answer) in unheard {
                            request.unheard(&store, answer).await;
                        }
                    });
                }
            }
            Err(Failure::Refused(_)) if jobs.len() > 1 && (R::EACH_FINDS_OUT || !again) => {
                // Beside the next flight: those behind need not wait until each of these has met its lock or its timeout.
                let store = store.clone();
                tokio::spawn(
                    async move { join_all(jobs.into_iter().map(|job| settle(&store, vec![job], again))).await },
                );
            }
            Err(Failure::Refused(_)) if jobs.len() > 1 => {
                busy(jobs, "an answer of the database was lost, then it refused");
            }
            Err(Failure::Refused(error)) => {
                if let Some(job) = jobs.into_iter().next() {
                    let _ = job.answer.send(Err(error));
                }
            }
            Err(Failure::Lost) => busy(jobs, "the answer of the database was lost twice"),
            Err(Failure::Away(error)) => busy(jobs, &error.internal().unwrap_or_default()),
        }
    })
}

/// One try, and another if the answer to the first is lost. Tells whether any try but the last may have been committed.
async fn attempt_twice<R: Coalesced>(
    store: &Store,
    requests: &[&R],
    again: bool,
) -> (std::result::Result<Vec<Result<R::Answer>>, Failure>, bool) {
    let outcome = attempt(store, requests, again).await;
    if again || !matches!(outcome, Err(Failure::Lost)) {
        return (outcome, again);
    }
    let count = requests.len();
    tracing::warn!(count, "an answer was lost; the requests are looked up and, if need be, done again");
    (attempt(store, requests, true).await, true)
}

fn busy<R: Coalesced>(jobs: Vec<Job<R>>, why: &str) {
    for job in jobs {
        let _ = job.answer.send(Err(Error::busy(why)));
    }
}

/// One try on a connection of the pool, which is given up if it does not answer.
async fn attempt<R: Coalesced>(
    store: &Store,
    requests: &[&R],
    again: bool,
) -> std::result::Result<Vec<Result<R::Answer>>, Failure> {
    let client = store.client().await.map_err(Failure::Away)?;
    let patience = if again { PATIENCE_AGAIN } else { PATIENCE };
    if let Ok(outcome) = tokio::time::timeout(patience, R::attempt(store, &client, requests, again)).await {
        return outcome;
    }
    client.give_up();
    Err(Failure::Lost)
}
