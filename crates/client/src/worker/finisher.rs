//! Sends the ends of claims. One that comes alone leaves at once; those that come while it is under way leave together by one
//! request. So nothing waits for company, and the busier the worker, the fewer requests a job costs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use intent_bus_protocol::limits::BATCH;
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    client::IntentClient,
    error::{Error, Result},
    finish::{Done, End, Finish, Together},
    retry::RetryPolicy,
};

/// The most that goes into one request, in bytes: half of what the bus takes.
const LARGEST_BATCH: usize = 4 << 20;
/// What an end without a result takes up, about.
const SMALLEST: usize = 160;

/// Nobody waits for longer behind others whose end does not get through.
const WAITS: Duration = Duration::from_secs(1);

/// Whether the server knows requests about many. Shared by all of a worker, and learnt from its answers.
#[derive(Default)]
pub(super) struct Batches(OnceLock<bool>);

impl Batches {
    /// The first answer counts: later ones may come from something in between.
    pub(super) fn learn(&self, known: bool) {
        let _ = self.0.set(known);
    }

    fn may_be_sent(&self) -> bool {
        self.0.get() != Some(&false)
    }

    fn are_known(&self) -> bool {
        self.0.get() == Some(&true)
    }
}

/// Ends claims of one kind: fulfilled, or failed.
pub(super) struct Finisher {
    client: IntentClient,
    policy: RetryPolicy,
    batches: Arc<Batches>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    under_way: bool,
}

struct Waiting {
    finish: Finish,
    told: oneshot::Sender<Result<Done>>,
}

impl Finisher {
    pub(super) fn new(client: IntentClient, patience: Duration, batches: Arc<Batches>) -> Arc<Self> {
        let policy = client.retry.persistent(patience);
        Arc::new(Self { client, policy, batches, queue: Mutex::default() })
    }

    /// Ends a claim, for certain.
    pub(super) async fn finish(self: &Arc<Self>, finish: Finish) -> Result<Done> {
        if !self.batches.may_be_sent() {
            return self.client.finish(&finish, &self.policy).await;
        }
        let (told, answer) = oneshot::channel();
        if self.enqueue(Waiting { finish, told }) {
            // In a task of its own: the job that happens to be first may be dropped, and others wait.
            tokio::spawn(Arc::clone(self).fly());
        }
        answer.await.unwrap_or_else(|_| Err(Error::config("The worker was stopped.")))
    }

    /// Whether somebody has to send now.
    fn enqueue(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back(waiting);
        !std::mem::replace(&mut queue.under_way, true)
    }

    /// Sends until nobody waits. What takes long goes on by itself.
    async fn fly(self: Arc<Self>) {
        while let Some(batch) = self.next() {
            let sent = tokio::spawn(Arc::clone(&self).send(batch));
            let _ = timeout(WAITS, sent).await;
        }
    }

    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut count, mut bytes) = (0, 0);
        for waiting in queue.waiting.iter().take(usize::try_from(*BATCH.end()).unwrap_or(1)) {
            bytes += size(&waiting.finish);
            if count > 0 && bytes > LARGEST_BATCH {
                break;
            }
            count += 1;
        }
        queue.under_way = count > 0;
        (count > 0).then(|| queue.waiting.drain(..count).collect())
    }

    async fn send(self: Arc<Self>, batch: Vec<Waiting>) {
        let (finishes, told): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.finish, waiting.told)).unzip();
        let mut unsure = false;
        if finishes.len() > 1 && self.batches.may_be_sent() {
            match self.client.finish_many(&finishes, self.batches.are_known(), &self.policy).await {
                Ok(Together::Judged(judged)) => {
                    self.batches.learn(true);
                    for (told, done) in told.into_iter().zip(judged) {
                        // Nobody listens any more if the worker was dropped.
                        let _ = told.send(done);
                    }
                    return;
                }
                Ok(Together::Unjudged { error, unsure: perhaps }) => {
                    if matches!(error.status(), Some(404 | 405)) {
                        self.batches.learn(false);
                    } else {
                        tracing::warn!(%error, "finishing many by one request failed");
                    }
                    unsure = perhaps;
                }
                Err(error) => tracing::warn!(%error, "many finishes cannot be one request"),
            }
        }
        let alone = finishes.into_iter().zip(told).map(|(finish, told)| {
            let (client, policy) = (self.client.clone(), self.policy.clone());
            tokio::spawn(async move {
                // They may have been done, so each finds out by itself.
                let unsure = unsure.then(|| Error::protocol("the answer to many finishes was lost"));
                let _ = told.send(client.finish_after(&finish, &policy, unsure).await);
            })
        });
        // All at the same time.
        for sent in alone.collect::<Vec<_>>() {
            let _ = sent.await;
        }
    }
}

fn size(finish: &Finish) -> usize {
    SMALLEST
        + match &finish.end {
            End::Fulfilled { result, .. } => result.as_deref().map_or(0, |result: &RawValue| result.get().len()),
            End::Failed { error } => error.len(),
        }
}
