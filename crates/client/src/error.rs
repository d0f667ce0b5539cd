//! What can go wrong, sorted by what the caller can do about it.

use std::{borrow::Cow, fmt, time::Duration};

use intent_bus_protocol::{errors::ErrorCode, wire::ErrorDetail};

/// A result of this crate.
///
/// ```
/// async fn depth(bus: &intent_bus_client::IntentClient) -> intent_bus_client::Result<Option<String>> {
///     bus.get("depth").await
/// }
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) {
/// use intent_bus_client::Error;
///
/// match bus.publish("greet", &["Ada"]).await {
///     Ok(published) => println!("{}", published.id),
///     Err(Error::Auth(refusal)) => eprintln!("The key: {refusal}"),
///     Err(error) if error.is_retryable() => eprintln!("In {:?}, perhaps: {error}", error.retry_after()),
///     // What the bus answered, if it did: `refusal()` has all of it.
///     Err(error) => eprintln!("{:?} {:?}, request {:?}: {error}", error.status(), error.code(), error.request_id()),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent: no key, a key file that is not safe, an address that is none, a value that no request can carry.
    #[error("{0}")]
    Config(Cow<'static, str>),
    /// The key or the signature was not accepted, or does not reach this far: 401 and 403.
    #[error("not allowed: {0}")]
    Auth(Box<Refusal>),
    /// Too many requests, or too many unfinished intents: 429. [`Error::retry_after`] says when to come back.
    #[error("too much at once: {0}")]
    RateLimited(Box<Refusal>),
    /// The claim is over: its lease ended and another worker has the intent, or it is finished or cancelled. The worker drops the
    /// job.
    #[error("the lease on intent {id} is lost")]
    LeaseLost {
        /// The intent.
        id: String,
    },
    /// The bus does not take this request: any other 4xx.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// The bus cannot answer now: any 5xx, or, about a claim, a refusal by something in between that is not the bus. A request
    /// that changes something may have been done.
    #[error("the bus is not well: {0}")]
    Unavailable(Box<Refusal>),
    /// There was no answer.
    #[error(transparent)]
    Network(NetworkError),
    /// The answer is not one of this protocol, or larger than the client takes.
    #[error("not of this protocol: {0}")]
    Protocol(Cow<'static, str>),
    /// What was to be sent cannot be written as JSON, or what came cannot be read as the type that was asked for.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// What was waited for had not come about in time.
    #[error("not finished within {0:?}")]
    TimedOut(Duration),
}

impl Error {
    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Config(message.into())
    }

    pub(crate) fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Protocol(message.into())
    }

    /// Whether the same call may succeed a little later. The client has tried again by then, where that is safe.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Unavailable(_) | Self::Network(_))
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// The code of the refusal, `rate_limited` for one. docs/protocol.md lists them all.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.refusal().and_then(Refusal::code)
    }

    /// The name of the request in the log of the bus.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Network(error) => Some(error.request_id()),
            error => error.refusal().and_then(Refusal::request_id),
        }
    }

    /// How long the bus asks to wait before the next try, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// What the bus answered, if that is what went wrong.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Auth(refusal) | Self::RateLimited(refusal) | Self::Refused(refusal) | Self::Unavailable(refusal) => {
                Some(refusal)
            }
            _ => None,
        }
    }

    /// The same at the end of several tries, of which some may have been done.
    pub(crate) fn after_others(mut self, unsure: bool) -> Self {
        if let Self::Network(error) = &mut self {
            error.unsent &= !unsure;
        }
        self
    }

    /// Whether the bus has certainly not done what it was asked to.
    pub(crate) fn is_undone(&self) -> bool {
        match self {
            Self::Network(error) => error.is_unsent(),
            Self::Unavailable(refusal) => refusal.code() == Some("maintenance"),
            Self::Protocol(_) | Self::TimedOut(_) => false,
            _ => true,
        }
    }
}

