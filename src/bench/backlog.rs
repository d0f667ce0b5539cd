//! Intents that lie in the bus before a run begins. Publishing them is not measured.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    Plan,
    client::Client,
    operations::{Subject, outcomes, target_of},
    stats::{Operation, Stats},
};
use crate::error::{Error, Result};

/// How many go into one request, where the bus has batches.
const BATCH: u32 = 500;

/// Publishes so many intents, over as many connections as there will be publishers.
pub(super) async fn publish(plan: &Plan, stats: &Rc<Stats>, subject: &Rc<Subject>, count: u64) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let left = Rc::new(Cell::new(count));
    // The first request tells whether there are batches.
    let mut first = plan.client(0, stats).await?;
    let body: Bytes = subject.intents(next(count)).into();
    let answer = first.call_if_there(Operation::Publish, &target_of("/intents".to_owned())?, &body).await?;
    let batches = answer.is_some();
    if let Some(answer) = answer {
        left.set(count.saturating_sub(taken(&answer.body)?));
    }
    let mut tasks = JoinSet::new();
    for index in 0..plan.publishers {
        let client = plan.client(index, stats).await?;
        tasks.spawn_local(fill(client, Rc::clone(&left), Rc::clone(subject), batches));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Error::fault(error.to_string()))??;
    }
    Ok(())
}

/// How many of those left go into the next request.
fn next(left: u64) -> u32 {
    u32::try_from(left).unwrap_or(BATCH).min(BATCH)
}

async fn fill(mut client: Client, left: Rc<Cell<u64>>, subject: Rc<Subject>, batches: bool) -> Result<()> {
    let target = target_of(if batches { "/intents" } else { "/intent" }.to_owned())?;
    let full: Bytes = if batches { subject.intents(BATCH) } else { subject.intent() }.into();
    while left.get() > 0 {
        let count = if batches { next(left.get()) } else { 1 };
        // Taken before it is sent, or others would publish the same ones.
        left.set(left.get() - u64::from(count));
        let body = if batches && count < BATCH { subject.intents(count).into() } else { full.clone() };
        let done = match client.call(Operation::Publish, &target, &body).await? {
            None => 0,
            Some(answer) if batches => taken(&answer.body)?,
            Some(_) => 1,
        };
        left.set(left.get() + u64::from(count).saturating_sub(done));
    }
    Ok(())
}

/// How many of a batch were published. A refusal is the end of it: the run would not be the one that was asked for.
fn taken(body: &[u8]) -> Result<u64> {
    let (done, refused) = outcomes(body)?;
    match refused.first() {
        None => Ok(done.into()),
        Some(code) => Err(Error::invalid(format!("The bus does not take the backlog: {code}"))),
    }
}
