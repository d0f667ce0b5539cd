//! One job: its handler runs under the lease, which is extended for as long as it takes; what comes of it ends the claim.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::Instrument;

use super::{
    Shared, Stage,
    fate::{Ended, Fate},
    handler::{Context, Handle},
    passed,
    trace::{self, Trace},
};
use crate::{
    claim::Claimed,
    client::IntentClient,
    error::Error,
    finish::{Done, End, Finish},
    status::IntentState,
};

/// After an extension that failed, the next one comes after this part of the lease.
const AGAIN: u32 = 8;
/// No lease is taken to be longer.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);
/// How long a worker that makes haste tries to tell what it has.
const HASTE: Duration = Duration::from_secs(5);

/// Why a handler has to end.
enum Over {
    LeaseLost,
    TimedOut(Duration),
    Stopped,
}

/// Runs a claimed intent to its end, in tasks of this set. The slot is free again as soon as the handler has ended.
pub(super) fn start(
    jobs: &mut JoinSet<()>,
    shared: Arc<Shared>,
    handler: Arc<dyn Handle>,
    claimed: Claimed,
    slot: OwnedSemaphorePermit,
) {
    let claimed = Arc::new(claimed);
    let trace = claimed.traceparent().and_then(Trace::below);
    let span = span(&claimed, trace.as_ref());
    let traceparent = trace.map(|trace| trace.traceparent());
    // A task of its own, which is begun before the job's: a handler that keeps its thread does not keep this from running on
    // another one. It ends with this set.
    let mut lease = JoinSet::new();
    let running = shared.idle.start();
    let length = shared.longest_lease.seen(claimed.lease()).min(LONGEST_LEASE);
    let held = hold(shared.client.clone(), Arc::clone(&claimed), length, traceparent.clone());
    lease.spawn(held.instrument(span.clone()));
    let run = async move {
        let end = work(&shared, handler, &claimed, traceparent.clone(), &mut lease).await;
        drop(slot);
        let fate = match end {
            None => Fate::LeaseLost,
            Some(end) => tokio::select! {
                fate = finish(&shared, &claimed, traceparent, end) => fate,
                () = out_of_time(&shared) => Fate::Untold(Error::TimedOut(HASTE)),
            },
        };
        tell(&fate);
        if let Some(hook) = &shared.on_end {
            hook(&Ended { claimed, fate });
        }
        drop(running);
    };
    jobs.spawn(run.instrument(span));
}

/// Lets the handler work. Gives what it comes to, or `None` if the lease is lost. A handler that has to end is told, and waited
/// for a while.
async fn work(
    shared: &Shared,
    handler: Arc<dyn Handle>,
    claimed: &Arc<Claimed>,
    traceparent: Option<String>,
    lease: &mut JoinSet<()>,
) -> Option<End> {
    let (cancel, cancelled) = watch::channel(false);
    let work = {
        let (claimed, client, traceparent) = (Arc::clone(claimed), shared.client.clone(), traceparent.clone());
        // Called within the future, so that a panic in here is one of the handler, too.
        async move { handler.handle(Context { claimed, client, traceparent, cancelled }).await }
    };
    let mut worked = std::pin::pin!(trace::within(traceparent, caught(work)));
    let over = tokio::select! {
        end = &mut worked => return Some(end),
        _ = lease.join_next() => Over::LeaseLost,
        limit = passed(shared.handler_timeout) => Over::TimedOut(limit),
        () = shared.reached(Stage::Stop) => Over::Stopped,
    };
    cancel.send_replace(true);
    let late = timeout(shared.cancel_grace, worked).await.ok();
    let reason = match over {
        Over::LeaseLost => return None,
        Over::TimedOut(limit) => format!("The handler did not end within {} s.", limit.as_secs_f64()),
        Over::Stopped => "The worker was stopped before its handler had ended.".to_owned(),
    };
    Some(late.unwrap_or_else(|| End::failed(&reason)))
}

