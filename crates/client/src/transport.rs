//! One try of one request: signed, sent, answered. Redirects are not followed, and an answer is read up to a limit.

use std::{sync::atomic::AtomicBool, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use intent_bus_protocol::{headers, wire::ErrorBody};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, NetworkError, Refusal, Result},
    retry::RetryPolicy,
    signing::{Signer, Target},
};

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const NONCE: HeaderName = HeaderName::from_static(headers::NONCE);

/// Nobody is sent away for longer, whatever stands in the answer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Sends requests to one bus with one key.
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) url: reqwest::Url,
    pub(crate) signer: Signer,
    pub(crate) timeout: Duration,
    pub(crate) largest_answer: usize,
    /// The bus gives the same claims again to a request that comes again: it has said so.
    pub(crate) claims_again: AtomicBool,
}

/// A request that can be sent as often as need be.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What the bus is asked to wait, on top of the usual time.
    pub(crate) wait: Duration,
    /// Whether the bus is known to give codes with its refusals, as those do that give tokens with their claims. What refuses
    /// without a code is then something in between, and may know no better for the moment.
    pub(crate) gives_codes: bool,
    /// With it goes an operator's token in place of the key.
    pub(crate) admin: Option<HeaderValue>,
}

impl Call {
    pub(crate) fn get(target: String) -> Result<Self> {
        Self::new(Method::GET, target, Bytes::new())
    }

    pub(crate) fn post(target: String, body: &impl Serialize) -> Result<Self> {
        Self::new(Method::POST, target, serde_json::to_vec(body)?.into())
    }

    pub(crate) fn new(method: Method, target: String, body: Bytes) -> Result<Self> {
        let target = Target::new(target)?;
        Ok(Self { method, target, body, headers: Vec::new(), wait: Duration::ZERO, gives_codes: false, admin: None })
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &str) -> Result<()> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::config(format!("{value:?} cannot be sent in the header {name}.")))?;
        self.headers.push((HeaderName::from_static(name), value));
        Ok(())
    }

    /// Adds the trace that the request belongs to: the one given, else that of the handler from which it is sent. What is no
    /// `traceparent` is left out: the work goes before its trace.
    pub(crate) fn traced(&mut self, given: Option<&str>) {
        let current = if given.is_none() { crate::worker::trace::current() } else { None };
        if let Some(Ok(value)) = given.or(current.as_deref()).map(HeaderValue::from_str) {
            self.headers.push((TRACEPARENT, value));
        }
    }
}

/// What may be done with a request whose fate is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Done twice is done once: sent again.
    Safely,
    /// Sent again only where the bus has certainly not done it.
    IfUndone,
}

/// An answer that says yes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// An earlier try may have been done, too.
    pub(crate) unsure: bool,
}

impl Answer {
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::protocol(format!("the answer to {what} ({error}): {}", beginning(&self.body))))
    }

    /// The seconds of `Retry-After`.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

impl Transport {
    /// Sends this until it is answered by a success or by a refusal that lasts.
    pub(crate) async fn call(&self, call: &Call, repeat: Repeat, policy: &RetryPolicy) -> Result<Answer> {
        let mut tries = policy.begin();
        // Whether any try may have been done.
        let mut unsure = false;
        loop {
            match self.send(call).await {
                Err(error) if error.is_retryable() && (repeat == Repeat::Safely || error.is_undone()) => {
                    unsure |= !error.is_undone();
                    if !tries.next(&error).await {
                        return Err(error.after_others(unsure));
                    }
                }
                Ok(answer) => return Ok(Answer { unsure, ..answer }),
                Err(error) => return Err(error.after_others(unsure)),
            }
        }
    }