/// An answer that says no.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) {
/// if let Err(error) = bus.status("0").await
///     && let Some(refusal) = error.refusal()
/// {
///     println!("{} {:?}: {}", refusal.status(), refusal.code(), refusal.message());
///     println!("request {:?}, again after {:?}", refusal.request_id(), refusal.retry_after());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The code, for programs. `None` if the answer came from something that does not speak the protocol: a proxy.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// What the bus says, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The name of the request in the log of the bus.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// How long the bus asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether this may be an answer of something that stands before the bus, as an ingress gives it during a rollout.
    pub(crate) fn is_foreign(&self) -> bool {
        self.code.is_none() && matches!(self.status, 401 | 403..=405)
    }

    /// What is said of one among many, which has no status of its own on the wire: that which its code always travels with.
    pub(crate) fn of(detail: ErrorDetail) -> Self {
        let known = ErrorCode::ALL.into_iter().find(|code| code.as_str() == detail.code);
        let status = known.map_or(400, ErrorCode::http_status);
        Self { status, code: Some(detail.code), message: detail.message, request_id: None, retry_after: None }
    }

    /// The error that this status stands for.
    pub(crate) fn into_error(self) -> Error {
        let refusal = Box::new(self);
        match refusal.status {
            401 | 403 => Error::Auth(refusal),
            429 => Error::RateLimited(refusal),
            500.. => Error::Unavailable(refusal),
            400.. => Error::Refused(refusal),
            _ => Error::protocol(refusal.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.retry_after.map_or(Ok(()), |time| write!(f, " (try again in {} s)", time.as_secs_f64().ceil()))
    }
}

/// Why there was no answer: the connection could not be made, broke, or the time was over.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) {
/// use intent_bus_client::Error;
///
/// if let Err(Error::Network(error)) = bus.get("depth").await {
///     println!("{error}; sent: {}, too late: {}", !error.is_unsent(), error.is_timeout());
///     println!("the log of the bus may have it as {}", error.request_id());
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("no answer ({}): {}", if *.unsent { "not sent" } else { "it may have been done" }, chain(.source))]
pub struct NetworkError {
    pub(crate) unsent: bool,
    pub(crate) request_id: String,
    #[source]
    pub(crate) source: reqwest::Error,
}

impl NetworkError {
    pub(crate) fn new(error: reqwest::Error, request_id: String) -> Self {
        // Without the address: a query may hold a key, `publisher`.
        Self { unsent: error.is_connect() || error.is_builder(), request_id, source: error.without_url() }
    }

    /// Whether the bus cannot have seen the request, since no connection came about at any try.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Whether the time was over.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.source.is_timeout()
    }

    /// The name that the request was given, for the log of the bus.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// An error and what it comes from, in one line: reqwest's own text leaves out what matters.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        let (code, message) = (Some(code.to_owned()), "Do this.".to_owned());
        Refusal { status, code, message, request_id: Some("r-1".to_owned()), retry_after: None }.into_error()
    }

    #[test]
    fn a_status_becomes_the_error_that_says_what_to_do() {
        assert!(matches!(refused(401, "unauthorized"), Error::Auth(_)));
        assert!(matches!(refused(403, "forbidden"), Error::Auth(_)));
        assert!(matches!(refused(404, "not_found"), Error::Refused(_)));
        assert!(matches!(refused(422, "idempotency_conflict"), Error::Refused(_)));
        assert!(matches!(refused(429, "rate_limited"), Error::RateLimited(_)));
        assert!(matches!(refused(500, "internal_error"), Error::Unavailable(_)));
        assert!(matches!(refused(302, ""), Error::Protocol(_)));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_worth_another_try() {
        for (status, again) in [(400, false), (401, false), (404, false), (409, false), (429, true), (503, true)] {
            assert_eq!(refused(status, "c").is_retryable(), again, "{status}");
        }
        assert!(!Error::config("no key").is_retryable());
    }

    #[test]
    fn what_was_refused_was_not_done_and_what_broke_may_have_been() {
        assert!(refused(429, "rate_limited").is_undone());
        assert!(refused(503, "maintenance").is_undone());
        assert!(!refused(503, "database_busy").is_undone());
        assert!(!refused(500, "internal_error").is_undone());
    }

    #[test]
    fn only_what_speaks_the_protocol_is_the_bus() {
        let refusal = |status, code: Option<&str>| Refusal {
            status,
            code: code.map(ToOwned::to_owned),
            message: String::new(),
            request_id: None,
            retry_after: None,
        };
        assert!(refusal(404, None).is_foreign() && refusal(403, None).is_foreign());
        assert!(!refusal(404, Some("not_found")).is_foreign());
        // Whoever says it, a smaller request is wanted.
        assert!(!refusal(413, None).is_foreign());
    }

    #[test]
    fn an_error_names_its_status_its_code_and_its_request() {
        let error = refused(422, "idempotency_conflict");
        assert_eq!(error.to_string(), "refused: 422 idempotency_conflict: Do this.");
        assert_eq!(
            (error.status(), error.code(), error.request_id()),
            (Some(422), Some("idempotency_conflict"), Some("r-1"))
        );
    }

    #[test]
    fn an_error_says_when_to_come_back() {
        let mut refusal = Refusal::of(ErrorDetail { code: "rate_limited".to_owned(), message: "Too many.".to_owned() });
        refusal.retry_after = Some(Duration::from_millis(11_200));
        let error = refusal.into_error().to_string();
        assert_eq!(error, "too much at once: 429 rate_limited: Too many. (try again in 12 s)");
    }
}
