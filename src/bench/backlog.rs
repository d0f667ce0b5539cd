//! Intents that lie in the bus before a run begins. Publishing them is not measured.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    Plan,
    client::Client,
    operations::{Subject, Target, outcomes},
    stats::{Operation, Stats},
};
use crate::error::{Error, Result};

/// How many go into one request, where the bus has batches.
const BATCH: u32 = 500;

/// Publishes so many intents, over as many connections as there will be publishers.
pub(super) async fn publish(plan: &Plan, stats: &Rc<Stats>, subject: &Subject, count: u64) -> Result<()> {
    let left = Rc::new(Cell::new(count));
    let many: Bytes = subject.intents(BATCH).into();
    let one: Bytes = subject.intent().into();
    // The first request tells whether there are batches.
    let mut first = plan.client(0, stats).await?;
    let batches = count >= u64::from(BATCH) && {
        let answer = first.call_if_there(Operation::Publish, &Target::new("/intents".to_owned())?, &many).await?;
        answer.map(|answer| taken(&left, &answer.body)).transpose()?.is_some()
    };
    let mut tasks = JoinSet::new();
    for index in 0..plan.publishers {
        let client = plan.client(index, stats).await?;
        tasks.spawn_local(fill(client, Rc::clone(&left), batches.then(|| many.clone()), one.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Error::fault(error.to_string()))??;
    }
    Ok(())
}

async fn fill(mut client: Client, left: Rc<Cell<u64>>, many: Option<Bytes>, one: Bytes) -> Result<()> {
    let (intents, intent) = (Target::new("/intents".to_owned())?, Target::new("/intent".to_owned())?);
    while left.get() > 0 {
        if let Some(many) = many.as_ref().filter(|_| left.get() >= u64::from(BATCH)) {
            // Taken before it is sent, or others would publish the same ones.
            left.set(left.get() - u64::from(BATCH));
            let answer = client.call(Operation::Publish, &intents, many).await?;
            left.set(left.get() + u64::from(BATCH));
            answer.map(|answer| taken(&left, &answer.body)).transpose()?;
        } else {
            left.set(left.get() - 1);
            if client.call(Operation::Publish, &intent, &one).await?.is_none() {
                left.set(left.get() + 1);
            }
        }
    }
    Ok(())
}

/// Counts what was published of a batch. Here a refusal is the end of it: the run would not be the one asked for.
fn taken(left: &Cell<u64>, body: &[u8]) -> Result<()> {
    let (done, refused) = outcomes(body)?;
    left.set(left.get().saturating_sub(u64::from(done)));
    match refused.first() {
        None => Ok(()),
        Some(code) => Err(Error::invalid(format!("The bus does not take the backlog: {code}"))),
    }
}
