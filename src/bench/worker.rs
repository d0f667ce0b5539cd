//! A worker: one connection that claims and fulfils.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{
    Messages,
    client::Client,
    load::Load,
    operations::{Claim, claims, fulfil_one, fulfil_several, one_claim, outcomes},
    stats::Operation,
};
use crate::error::Result;

/// How long a worker that found nothing waits before it asks again: first, and at most. It doubles in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// Claims and fulfils for ever.
pub(super) async fn work(load: Rc<Load>, mut client: Client, messages: Rc<Messages>) -> Result<()> {
    let mut pause = PAUSES.0;
    loop {
        let limit = load.tickets(messages.batch).await;
        let target = messages.claim(limit)?;
        let began = Instant::now();
        let got = match client.call(Operation::Claim, &target, &Bytes::new()).await? {
            // Refused, and noted.
            None => None,
            Some(answer) if answer.body.is_empty() => {
                client.stats().found_nothing();
                None
            }
            answer => answer,
        };
        let Some(answer) = got else {
            load.give_back(limit);
            // A bus that knows no `wait` answers at once, however long it was asked to.
            if began.elapsed() < messages.wait / 2 || messages.wait.is_zero() {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            continue;
        };
        pause = PAUSES.0;
        let claims = if messages.batch == 1 { vec![one_claim(&answer.body)?] } else { claims(&answer.body)? };
        let count = u32::try_from(claims.len()).unwrap_or(u32::MAX);
        client.done(Operation::Claim, began.into_std(), count);
        let done = fulfil(&mut client, &messages, &claims).await?;
        load.fulfilled(done);
        load.give_back(limit.saturating_sub(done));
    }
}

/// Fulfils these. Gives how many it was acknowledged for.
pub(super) async fn fulfil(client: &mut Client, messages: &Messages, claims: &[Claim<'_>]) -> Result<u32> {
    let began = Instant::now().into_std();
    let (answer, done) = if let ([claim], 1) = (claims, messages.batch) {
        let (target, body) = fulfil_one(claim)?;
        (client.call(Operation::Fulfill, &target, &Bytes::from(body)).await?, 1)
    } else {
        let body = Bytes::from(fulfil_several(claims));
        let answer = client.call(Operation::Fulfill, &messages.fulfill, &body).await?;
        let done = match &answer {
            None => 0,
            Some(answer) => {
                let (done, refused) = outcomes(&answer.body)?;
                for code in refused {
                    client.stats().failed(Operation::Fulfill, code, 1);
                }
                done
            }
        };
        (answer, done)
    };
    if answer.is_none() {
        return Ok(0);
    }
    client.done(Operation::Fulfill, began, done);
    Ok(done)
}
