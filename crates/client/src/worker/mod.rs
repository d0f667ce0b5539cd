//! The worker: claims intents, runs handlers for them, and tells the bus what came of it.

mod fate;
mod finisher;
mod handler;
mod idle;
mod job;
mod outage;
mod poll;
mod quota;
mod signals;
mod stage;
pub(crate) mod trace;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use self::{
    fate::Hook,
    finisher::{Batches, Finisher},
    handler::{Handle, Handler},
    idle::Idle,
    outage::Outage,
    quota::{Quota, UNLIMITED},
    stage::{Stage, advance, follow_signals},
};
pub use self::{
    fate::{Ended, Fate},
    handler::{BoxError, IntoOutcome, Job, Outcome},
};
use crate::{
    client::IntentClient,
    error::{Error, Result},
    finish::End,
};

/// How long the bus may stay away before what a handler did is given up: twice the usual lease, since nobody else can have the
/// intent for the first half of it, and hardly anybody in the second.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nobody stays away for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Runs handlers for intents, several at a time.
///
/// - An answer of `Ok` fulfils the intent with what it holds, an `Err`, a panic or [`Outcome::Reject`] fails the attempt, and so
///   does a handler that takes longer than it may.
/// - The lease is extended for as long as the handler runs. If it is lost all the same (the bus was away for too long, and
///   somebody else has the intent), the handler is dropped at its next `.await`.
/// - SIGTERM and SIGINT end it gracefully: nothing more is claimed, handlers run to their end, and their ends are told. A second
///   one, or [`Worker::drain_timeout`], drops the handlers and fails their attempts, so that others can try at once.
/// - While the bus is away it asks with growing pauses, and what is finished meanwhile is told when it is back.
///
/// Delivery is at least once: make handlers idempotent. [`Job::id`] is the same at each attempt.
///
/// ```no_run
/// # async fn example() -> intent_bus_client::Result<()> {
/// use intent_bus_client::{IntentClient, Job, Worker};
///
/// async fn double(job: Job<u64>) -> Result<u64, &'static str> {
///     job.payload.checked_mul(2).ok_or("too large")
/// }
///
/// Worker::new(IntentClient::from_env()?).goal("double", double).run().await
/// # }
/// ```
///
/// With all that can be set besides:
///
/// ```no_run
/// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
/// use std::time::Duration;
///
/// worker
///     .namespace("images")
///     .worker_id("pi-3")
///     .capabilities(["gpu"])
///     .own_only() // or .publisher(key)
///     .concurrency(8)
///     .handler_timeout(Duration::from_secs(600))
///     .cancel_grace(Duration::from_secs(5))
///     .drain_timeout(Duration::from_secs(840))
///     .poll_wait(Duration::from_secs(30))
///     .poll_interval(Duration::from_secs(2))
///     .run()
///     .await
/// # }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    client: IntentClient,
    goals: Vec<(String, Arc<dyn Handle>)>,
    namespace: Option<String>,
    id: Option<String>,
    capabilities: Vec<String>,
    publisher: Option<String>,
    own_only: bool,
    until_empty: bool,
    at_most: usize,
    concurrency: usize,
    handler_timeout: Option<Duration>,
    cancel_grace: Duration,
    on_end: Option<Hook>,
    drain_timeout: Option<Duration>,
    poll_wait: Duration,
    poll_interval: Duration,
}

/// What all goals and jobs of a worker have in common.
struct Shared {
    client: IntentClient,
    concurrency: usize,
    goals: usize,
    slots: Arc<Semaphore>,
    fulfilled: Arc<Finisher>,
    failed: Arc<Finisher>,
    batches: Arc<Batches>,
    quota: Quota,
    idle: Idle,
    longest_lease: LongestLease,
    outage: Outage,
    handler_timeout: Option<Duration>,
    cancel_grace: Duration,
    on_end: Option<Hook>,
    poll_wait: Duration,
    poll_interval: Duration,
    /// Whether a claim that finds nothing is the last, once no job runs.
    until_empty: bool,
    stage: watch::Receiver<Stage>,
}

/// The longest lease that this worker was given: the length of leases on this bus, as far as it can be seen.
#[derive(Default)]
struct LongestLease(AtomicU64);

impl LongestLease {
    fn seen(&self, lease: Duration) -> Duration {
        let seconds = lease.as_secs();
        lease.max(Duration::from_secs(self.0.fetch_max(seconds, Ordering::Relaxed)))
    }
}

impl Shared {
    fn finisher(&self, end: &End) -> &Arc<Finisher> {
        match end {
            End::Fulfilled { .. } => &self.fulfilled,
            End::Failed { .. } => &self.failed,
        }
    }

