//! Claiming, and what a claim brings: an intent and the lease on it.

use std::{fmt, fmt::Write, future::IntoFuture, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::Method;
use intent_bus_protocol::headers;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    client::IntentClient,
    error::{Error, Result},
    publish::Pending,
    signing::encoded,
    transport::{Answer, Call, Repeat},
};

/// The lease of a server that does not tell.
const LEASE: Duration = Duration::from_secs(60);

/// An intent that this worker has claimed: the work, and the lease that [`IntentClient::fulfill`], [`IntentClient::fail`] and
/// [`IntentClient::extend`] take. Its token is not shown by `Debug`.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// if let Some(job) = bus.claim("greet").await? {
///     println!("{} {} in {}, priority {}", job.id(), job.goal(), job.namespace(), job.priority());
///     println!("attempt {}, leased for {:?}, trace {:?}", job.attempt(), job.lease(), job.traceparent());
///     println!("meant for {:?}, who has {:?}", job.target_worker(), job.required_capability());
///     let name: String = job.payload()?; // or as it is: job.payload_json()
///     bus.fulfill(&job, &format!("hello, {name}")).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Deserialize)]
pub struct Claimed {
    id: String,
    #[serde(default)]
    goal: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default = "null")]
    payload: Box<RawValue>,
    #[serde(default)]
    pub(crate) claim_attempts: Option<i32>,
    #[serde(default)]
    priority: Option<i32>,
    #[serde(default)]
    target_worker: Option<String>,
    #[serde(default)]
    required_capability: Option<String>,
    #[serde(default)]
    pub(crate) claim_token: Option<String>,
    #[serde(default)]
    claim_timeout: Option<f64>,
    #[serde(default)]
    traceparent: Option<String>,
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

impl Claimed {
    /// The intent's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What kind of work it is.
    #[must_use]
    pub fn goal(&self) -> &str {
        &self.goal
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The payload read as a type.
    ///
    /// # Errors
    /// [`Error::Json`] if it is not of this type.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(self.payload.get())?)
    }

    /// The payload, byte for byte as it was published.
    #[must_use]
    pub fn payload_json(&self) -> &RawValue {
        &self.payload
    }

    /// How often it has been claimed, this claim included; 1 from a server that does not count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.claim_attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(1)
    }

    /// Its priority; the higher is claimed first.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority.unwrap_or(intent_bus_protocol::limits::PRIORITY_DEFAULT)
    }

    /// The only worker that may claim it, if its publisher named one.
    #[must_use]
    pub fn target_worker(&self) -> Option<&str> {
        self.target_worker.as_deref()
    }

    /// What a worker must be able to do to claim it, if its publisher asked for something.
    #[must_use]
    pub fn required_capability(&self) -> Option<&str> {
        self.required_capability.as_deref()
    }

    /// How long the lease lasts, from the answer on; 60 s from a server that does not tell.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.claim_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(LEASE)
    }

    /// The trace of its publication, as W3C Trace Context writes it.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed")
            .field("id", &self.id)
            .field("namespace", &self.namespace)
            .field("goal", &self.goal)
            .field("attempt", &self.claim_attempts)
            .field("claim_token", &format_args!("[redacted]"))
            .finish_non_exhaustive()
    }
}

/// A claim that is about to be made: awaited, it is. Made by [`IntentClient::claim`].
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// use std::time::Duration;
///
/// // `own()`: nobody else's public intents; `publisher(key)`: those of that key's tenant.
/// let claim = bus.claim("resize").namespace("images").worker_id("pi-3").capabilities(["gpu", "fast"]).own();
/// if let Some(job) = claim.wait(Duration::from_secs(20)).await? {
///     println!("{}", job.payload_json());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is claimed until this is awaited"]
pub struct Claim {
    client: IntentClient,
    goal: Option<String>,
    namespace: Option<String>,
    worker_id: Option<String>,
    capabilities: Vec<String>,
    publisher: Option<Publisher>,
    wait: Duration,
}

