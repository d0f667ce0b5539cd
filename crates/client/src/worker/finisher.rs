//! Sends the ends of claims. One that comes alone leaves at once; those that come while it is under way leave together by one
//! request. So nothing waits for company, and the busier the worker, the fewer requests a job costs.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use intent_bus_protocol::limits::BATCH;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

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

/// Ends claims of one kind: fulfilled, or failed.
pub(super) struct Finisher {
    client: IntentClient,
    policy: RetryPolicy,
    /// Whether the server knows requests about many. Shared by both kinds, and learnt from the first answers.
    batches: Arc<AtomicBool>,
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
    pub(super) fn new(client: IntentClient, patience: Duration, batches: Arc<AtomicBool>) -> Arc<Self> {
        let policy = client.retry.persistent(patience);
        Arc::new(Self { client, policy, batches, queue: Mutex::default() })
    }

    /// Ends a claim, for certain.
    pub(super) async fn finish(self: &Arc<Self>, finish: Finish) -> Result<Done> {
        if !self.batches.load(Ordering::Relaxed) {
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

    /// Sends until nobody waits.
    async fn fly(self: Arc<Self>) {
        while let Some(batch) = self.next() {
            let (finishes, told): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.finish, waiting.told)).unzip();
            let done = self.send(finishes).await;
            for (told, done) in told.into_iter().zip(done) {
                // Nobody listens any more if the worker was dropped.
                let _ = told.send(done);
            }
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

    async fn send(&self, finishes: Vec<Finish>) -> Vec<Result<Done>> {
        if let [finish] = finishes.as_slice() {
            return vec![self.client.finish(finish, &self.policy).await];
        }
        let mut unsure = false;
        if self.batches.load(Ordering::Relaxed) {
            match self.client.finish_many(&finishes, &self.policy).await {
                Ok(Together::Judged(judged)) => return judged,
                Ok(Together::Unknown) => self.batches.store(false, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(%error, "finishing many by one request failed");
                    unsure = !error.is_undone();
                }
            }
        }
        self.one_by_one(finishes, unsure).await
    }

    /// All at the same time, each by a request of its own. `unsure`: they may have been done, so each finds out by itself.
    async fn one_by_one(&self, finishes: Vec<Finish>, unsure: bool) -> Vec<Result<Done>> {
        let sent = finishes.into_iter().map(|finish| {
            let (client, policy) = (self.client.clone(), self.policy.clone());
            tokio::spawn(async move {
                let unsure = unsure.then(|| Error::protocol("the answer to many finishes was lost"));
                client.finish_after(&finish, &policy, unsure).await
            })
        });
        let mut done = Vec::new();
        for task in sent.collect::<Vec<_>>() {
            done.push(task.await.unwrap_or_else(|error| Err(Error::protocol(error.to_string()))));
        }
        done
    }
}

fn size(finish: &Finish) -> usize {
    SMALLEST
        + match &finish.end {
            End::Fulfilled { result, .. } => result.as_deref().map_or(0, |result: &RawValue| result.get().len()),
            End::Failed { error } => error.len(),
        }
}