    /// Waits until the worker has come to this stage.
    async fn reached(&self, wanted: Stage) {
        // Without a sender the worker is gone, and this with it.
        if self.stage.clone().wait_for(|stage| *stage >= wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Worker {
    /// A worker with one slot and no goal yet.
    pub fn new(client: IntentClient) -> Self {
        Self {
            client,
            goals: Vec::new(),
            namespace: None,
            id: None,
            capabilities: Vec::new(),
            publisher: None,
            own_only: false,
            until_empty: false,
            at_most: UNLIMITED,
            concurrency: 1,
            handler_timeout: None,
            cancel_grace: Duration::ZERO,
            on_end: None,
            drain_timeout: None,
            poll_wait: Duration::from_secs(20),
            poll_interval: Duration::from_secs(1),
        }
    }

    /// Runs this handler for each intent with this goal. Several goals share the slots; give as many slots as goals at least, or
    /// they take turns.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use intent_bus_client::{Job, Outcome, RawValue, Worker};
    ///
    /// let upper = |job: Job<String>| async move { Ok::<_, &'static str>(job.payload.to_uppercase()) };
    /// // The payload byte for byte, and back.
    /// let echo = |job: Job<Box<RawValue>>| async move { Ok::<_, &'static str>(Outcome::Json(job.payload)) };
    /// Worker::new(bus).goal("upper", upper).goal("echo", echo).concurrency(8).run().await
    /// # }
    /// ```
    pub fn goal<F, T, R, O, E>(mut self, goal: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Job<T>) -> R + Send + Sync + 'static,
        T: DeserializeOwned + 'static,
        R: Future<Output = std::result::Result<O, E>> + Send + 'static,
        O: IntoOutcome + 'static,
        E: Into<BoxError> + 'static,
    {
        self.goals.push((goal.into(), Arc::new(Handler::new(handler))));
        self
    }

    /// The namespace. That of the client unless set, and else `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Who this worker is, for intents that are meant for it, and for operators. The name of the host unless set, if there is one.
    pub fn worker_id(mut self, worker: impl Into<String>) -> Self {
        self.id = Some(worker.into());
        self
    }

    /// What this worker can do, for intents that require it.
    pub fn capabilities<S: Into<String>>(mut self, capabilities: impl IntoIterator<Item = S>) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Only what the tenant of this key has published: see [`Claim::publisher`](crate::Claim::publisher).
    ///
    /// ```no_run
    /// # async fn example(worker: intent_bus_client::Worker, tenant: &str) -> intent_bus_client::Result<()> {
    /// worker.publisher(tenant).run().await
    /// # }
    /// ```
    pub fn publisher(mut self, key: impl Into<String>) -> Self {
        self.publisher = Some(key.into());
        self
    }

    /// Only what the tenant of the client's own key has published: see [`Claim::own`](crate::Claim::own).
    pub fn own_only(mut self) -> Self {
        self.own_only = true;
        self
    }

    /// Ends when nothing is left: no handler runs, and a claim of each goal finds nothing. What waits for its delay or its backoff
    /// is left to others.
    ///
    /// ```no_run
    /// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
    /// worker.until_empty().run().await
    /// # }
    /// ```
    pub fn until_empty(mut self) -> Self {
        self.until_empty = true;
        self
    }

    /// Ends when it has claimed so many intents, 1 at least, and they are worked off.
    ///
    /// ```no_run
    /// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
    /// worker.at_most(1).run().await
    /// # }
    /// ```
    pub fn at_most(mut self, intents: usize) -> Self {
        self.at_most = intents.clamp(1, UNLIMITED);
        self
    }

    /// Calls this with what became of each claim, once for each, when it is known. It runs in the worker's tasks: it must not
    /// block.
    ///
    /// ```no_run
    /// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
    /// worker.on_end(|ended| println!("{}: {:?}", ended.claimed().id(), ended.fate())).run().await
    /// # }
    /// ```
    pub fn on_end(mut self, hook: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Arc::new(hook));
        self
    }

    /// How many handlers run at the same time: 1 unless set, and at least. As many are claimed by one request as there are free
    /// slots.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long a handler may take. Then it is cancelled, and the attempt has failed. As long as it likes unless set.
    pub fn handler_timeout(mut self, limit: Duration) -> Self {
        self.handler_timeout = Some(limit);
        self
    }

    /// How long a handler that is cancelled may go on before it is dropped: see [`Job::cancelled`]. Until then it keeps its slot,
    /// and its lease is extended where it can be. Not at all unless set: it is dropped at its next `.await`.
    pub fn cancel_grace(mut self, limit: Duration) -> Self {
        self.cancel_grace = limit;
        self
    }

    /// How long handlers may go on after the worker was told to stop. As long as they like unless set.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.drain_timeout = Some(limit);
        self
    }

    /// How long the bus is asked to wait for an intent, 0 to 60 s: 20 s unless set. Proxies in between must be willing to wait.
    pub fn poll_wait(mut self, wait: Duration) -> Self {
        self.poll_wait = Duration::from_secs(wait.as_secs().min(60));
        self
    }

    /// The pause before asking again where the server neither waits nor says when to come back: 1 s unless set, and an hour at most.
    pub fn poll_interval(mut self, pause: Duration) -> Self {
        self.poll_interval = pause.min(LONGEST_PAUSE);
        self
    }

    /// Works until SIGTERM or SIGINT, then drains; a second one cancels the handlers.
    ///
    /// # Errors
    /// When the bus will never take its claims ([`Error::Auth`], [`Error::Refused`]), or the worker has no goal. Handlers that
    /// run then run to their end first.
    pub async fn run(self) -> Result<()> {
        let stage = watch::Sender::new(Stage::Run);
        let told = async {
            if let Err(error) = follow_signals(&stage).await {
                tracing::error!(%error, "signals cannot be listened to");
            }
        };
        // On the heap: the caller's own future stays small.
        Box::pin(self.run_with(&stage, told)).await
    }

    /// Works until this ends, then drains. Signals are left to the program.
    ///
    /// # Errors
    /// As [`Self::run`].
    ///
    /// ```no_run
    /// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
    /// worker.run_until(tokio::time::sleep(std::time::Duration::from_secs(3600))).await
    /// # }
    /// ```
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let stage = watch::Sender::new(Stage::Run);
        let told = async {
            stop.await;
            advance(&stage, Stage::Drain);
        };
        Box::pin(self.run_with(&stage, told)).await
    }

