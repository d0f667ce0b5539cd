//! Ending a claim, and finding out what became of an end whose answer got lost.
//!
//! A finish is fenced by the token of its claim: sent twice, it is done once, and the second is told that the claim is over.
//! That is no lost lease if the first was done, so the status of the intent is asked for: the number of its claims tells whether
//! anybody has claimed it since. Servers of the first generations have no tokens. There a finish whose fate is not known is
//! never sent again before the status has shown that the claim is still this one.

mod many;
mod verdict;

use std::{borrow::Cow, time::Duration};

use intent_bus_protocol::limits::{ERROR_MAX, EXTEND};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

pub(crate) use self::many::Together;
use self::verdict::{Verdict, verdict};
use crate::{
    claim::Claimed,
    client::IntentClient,
    error::{Error, Result},
    retry::RetryPolicy,
    signing::encoded,
    transport::{Answer, Call, Repeat},
};

/// What becomes of an intent whose attempt has failed.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// use intent_bus_client::FailedAs;
///
/// if let Some(job) = bus.claim("greet").await?
///     && bus.fail(&job, "no such name").await? == FailedAs::Dead
/// {
///     println!("{} was the last attempt", job.attempt());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedAs {
    /// It will be given out again, after its backoff.
    Retried,
    /// It was the last attempt.
    Dead,
}

/// How a claim ends.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// With a result, or without.
    Fulfilled { result: Option<Box<RawValue>>, text: bool },
    /// With the reason why not, of at most [`ERROR_MAX`] characters.
    Failed { error: String },
}

impl End {
    pub(crate) fn failed(error: &str) -> Self {
        // As the bus keeps it, so that it is known again.
        Self::Failed { error: error.chars().take(ERROR_MAX).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect() }
    }
}

/// The end of one claim.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    pub(crate) attempts: Option<i32>,
    pub(crate) end: End,
    pub(crate) traceparent: Option<String>,
}

/// What became of it: for a fulfilment always [`Done::Fulfilled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Fulfilled,
    Failed(FailedAs),
}

impl Finish {
    pub(crate) fn new(claimed: &Claimed, end: End) -> Self {
        let (id, token) = (claimed.id().to_owned(), claimed.claim_token.clone());
        Self { id, token, attempts: claimed.claim_attempts, end, traceparent: None }
    }

    pub(crate) fn verb(&self) -> &'static str {
        match self.end {
            End::Fulfilled { .. } => "fulfill",
            End::Failed { .. } => "fail",
        }
    }

    /// The fields on the wire; with the id where many go together.
    pub(crate) fn body(&self, with_id: bool) -> FinishBody<'_> {
        let (result, result_type, error) = match &self.end {
            End::Fulfilled { result, text } => (result.as_deref(), text.then_some("text"), None),
            End::Failed { error } => (None, None, Some(error.as_str())),
        };
        FinishBody { id: with_id.then_some(&self.id), claim_token: self.token.as_deref(), result, result_type, error }
    }

    fn lost(&self) -> Error {
        Error::LeaseLost { id: self.id.clone() }
    }
}