/// Tells the end. A result that the bus does not take (too large, too deep) is a failure: kept back, it would only come about
/// again, when the lease is over, and nobody would know why.
async fn finish(shared: &Shared, claimed: &Claimed, traceparent: Option<String>, end: End) -> Fate {
    let mut finish = Finish { traceparent, ..Finish::new(claimed, end) };
    loop {
        let failure = match &finish.end {
            End::Failed { error } => Some(error.clone()),
            End::Fulfilled { .. } => None,
        };
        let traceparent = finish.traceparent.clone();
        match shared.finisher(&finish.end).finish(finish).await {
            Err(Error::Refused(refusal)) if failure.is_none() => {
                tracing::error!(%refusal, "the result was refused");
                let end = End::failed(&format!("The bus does not take the result: {refusal}"));
                finish = Finish { traceparent, ..Finish::new(claimed, end) };
            }
            Ok(Done::Fulfilled) => return Fate::Fulfilled,
            Ok(Done::Failed(becomes)) => return Fate::Failed { becomes, reason: failure.unwrap_or_default() },
            Err(Error::LeaseLost { .. }) => return Fate::LeaseLost,
            Err(error) => return Fate::Untold(error),
        }
    }
}

/// A worker that is told to make haste does not wait for a bus that is away.
async fn out_of_time(shared: &Shared) {
    shared.reached(Stage::Stop).await;
    sleep(HASTE).await;
}

fn span(claimed: &Claimed, trace: Option<&Trace>) -> tracing::Span {
    tracing::info_span!(
        "process",
        otel.name = format_args!("process {}", claimed.goal()),
        otel.kind = "consumer",
        messaging.system = "intent_bus",
        messaging.operation.type = "process",
        messaging.destination.name = claimed.goal(),
        messaging.message.id = claimed.id(),
        intent_bus.namespace = claimed.namespace(),
        intent_bus.attempt = claimed.attempt(),
        trace_id = trace.map(|trace| trace.id.as_str()),
        parent_id = trace.map(|trace| trace.parent.as_str()),
        span_id = trace.map(|trace| trace.span.as_str()),
    )
}

fn tell(fate: &Fate) {
    match fate {
        Fate::LeaseLost => tracing::warn!("the lease was lost; nothing is told"),
        Fate::Untold(error) => tracing::error!(%error, "what became of the intent is not known"),
        Fate::Failed { becomes, reason } => tracing::warn!(?becomes, error = reason, "failed"),
        Fate::Fulfilled => tracing::debug!("fulfilled"),
    }
}

/// The end that the work comes to, or the one of a panic in it.
async fn caught(work: impl Future<Output = End>) -> End {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        // What a panic leaves behind in the handler's state is dropped with it.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(End::failed(&format!("The handler has panicked: {}", message(panic.as_ref())))),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// Extends the lease whenever half of it is left, by `length`: what is left of a claim that was given out again may be too short to
/// live by. Returns when it is lost: somebody else has the intent, or it is over.
async fn hold(client: IntentClient, claimed: Arc<Claimed>, length: Duration, traceparent: Option<String>) {
    let mut lease = claimed.lease().min(LONGEST_LEASE);
    let gives_codes = claimed.claim_token.is_some();
    let mut until = Instant::now() + lease;
    let mut held = true;
    loop {
        sleep_until(until.checked_sub(lease / 2).unwrap_or(until)).await;
        if held {
            match client.extend_traced(&claimed, length, traceparent.as_deref()).await {
                Ok(by) => {
                    until += by;
                    lease = by;
                    continue;
                }
                Err(Error::LeaseLost { .. }) => held = false,
                // Sent again, since the answer may come before the lease ends.
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be extended");
                    sleep(lease / AGAIN).await;
                    continue;
                }
            }
        }
        // The lease has ended, or this server cannot extend any. As long as nobody has claimed the intent since, a finish is
        // still taken, so the handler goes on.
        match client.status_by(claimed.id(), gives_codes, &client.retry).await {
            Ok(status) => {
                let same = status.attempts.is_none() || status.attempts == claimed.claim_attempts;
                // Dead, and never finished: it was the last attempt, and whoever looks is told so from the end of the lease on.
                let last = status.state == IntentState::Dead && status.completed_at.is_none();
                if !same || !(last || matches!(status.state, IntentState::Claimed | IntentState::Open)) {
                    return;
                }
                tracing::warn!("the lease is over; nobody else has the intent yet");
            }
            Err(error) if error.is_retryable() => tracing::warn!(%error, "whose the intent is cannot be asked"),
            // Not even that is known to the oldest servers, or the intent is gone.
            Err(_) if !gives_codes => return std::future::pending().await,
            Err(_) => return,
        }
        until = Instant::now() + lease;
    }
}
