//! Many finishes of one kind by one request.

use bytes::Bytes;
use http::Method;
use intent_bus_protocol::wire::ErrorDetail;
use serde::{Deserialize, Serialize};

use super::{Done, End, Finish, FinishBody, failed_as, verdict::Verdict};
use crate::{
    client::IntentClient,
    error::{Error, Refusal, Result},
    retry::RetryPolicy,
    transport::{Answer, Call},
};

/// What many finishes of one kind, sent by one request, came to; in their order.
pub(crate) enum Together {
    /// Each was judged by itself.
    Judged(Vec<Result<Done>>),
    /// There is no verdict, for this reason.
    Unjudged {
        error: Error,
        /// Whether they may have been done.
        unsure: bool,
    },
}

impl IntentClient {
    /// Ends many claims of one kind by one request. Those whose fate is not known are looked after one by one. `known`: the
    /// server is known to take such requests.
    pub(crate) async fn finish_many(&self, finishes: &[Finish], known: bool, policy: &RetryPolicy) -> Result<Together> {
        #[derive(Serialize)]
        struct Claims<'a> {
            claims: Vec<FinishBody<'a>>,
        }
        let Some(first) = finishes.first() else {
            return Ok(Together::Judged(Vec::new()));
        };
        let claims = finishes.iter().map(|finish| finish.body(true)).collect();
        let body = Bytes::from(serde_json::to_vec(&Claims { claims })?);
        let mut call = Call::new(Method::POST, format!("/{}", first.verb()), body)?;
        call.gives_codes = known;
        let mut tries = policy.begin();
        let mut unsure = false;
        let outcomes = loop {
            let sent = self.transport.send(&call).await;
            let error = match sent.and_then(|answer| read_outcomes(&answer, finishes.len())) {
                Ok(outcomes) => break outcomes,
                Err(error) => error,
            };
            unsure |= !error.is_undone();
            if !error.is_retryable() || !tries.next(&error).await {
                return Ok(Together::Unjudged { error, unsure });
            }
        };
        let mut judged = Vec::with_capacity(finishes.len());
        for (finish, outcome) in finishes.iter().zip(outcomes) {
            judged.push(match outcome.error {
                None => Ok(match finish.end {
                    End::Fulfilled { .. } => Done::Fulfilled,
                    End::Failed { .. } => Done::Failed(failed_as(outcome.status.as_deref())),
                }),
                Some(error) if error.code == "not_found" && unsure => {
                    let cause = Error::protocol("the answer to many finishes was lost");
                    match self.resolve(finish, cause, true, policy).await {
                        Ok(Verdict::Done(done)) => Ok(done),
                        Ok(_) => Err(finish.lost()),
                        Err(error) => Err(error),
                    }
                }
                Some(error) if error.code == "not_found" => Err(finish.lost()),
                Some(error) => match Refusal::of(error).into_error() {
                    // Of this one alone: the others have their answers.
                    error if error.is_retryable() => self.finish_after(finish, policy, Some(error)).await,
                    error => Err(error),
                },
            });
        }
        Ok(Together::Judged(judged))
    }
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<ErrorDetail>,
}

fn read_outcomes(answer: &Answer, expected: usize) -> Result<Vec<Outcome>> {
    #[derive(Deserialize)]
    struct Outcomes {
        outcomes: Vec<Outcome>,
    }
    let outcomes = answer.json::<Outcomes>("many finishes")?.outcomes;
    if outcomes.len() == expected {
        Ok(outcomes)
    } else {
        Err(Error::protocol(format!("{} outcomes for {expected} finishes", outcomes.len())))
    }
}
