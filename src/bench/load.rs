//! The run under load: publishers and workers, what holds them together, and the part of it that is measured.

use std::{
    cell::Cell,
    future::{Future, pending},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use super::{
    Plan,
    progress::Progress,
    publisher::{self, Schedule},
    stats::{Stats, cpu_time},
    worker,
};
use crate::error::{Error, Result};

/// More than any run uses up, and far below what a semaphore can hold.
const NO_LIMIT: usize = Semaphore::MAX_PERMITS / 2;
/// Without a single cycle for so long, a run of `--intents` will not end by itself. Longer than a lease and a backoff.
const STALLED: Duration = Duration::from_secs(120);
/// The same for what is left over when a run of `--seconds` is over. What is not fulfilled by then stays.
const STALLED_AFTER: Duration = Duration::from_secs(3);

/// What publishers and workers share.
pub(super) struct Load {
    pub(super) stats: Rc<Stats>,
    /// Intents that are still to be published.
    to_publish: Cell<u64>,
    /// How much further publishing may get ahead of fulfilling.
    window: Semaphore,
    /// How many intents may still be claimed. Keeps a run at its number of cycles, and a backlog at its size.
    tickets: Semaphore,
    publishing_adds_tickets: bool,
    published: Cell<u64>,
    fulfilled: Cell<u64>,
    /// The run is over at so many.
    goal: Cell<u64>,
    over: Notify,
    pub(super) stop: Notify,
    pub(super) stopped: Cell<bool>,
}

impl Load {
    /// For so many cycles, or without an end.
    fn new(plan: &Plan, stats: &Rc<Stats>, cycles: Option<u64>) -> Self {
        let count = |number: u64| usize::try_from(number).unwrap_or(NO_LIMIT).min(NO_LIMIT);
        let window = if plan.rate.is_some() { NO_LIMIT } else { count(plan.window) };
        let tickets = if plan.backlog > 0 { 0 } else { cycles.map_or(NO_LIMIT, count) };
        Self {
            stats: Rc::clone(stats),
            to_publish: Cell::new(cycles.unwrap_or(u64::MAX)),
            window: Semaphore::new(window),
            tickets: Semaphore::new(tickets),
            publishing_adds_tickets: plan.backlog > 0,
            published: Cell::new(0),
            fulfilled: Cell::new(0),
            goal: Cell::new(cycles.unwrap_or(u64::MAX)),
            over: Notify::new(),
            stop: Notify::new(),
            stopped: Cell::new(false),
        }
    }

    /// Waits until so many may be published, or the last few, and takes them. `None` when there is no more to publish.
    pub(super) async fn reserve(&self, batch: u32) -> Option<u32> {
        let count = u32::try_from(self.to_publish.get()).unwrap_or(batch).min(batch);
        if count == 0 {
            return None;
        }
        self.to_publish.set(self.to_publish.get() - u64::from(count));
        self.window.acquire_many(count).await.ok()?.forget();
        Some(count)
    }

    /// So many of those reserved were published, and the others were not.
    pub(super) fn published(&self, reserved: u32, done: u32) {
        let not = reserved.saturating_sub(done);
        self.to_publish.set(self.to_publish.get().saturating_add(u64::from(not)));
        self.window.add_permits(not as usize);
        self.published.set(self.published.get() + u64::from(done));
        if self.publishing_adds_tickets {
            self.tickets.add_permits(done as usize);
        }
    }

    /// Waits until there is something to claim by the rules of the run, and says how much, up to a batch.
    pub(super) async fn tickets(&self, batch: u32) -> u32 {
        let Ok(one) = self.tickets.acquire().await else { return pending().await };
        one.forget();
        let more = usize::min(self.tickets.available_permits(), batch as usize - 1);
        let more = u32::try_from(more).unwrap_or(0);
        match self.tickets.try_acquire_many(more) {
            Ok(taken) => taken.forget(),
            Err(_) => return 1,
        }
        1 + more
    }

    /// So many tickets led to nothing.
    pub(super) fn give_back(&self, tickets: u32) {
        self.tickets.add_permits(tickets as usize);
    }

    /// So many intents were fulfilled.
    pub(super) fn fulfilled(&self, count: u32) {
        self.window.add_permits(count as usize);
        self.stats.completed(count);
        self.fulfilled.set(self.fulfilled.get() + u64::from(count));
        self.tell_if_over();
    }

    fn tell_if_over(&self) {
        if self.fulfilled.get() >= self.goal.get() {
            self.over.notify_one();
        }
    }

    /// Ends with an error when nothing has been fulfilled for so long.
    async fn stall(&self, patience: Duration) {
        loop {
            let before = self.fulfilled.get();
            sleep(patience).await;
            if self.fulfilled.get() == before {
                return;
            }
        }
    }
}

/// What was measured, apart from the books.
pub(super) struct Measured {
    pub(super) took: Duration,
    /// What the generator itself has used of the processors.
    pub(super) cpu: Duration,
    /// Cycles per second in each part of `--series`.
    pub(super) series: Vec<f64>,
}

/// A run: its tasks end when this goes.
struct Running {
    load: Rc<Load>,
    publishers: JoinSet<Result<()>>,
    workers: JoinSet<Result<()>>,
}

/// The whole run: warm-up, measured part, and what is left over.
pub(super) async fn run(plan: &Plan, stats: &Rc<Stats>) -> Result<Measured> {
    if let Some(cycles) = plan.intents {
        if !plan.warmup.is_zero() {
            let mut warmup = Running::start(plan, stats, None).await?;
            warmup.go_on(sleep(plan.warmup)).await?;
            warmup.finish().await?;
        }
        let mut running = Running::start(plan, stats, Some(cycles)).await?;
        return measure(plan, &mut running, None).await;
    }
    let mut running = Running::start(plan, stats, None).await?;
    running.go_on(sleep(plan.warmup)).await?;
    let measured = measure(plan, &mut running, Some(plan.seconds)).await?;
    running.finish().await?;
    Ok(measured)
}

async fn measure(plan: &Plan, running: &mut Running, time: Option<Duration>) -> Result<Measured> {
    let load = Rc::clone(&running.load);
    let (began, cpu) = (Instant::now(), cpu_time());
    load.stats.measure(true);
    let mut series = Vec::new();
    {
        let end = async {
            tokio::select! {
                () = async { if let Some(time) = time { sleep_until(began + time).await } else { pending().await } } => Ok(()),
                () = load.over.notified() => Ok(()),
                () = load.stall(STALLED), if time.is_none() => Err(Error::invalid("No intent was fulfilled in two minutes.")),
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        };
        let watched = watch(plan, &load.stats, began, &mut series);
        running
            .go_on(async {
                tokio::select! { ended = end => ended, () = watched => Ok(()) }
            })
            .await??;
    }
    load.stats.measure(false);
    Ok(Measured { took: began.elapsed(), cpu: cpu_time().saturating_sub(cpu), series })
}

/// Notes the series and shows the progress, for ever.
async fn watch(plan: &Plan, stats: &Stats, began: Instant, series: &mut Vec<f64>) {
    let progress = Progress::new(plan);
    let mut tick = interval(plan.series.map_or(Progress::EVERY, |every| every.min(Progress::EVERY)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut since, mut before) = (began, 0);
    loop {
        tick.tick().await;
        let (now, cycles) = (Instant::now(), stats.cycles());
        progress.show(began.elapsed(), cycles);
        if plan.series.is_some_and(|every| now - since >= every) {
            let rate = rate(cycles - before, now - since);
            series.push(rate);
            progress.part(began.elapsed(), rate);
            (since, before) = (now, cycles);
        }
    }
}

/// So many in such a time, per second.
#[allow(clippy::cast_precision_loss, reason = "no run has 2⁵³ cycles")]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

impl Running {
    async fn start(plan: &Plan, stats: &Rc<Stats>, cycles: Option<u64>) -> Result<Self> {
        let load = Rc::new(Load::new(plan, stats, cycles));
        // All connections first: they are no part of what is measured.
        let mut clients = Vec::new();
        for index in 0..plan.publishers + plan.workers {
            clients.push(plan.client(index, stats).await?);
        }
        let (mut publishers, mut workers) = (JoinSet::new(), JoinSet::new());
        let began = Instant::now();
        for (index, client) in clients.into_iter().enumerate() {
            if index < plan.publishers {
                let schedule = plan.rate.map(|rate| Schedule::new(plan, rate, index, began));
                publishers.spawn_local(publisher::publish(Rc::clone(&load), client, plan.messages.clone(), schedule));
            } else {
                workers.spawn_local(worker::work(Rc::clone(&load), client, plan.messages.clone()));
            }
        }
        Ok(Self { load, publishers, workers })
    }

    /// Lets it run until then.
    ///
    /// # Errors
    /// When a publisher or a worker cannot go on.
    async fn go_on<T>(&mut self, until: impl Future<Output = T>) -> Result<T> {
        let mut until = pin!(until);
        loop {
            let ended = tokio::select! {
                biased;
                done = &mut until => return Ok(done),
                Some(ended) = self.publishers.join_next() => ended,
                Some(ended) = self.workers.join_next() => ended,
            };
            ended.map_err(|error| Error::fault(error.to_string()))??;
        }
    }

    /// Publishes no more, and lets the workers finish what there is.
    async fn finish(mut self) -> Result<()> {
        let load = Rc::clone(&self.load);
        load.stopped.set(true);
        load.stop.notify_waiters();
        load.window.close();
        let publishers = async { while self.publishers.join_next().await.is_some() {} };
        let _ = timeout(STALLED_AFTER, publishers).await;
        load.goal.set(load.published.get());
        load.tell_if_over();
        self.go_on(async {
            tokio::select! { () = load.over.notified() => {}, () = load.stall(STALLED_AFTER) => {} }
        })
        .await
    }
}