    /// Works until all pollers have ended: by themselves, or since the stage that `told` sets says so.
    async fn run_with(self, stage: &watch::Sender<Stage>, told: impl Future<Output = ()>) -> Result<()> {
        let drain_timeout = self.drain_timeout;
        let mut pollers = self.start(stage.subscribe())?;
        let ended = async {
            let mut outcome = Ok(());
            while let Some(ended) = pollers.join_next().await {
                outcome = outcome.and(flat(ended));
                if outcome.is_err() {
                    advance(stage, Stage::Drain);
                }
            }
            outcome
        };
        let too_long = async {
            let _ = stage.subscribe().wait_for(|stage| *stage >= Stage::Drain).await;
            passed(drain_timeout).await;
            advance(stage, Stage::Stop);
        };
        let watched = async { tokio::join!(told, too_long, std::future::pending::<()>()) };
        tokio::select! {
            outcome = ended => outcome,
            _ = watched => Ok(()),
        }
    }

    fn start(self, stage: watch::Receiver<Stage>) -> Result<JoinSet<Result<()>>> {
        if self.goals.is_empty() {
            return Err(Error::config("The worker has no goal."));
        }
        let batches = Arc::new(Batches::default());
        let finisher = || Finisher::new(self.client.clone(), PATIENCE, Arc::clone(&batches));
        let shared = Arc::new(Shared {
            concurrency: self.concurrency,
            goals: self.goals.len(),
            slots: Arc::new(Semaphore::new(self.concurrency)),
            fulfilled: finisher(),
            failed: finisher(),
            quota: Quota::new(self.at_most),
            idle: Idle::new(self.goals.len()),
            longest_lease: LongestLease::default(),
            outage: Outage::default(),
            handler_timeout: self.handler_timeout,
            cancel_grace: self.cancel_grace,
            on_end: self.on_end,
            poll_wait: self.poll_wait,
            poll_interval: self.poll_interval,
            until_empty: self.until_empty,
            stage,
            batches,
            client: self.client.clone(),
        });
        let mut pollers = JoinSet::new();
        for (place, (goal, handler)) in self.goals.into_iter().enumerate() {
            let mut claim = self.client.claim(goal).capabilities(self.capabilities.clone());
            if let Some(namespace) = &self.namespace {
                claim = claim.namespace(namespace);
            }
            if let Some(worker) = self.id.clone().or_else(host_name) {
                claim = claim.worker_id(worker);
            }
            if let Some(key) = &self.publisher {
                claim = claim.publisher(key);
            }
            if self.own_only {
                claim = claim.own();
            }
            pollers.spawn(poll::run(Arc::clone(&shared), place, claim, handler));
        }
        Ok(pollers)
    }
}

fn flat(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| Err(Error::config(format!("A part of the worker has broken: {error}"))))
}

/// Waits until this time is over, if there is a limit.
async fn passed(limit: Option<Duration>) -> Duration {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    tokio::time::sleep(limit).await;
    limit
}

/// The name of this machine, as far as it can be a worker's.
fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_str().ok().map(ToOwned::to_owned);
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.filter(|name| intent_bus_protocol::names::is_label(name))
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("client", &self.client)
            .field("goals", &self.goals.iter().map(|(goal, _)| goal).collect::<Vec<_>>())
            .field("namespace", &self.namespace)
            .field("id", &self.id)
            .field("capabilities", &self.capabilities)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