#[derive(Serialize)]
pub(crate) struct FinishBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl IntentClient {
    /// The work is done, and this is what it brought. Lost answers are resolved: `Ok` says that the result is stored.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the claim is over; [`Error::Network`] or [`Error::Unavailable`] when the bus stayed away for
    /// longer than the client is patient, so that nobody knows.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(job) = bus.claim("resize").await? {
    ///     bus.fulfill(&job, &serde_json::json!({"width": 640})).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fulfill<T: Serialize + ?Sized>(&self, claimed: &Claimed, result: &T) -> Result<()> {
        let result = Some(to_raw_value(result)?);
        self.fulfill_with(claimed, result, false).await
    }

    /// The same with a text: `result_type` is `text`.
    ///
    /// # Errors
    /// As [`Self::fulfill`].
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(job) = bus.claim("greet").await? {
    ///     bus.fulfill_text(&job, "hello, Ada").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fulfill_text(&self, claimed: &Claimed, text: &str) -> Result<()> {
        let result = Some(to_raw_value(text)?);
        self.fulfill_with(claimed, result, true).await
    }

    /// The same with JSON, which is stored byte for byte. `None`: there is no result.
    ///
    /// # Errors
    /// As [`Self::fulfill`].
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(job) = bus.claim("echo").await? {
    ///     let result = job.payload_json().to_owned();
    ///     bus.fulfill_json(&job, Some(result)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fulfill_json(&self, claimed: &Claimed, result: Option<Box<RawValue>>) -> Result<()> {
        self.fulfill_with(claimed, result, false).await
    }

    async fn fulfill_with(&self, claimed: &Claimed, result: Option<Box<RawValue>>, text: bool) -> Result<()> {
        let finish = Finish::new(claimed, End::Fulfilled { result, text });
        self.finish(&finish, &self.retry).await.map(drop)
    }

    /// This attempt has failed. Of the message 500 characters are kept. Lost answers are resolved, as with a fulfilment.
    ///
    /// # Errors
    /// As [`Self::fulfill`].
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(job) = bus.claim("resize").await? {
    ///     bus.fail(&job, "the picture cannot be read").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fail(&self, claimed: &Claimed, message: &str) -> Result<FailedAs> {
        match self.finish(&Finish::new(claimed, End::failed(message)), &self.retry).await? {
            Done::Failed(failed) => Ok(failed),
            Done::Fulfilled => Err(Error::protocol("a failure was answered as a success")),
        }
    }

    /// The work takes longer: so much is added to the end of the lease, 10 s to an hour (rounded up and into that range). Sent
    /// again if the answer is lost: done twice, the lease is merely longer.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the claim is over, or its lease has ended.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(job) = bus.claim("train").await? {
    ///     bus.extend(&job, std::time::Duration::from_secs(300)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn extend(&self, claimed: &Claimed, by: Duration) -> Result<()> {
        self.extend_traced(claimed, by, None).await.map(drop)
    }

    /// The same within a trace. Gives by how much it was extended.
    pub(crate) async fn extend_traced(
        &self,
        claimed: &Claimed,
        by: Duration,
        traceparent: Option<&str>,
    ) -> Result<Duration> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            claim_token: Option<&'a str>,
            seconds: i32,
        }
        let seconds = i32::try_from(by.as_millis().div_ceil(1000)).unwrap_or(*EXTEND.end());
        let seconds = seconds.clamp(*EXTEND.start(), *EXTEND.end());
        let body = Body { claim_token: claimed.claim_token.as_deref(), seconds };
        let mut call = Call::post(format!("/extend_claim/{}", encoded(claimed.id())), &body)?;
        call.traced(traceparent);
        call.gives_codes = claimed.claim_token.is_some();
        match self.call(&call, Repeat::Safely).await {
            Ok(_) => Ok(Duration::from_secs(seconds.unsigned_abs().into())),
            Err(Error::Refused(refusal)) if refusal.status() == 404 => {
                Err(Error::LeaseLost { id: claimed.id().to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// Ends one claim, for certain.
    pub(crate) async fn finish(&self, finish: &Finish, policy: &RetryPolicy) -> Result<Done> {
        self.finish_after(finish, policy, None).await
    }

    /// The same when it was sent before and its fate is not known: `unsure` is why.
    pub(crate) async fn finish_after(
        &self,
        finish: &Finish,
        policy: &RetryPolicy,
        mut unsure: Option<Error>,
    ) -> Result<Done> {
        let target = format!("/{}/{}", finish.verb(), encoded(&finish.id));
        let mut call = Call::post(target, &finish.body(false))?;
        call.traced(finish.traceparent.as_deref());
        call.gives_codes = finish.token.is_some();
        let mut tries = policy.begin();
        loop {
            // Without a token only the status can tell whose claim a second try would end.
            if finish.token.is_none()
                && let Some(error) = unsure.take()
            {
                match self.resolve(finish, error, false, policy).await? {
                    Verdict::Done(done) => return Ok(done),
                    Verdict::Lost => return Err(finish.lost()),
                    Verdict::Ours => {}
                }
            }
            let error = match self.transport.send(&call).await {
                Ok(answer) => return done(finish, &answer),
                Err(Error::Refused(refusal)) if refusal.status() == 404 => {
                    let Some(cause) = unsure else {
                        return Err(finish.lost());
                    };
                    return match self.resolve(finish, cause, true, policy).await? {
                        Verdict::Done(done) => Ok(done),
                        _ => Err(finish.lost()),
                    };
                }
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => error,
            };
            if !tries.next(&error).await {
                return Err(error.after_others(unsure.is_some()));
            }
            if !error.is_undone() {
                unsure = Some(error);
            }
        }
    }

    /// What became of a finish whose answer was lost by this error. Gives the error back if that cannot be found out.
    async fn resolve(&self, finish: &Finish, lost: Error, refused: bool, policy: &RetryPolicy) -> Result<Verdict> {
        let status = match self.status_by(&finish.id, finish.token.is_some(), policy).await {
            Ok(status) => status,
            // A server without this endpoint, or one that forgot the intent.
            Err(Error::Refused(refusal) | Error::Auth(refusal)) if matches!(refusal.status(), 403..=405) => {
                return Err(lost);
            }
            Err(error) => return Err(error),
        };
        let verdict = verdict(finish, &status, refused);
        tracing::debug!(intent = %finish.id, state = %status.state, ?verdict, "asked what became of a finish without an answer");
        Ok(verdict)
    }
}

fn done(finish: &Finish, answer: &Answer) -> Result<Done> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow, default)]
        status: Option<Cow<'a, str>>,
    }
    match finish.end {
        End::Fulfilled { .. } => Ok(Done::Fulfilled),
        End::Failed { .. } => {
            let failed: Failed<'_> = answer.json("a failure")?;
            Ok(Done::Failed(failed_as(failed.status.as_deref())))
        }
    }
}

/// The oldest servers say nothing: with them a failure was final.
fn failed_as(status: Option<&str>) -> FailedAs {
    if status == Some("open") { FailedAs::Retried } else { FailedAs::Dead }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn finish(end: End) -> Finish {
        Finish { id: "0a".to_owned(), token: Some("t".to_owned()), attempts: Some(2), end, traceparent: None }
    }

    #[test]
    fn a_message_is_cut_as_the_bus_cuts_it() {
        let cut = "é\u{fffd}".repeat(250);
        assert!(matches!(End::failed(&"é\0".repeat(400)), End::Failed { error } if error == cut));
    }

    #[test]
    fn a_text_is_told_from_json_and_nothing_from_null() {
        let json = |result: Option<&str>, text| {
            let result = result.map(|json| RawValue::from_string(json.to_owned()).unwrap());
            serde_json::to_string(&finish(End::Fulfilled { result, text }).body(false)).unwrap()
        };
        assert_eq!(json(None, false), r#"{"claim_token":"t"}"#);
        assert_eq!(json(Some("null"), false), r#"{"claim_token":"t","result":null}"#);
        assert_eq!(json(Some("\"a\""), true), r#"{"claim_token":"t","result":"a","result_type":"text"}"#);
    }
}