    /// Sends it once, with a new nonce.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer> {
        let (request, request_id) = self.request(call)?;
        match self.exchange(request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Error::Refused(refusal) | Error::Auth(refusal))) if call.gives_codes && refusal.is_foreign() => {
                Err(Error::Unavailable(refusal))
            }
            Ok(Err(error)) => Err(error),
            Err(error) => Err(Error::Network(NetworkError::new(error, request_id))),
        }
    }

    fn request(&self, call: &Call) -> Result<(reqwest::Request, String)> {
        let signed = self.signer.request(call.method.clone(), &call.target, call.body.clone());
        let (head, body) = signed.into_parts();
        // What is signed has to be what is sent: a URL is tidied up when it is read, `/get/..` to `/`.
        let url = self.url.join(call.target.as_str()).ok();
        let url = url.filter(|url| sent(url) == call.target.as_str());
        let url = url.ok_or_else(|| Error::config(format!("No request can carry {:?}.", call.target.path())))?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.timeout_mut() = Some(self.timeout.saturating_add(call.wait));
        let headers = request.headers_mut();
        *headers = head.headers;
        if let Some(token) = &call.admin {
            headers.clear();
            headers.insert(HeaderName::from_static(headers::ADMIN_TOKEN), token.clone());
        }
        for (name, value) in &call.headers {
            headers.insert(name, value.clone());
        }
        // The nonce names the request, too: it is as unique, and in the log of the bus without a cost.
        let id = match headers.get(NONCE).cloned() {
            Some(nonce) => nonce,
            None => HeaderValue::try_from(self.signer.nonce()).map_err(|error| Error::config(error.to_string()))?,
        };
        let request_id = id.to_str().unwrap_or_default().to_owned();
        headers.insert(REQUEST_ID, id);
        if !body.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
        }
        Ok((request, request_id))
    }

    /// The outer error: there was no answer, or not all of it.
    async fn exchange(&self, request: reqwest::Request) -> reqwest::Result<Result<Answer>> {
        let mut response = self.http.execute(request).await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let Some(body) = self.read(response).await? else {
            let limit = self.largest_answer;
            return Ok(Err(Error::protocol(format!("an answer of more than {limit} bytes, with status {status}"))));
        };
        let answer = Answer { status: status.as_u16(), headers, body, unsure: false };
        Ok(if status.is_success() { Ok(answer) } else { Err(refusal(&answer).into_error()) })
    }

    /// `None` if the body is larger than is taken.
    async fn read(&self, mut response: reqwest::Response) -> reqwest::Result<Option<Bytes>> {
        let limit = self.largest_answer;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        // Most answers are one chunk, which needs no copy.
        let Some(first) = response.chunk().await? else {
            return Ok(Some(Bytes::new()));
        };
        let Some(second) = response.chunk().await? else {
            return Ok((first.len() <= limit).then_some(first));
        };
        let mut body = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
            next = response.chunk().await?;
        }
        Ok(Some(body.freeze()))
    }
}

fn refusal(answer: &Answer) -> Refusal {
    let said = serde_json::from_slice::<ErrorBody>(&answer.body).ok();
    let (code, message) = match said {
        Some(ErrorBody { error }) => (Some(error.code), error.message),
        None if (300..400).contains(&answer.status) => (None, "a redirect, which is not followed".to_owned()),
        None => (None, beginning(&answer.body)),
    };
    let request_id = answer.headers.get(REQUEST_ID).and_then(|id| Some(id.to_str().ok()?.to_owned()));
    Refusal { status: answer.status, code, message, request_id, retry_after: answer.retry_after() }
}

/// What is asked for by `Retry-After`, up to an hour.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|pause| pause.min(LONGEST_RETRY_AFTER))
}

/// What an answer begins with, for people.
fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()
}

/// The target that goes out when this URL is asked for.
fn sent(url: &reqwest::Url) -> &str {
    let text = url.as_str();
    let path = text.find("://").and_then(|scheme| Some(scheme + 3 + text[scheme + 3..].find('/')?));
    path.map_or("", |path| &text[path..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_away_for_ever() {
        let after = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(after("1000000000000000000"), Some(LONGEST_RETRY_AFTER));
        for text in ["-1", "NaN", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
