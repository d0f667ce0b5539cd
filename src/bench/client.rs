//! One client on one connection: sends a request until it has an answer that counts, and keeps the books.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::{
    connection::{Answer, Connection, Endpoint},
    operations::{Requests, Target, refusal},
    stats::{Operation, Stats},
};
use crate::error::{Error, Result};

/// The longest that a `Retry-After` holds a client back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After a 503 or a 429 that does not say when to come back.
const PAUSE: Duration = Duration::from_millis(100);
/// After a connection that broke, or an answer that is an error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A client.
pub(super) struct Client {
    connection: Connection,
    requests: Rc<Requests>,
    stats: Rc<Stats>,
}

impl Client {
    pub(super) async fn open(endpoint: Rc<Endpoint>, requests: Rc<Requests>, stats: Rc<Stats>) -> Result<Self> {
        Ok(Self { connection: Connection::open(endpoint).await?, requests, stats })
    }

    /// Sends this until it is answered by a success. `None` if it was refused for a reason that is no fault of the run:
    /// a lease that has ended, an error of the server.
    ///
    /// # Errors
    /// When the server will never take such a request: a wrong key, an endpoint that it does not have.
    pub(super) async fn call(&mut self, operation: Operation, target: &Target, body: &Bytes) -> Result<Option<Answer>> {
        loop {
            let request = self.requests.post(&self.connection.endpoint.authority, target, body.clone());
            let Ok(answer) = self.connection.send(request).await else {
                self.stats.failed(operation, "connection", 1);
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            };
            match answer.status.as_u16() {
                200..300 => return Ok(Some(answer)),
                429 | 503 => {
                    self.stats.retried(operation, answer.status.as_str());
                    sleep(answer.retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
                }
                status => {
                    if status == 401 || (status < 500 && operation != Operation::Fulfill) {
                        let (name, said) = (operation.name(), refusal(&answer.body));
                        return Err(Error::invalid(format!("The bus answers {name} with {status}: {said}")));
                    }
                    self.stats.failed(operation, answer.status.as_str(), 1);
                    sleep(PAUSE_AFTER_ERROR).await;
                    return Ok(None);
                }
            }
        }
    }

    /// The same with a status that the caller can do without: then `None`, and nothing is counted or said.
    pub(super) async fn call_if_there(
        &mut self,
        operation: Operation,
        target: &Target,
        body: &Bytes,
    ) -> Result<Option<Answer>> {
        let request = self.requests.post(&self.connection.endpoint.authority, target, body.clone());
        match self.connection.send(request).await {
            Ok(answer) if matches!(answer.status.as_u16(), 404 | 405) => Ok(None),
            Ok(answer) if answer.status.is_success() => Ok(Some(answer)),
            _ => self.call(operation, target, body).await,
        }
    }

    /// The books.
    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Notes a request that was answered now, having begun then, about so many intents.
    pub(super) fn done(&self, operation: Operation, began: Instant, intents: u32) {
        self.stats.done(operation, began.elapsed(), intents);
    }
}