/// A key, so not shown.
#[derive(Clone)]
struct Publisher(String);

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Claim {
    pub(crate) fn new(client: IntentClient, goal: Option<String>) -> Self {
        let namespace = client.namespace().map(ToOwned::to_owned);
        let (capabilities, wait) = (Vec::new(), Duration::ZERO);
        Self { client, goal, namespace, worker_id: None, capabilities, publisher: None, wait }
    }

    /// The namespace. That of the client unless set, and else `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Who this worker is: up to 128 characters. Intents that name it as their target are for it alone.
    pub fn worker_id(mut self, worker: impl Into<String>) -> Self {
        self.worker_id = Some(worker.into());
        self
    }

    /// What this worker can do: up to 32 words of `A-Z a-z 0-9 _ . : -`.
    pub fn capabilities<S: Into<String>>(mut self, capabilities: impl IntoIterator<Item = S>) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Waits for an intent, if there is none yet, for so many whole seconds, up to 60. A server that knows no waiting answers
    /// at once.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Only what the tenant of this key has published: one's own, or with the root key anybody's. The key goes into the URL, and
    /// so into the logs of proxies.
    ///
    /// ```no_run
    /// # async fn example(root: intent_bus_client::IntentClient, tenant: &str) -> intent_bus_client::Result<()> {
    /// let of_this_tenant = root.claim("resize").publisher(tenant).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publisher(mut self, key: impl Into<String>) -> Self {
        self.publisher = Some(Publisher(key.into()));
        self
    }

    /// Only what the tenant of this client's own key has published: nobody else's public intents. The key goes into the URL here,
    /// too.
    pub fn own(mut self) -> Self {
        self.publisher = Some(Publisher(self.client.transport.signer.key().to_owned()));
        self
    }

    /// Claims so many at most, 1 to 1,000, by one request. Empty if there is nothing. A server of an older generation gives one.
    ///
    /// # Errors
    /// [`Error::Auth`] or [`Error::Refused`] if the claim is not allowed, [`Error::Network`] if there was no answer.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// for job in bus.claim("greet").many(100).await? {
    ///     bus.fulfill(&job, "done").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn many(self, limit: u32) -> Result<Vec<Claimed>> {
        Ok(self.ask(Some(limit)).await?.claimed)
    }

    /// Sends it. Without a limit the answer is one intent by itself.
    pub(crate) async fn ask(&self, limit: Option<u32>) -> Result<Claims> {
        let id = self.client.transport.signer.nonce();
        let mut call = self.call(limit, &id)?;
        call.wait = self.wait;
        // A bus that gives the same claims again says so in each of its answers.
        let knows_ids = &self.client.transport.claims_again;
        let repeat = if knows_ids.load(Ordering::Relaxed) { Repeat::Safely } else { Repeat::IfUndone };
        let answer = self.client.call(&call, repeat).await?;
        knows_ids.store(answer.headers.get(headers::CLAIM_REQUEST_ID).is_some(), Ordering::Relaxed);
        let claims = Claims::read(&answer)?;
        if !(claims.claimed.is_empty() && answer.unsure && self.wait.as_secs() > 0) {
            return Ok(claims);
        }
        // The try that got lost may have waited as this one has, and been given what came.
        let call = Self { wait: Duration::ZERO, ..self.clone() }.call(limit, &id)?;
        Claims::read(&self.client.call(&call, Repeat::Safely).await?)
    }

    fn call(&self, limit: Option<u32>, id: &str) -> Result<Call> {
        let mut call = Call::new(Method::POST, self.target(limit), Bytes::new())?;
        call.header(headers::CLAIM_REQUEST_ID, id)?;
        Ok(call)
    }

    fn target(&self, limit: Option<u32>) -> String {
        let mut target = "/claim".to_owned();
        let mut pair = |name: &str, value: &str| {
            let mark = if target.contains('?') { '&' } else { '?' };
            let _ = write!(target, "{mark}{name}={}", encoded(value));
        };
        if let Some(goal) = &self.goal {
            pair("goal", goal);
        }
        if let Some(namespace) = &self.namespace {
            pair("namespace", namespace);
        }
        if let Some(worker) = &self.worker_id {
            pair("worker_id", worker);
        }
        if !self.capabilities.is_empty() {
            pair("capabilities", &self.capabilities.join(","));
        }
        if let Some(Publisher(key)) = &self.publisher {
            pair("publisher", key);
        }
        if let Some(limit) = limit {
            pair("limit", &limit.to_string());
        }
        if self.wait.as_secs() > 0 {
            pair("wait", &self.wait.as_secs().to_string());
        }
        target
    }
}

impl IntoFuture for Claim {
    type Output = Result<Option<Claimed>>;
    type IntoFuture = Pending<Option<Claimed>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.ask(None).await?.claimed.pop()) })
    }
}

/// The answer to a claim.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) claimed: Vec<Claimed>,
    /// Whether it was a list: then the server knows requests about many.
    pub(crate) is_list: bool,
    /// When to ask again, if there was nothing.
    pub(crate) retry_after: Option<Duration>,
}

impl Claims {
    fn read(answer: &Answer) -> Result<Self> {
        #[derive(Deserialize)]
        struct Many {
            intents: Vec<Claimed>,
        }
        if answer.status == 204 || answer.body.is_empty() {
            return Ok(Self { claimed: Vec::new(), is_list: false, retry_after: answer.retry_after() });
        }
        if let Ok(Many { intents }) = serde_json::from_slice(&answer.body) {
            return Ok(Self { claimed: intents, is_list: true, retry_after: None });
        }
        let one: Claimed = answer.json("a claim")?;
        if one.id.is_empty() {
            return Err(Error::protocol("a claimed intent without an id"));
        }
        Ok(Self { claimed: vec![one], is_list: false, retry_after: None })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_intent_of_the_oldest_generation_can_be_worked_on() {
        let claimed: Claimed = serde_json::from_str(r#"{"id":"7","goal":"g","payload":{"a":1}}"#).unwrap();
        assert_eq!((claimed.attempt(), claimed.lease(), claimed.namespace()), (1, LEASE, "default"));
        assert_eq!(claimed.payload_json().get(), r#"{"a":1}"#);
        assert!(claimed.claim_token.is_none());
    }

    #[test]
    fn a_claim_token_is_not_in_debug_output() {
        let claimed: Claimed =
            serde_json::from_str(r#"{"id":"7","goal":"g","payload":"p4yl04d","claim_token":"s3cr3t"}"#).unwrap();
        let shown = format!("{claimed:?}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("p4yl04d"), "{shown}");
    }

    #[test]
    fn a_claim_is_one_query_whose_values_are_encoded() {
        let client =
            IntentClient::builder().base_url("http://127.0.0.1:1").api_key("tk_0").namespace("n").build().unwrap();
        let claim = client.claim("say \"hi\"").worker_id("w 1").capabilities(["a", "b"]).wait(Duration::from_secs(20));
        assert_eq!(
            claim.target(Some(5)),
            "/claim?goal=say%20%22hi%22&namespace=n&worker_id=w%201&capabilities=a%2Cb&limit=5&wait=20"
        );
        assert_eq!(client.claim_any().namespace("m").target(None), "/claim?namespace=m");
        assert_eq!(client.claim("g").own().target(None), "/claim?goal=g&namespace=n&publisher=tk_0");
        let shown = format!("{:?}", client.claim("g").publisher("tk_s3cr3t"));
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
