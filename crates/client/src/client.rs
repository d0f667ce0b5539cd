//! The client: what every call goes through, and the calls that need no builder of their own.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use intent_bus_protocol::{headers, wire};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    builder::ClientBuilder,
    claim::Claim,
    error::{Error, Result},
    publish::{NewIntent, Publish, PublishMany},
    retry::RetryPolicy,
    signing::{encoded, encoded_but, random_hex},
    status::{IntentResult, IntentStatus},
    transport::{Answer, Call, Repeat, Transport},
};

/// The first pause between two looks for a result, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Ten years.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long the last look may take.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A client of one bus, with one key. Cheap to clone; clones share their connections.
///
/// ```no_run
/// # async fn example() -> intent_bus_client::Result<()> {
/// use intent_bus_client::IntentClient;
///
/// let bus = IntentClient::from_env()?;
/// let published = bus.publish("greet", &serde_json::json!({"name": "Ada"})).await?;
/// println!("{}", published.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct IntentClient {
    pub(crate) transport: Arc<Transport>,
    pub(crate) retry: RetryPolicy,
    namespace: Option<Arc<str>>,
}

impl IntentClient {
    /// To say where the bus is, with which key, and more.
    ///
    /// ```
    /// let bus = intent_bus_client::IntentClient::builder().base_url("http://127.0.0.1:5000").api_key("tk_0").build()?;
    /// # let _ = bus;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client by `INTENT_BUS_URL`, and `INTENT_API_KEY` or `~/.apikey`.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    ///
    /// ```no_run
    /// let bus = intent_bus_client::IntentClient::from_env()?;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    pub(crate) fn new(transport: Arc<Transport>, retry: RetryPolicy, namespace: Option<String>) -> Self {
        Self { transport, retry, namespace: namespace.map(Into::into) }
    }

    /// The namespace of calls that name none.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(crate) async fn call(&self, call: &Call, repeat: Repeat) -> Result<Answer> {
        self.transport.call(call, repeat, &self.retry).await
    }

    /// Publishes an intent, when the builder that this gives is awaited. Sent again without a second intent, since it goes with
    /// an idempotency key: the caller's, or one made for this call.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// let order = serde_json::json!({"order": 7});
    /// let published = bus
    ///     .publish("pay", &order)
    ///     .priority(500)
    ///     .delay(Duration::from_secs(60))
    ///     .max_attempts(5)
    ///     .idempotency_key("order-7")
    ///     .await?;
    /// println!("{}", published.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<T: Serialize + ?Sized>(&self, goal: impl Into<String>, payload: &T) -> Publish {
        Publish::new(self.clone(), NewIntent::new(goal, payload))
    }

    /// The same with a payload that is JSON already, and arrives byte for byte.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use intent_bus_client::RawValue;
    ///
    /// let payload = RawValue::from_string(r#"{"n": 1e400}"#.to_owned())?;
    /// bus.publish_json("resize", payload).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_json(&self, goal: impl Into<String>, payload: Box<RawValue>) -> Publish {
        Publish::new(self.clone(), NewIntent::json(goal, payload))
    }

    /// Publishes up to 1,000 intents by one request, all of which are committed together. Each has an outcome of its own, in
    /// their order.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use intent_bus_client::NewIntent;
    ///
    /// for outcome in bus.publish_many((1..=100).map(|page| NewIntent::new("render", &page))).await? {
    ///     println!("{:?}", outcome.map(|published| published.id));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_many(&self, intents: impl IntoIterator<Item = NewIntent>) -> PublishMany {
        PublishMany::new(self.clone(), intents.into_iter().collect())
    }

    /// Claims the next intent with this goal, when the builder that this gives is awaited. Not tried again if the answer is lost:
    /// the intent comes back by itself when its lease ends.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// if let Some(job) = bus.claim("greet").wait(Duration::from_secs(20)).await? {
    ///     let name: String = job.payload()?;
    ///     bus.fulfill(&job, &format!("hello, {name}")).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim(&self, goal: impl Into<String>) -> Claim {
        Claim::new(self.clone(), Some(goal.into()))
    }

    /// Claims the next intent with any goal.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// for job in bus.claim_any().namespace("images").many(10).await? {
    ///     println!("{}: {}", job.goal(), job.payload_json());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_any(&self) -> Claim {
        Claim::new(self.clone(), None)
    }

    /// What has become of an intent.
    ///
    /// # Errors
    /// [`Error::Refused`] with 404 if there is none of this id, [`Error::Auth`] if it is not this key's.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// let status = bus.status("01a2046cc299778fa0253dd9c02d09ba").await?;
    /// println!("{:?} after {:?} attempts", status.state, status.attempts);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn status(&self, id: &str) -> Result<IntentStatus> {
        self.status_by(id, false, &self.retry).await
    }

    pub(crate) async fn status_by(&self, id: &str, gives_codes: bool, policy: &RetryPolicy) -> Result<IntentStatus> {
        let mut call = Call::get(format!("/status/{}", encoded(id)))?;
        call.gives_codes = gives_codes;
        self.transport.call(&call, Repeat::Safely, policy).await?.json("a status")
    }

    /// The same, and what the work brought.
    ///
    /// # Errors
    /// As [`Self::status`].
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// let width: Option<u32> = bus.result("01a2046cc299778fa0253dd9c02d09ba").await?.value()?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn result(&self, id: &str) -> Result<IntentResult> {
        let call = Call::get(format!("/result/{}", encoded(id)))?;
        self.call(&call, Repeat::Safely).await?.json("a result")
    }

    /// Asks for the result until the intent is fulfilled or dead, for so long at most.
    ///
    /// # Errors
    /// As [`Self::status`], and [`Error::TimedOut`]. A bus that is away is asked again for as long as the client is patient
    /// ([`RetryPolicy::patience`]), counted from the last answer.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use std::time::Duration;
    /// use intent_bus_client::IntentState;
    ///
    /// let id = bus.publish("greet", "Ada").await?.id;
    /// let done = bus.wait_for_result(&id, Duration::from_secs(60)).await?;
    /// match done.status.state {
    ///     IntentState::Fulfilled => println!("{:?}", done.value::<String>()?),
    ///     _ => println!("given up: {:?}", done.error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_for_result(&self, id: &str, within: Duration) -> Result<IntentResult> {
        let call = Call::get(format!("/result/{}", encoded(id)))?;
        let began = Instant::now();
        // Further away than any clock reaches: for ever.
        let deadline = began.checked_add(within).unwrap_or_else(|| began + FOR_EVER);
        let mut pause = LOOKS.0;
        let mut away: Option<Instant> = None;
        loop {
            // Also the last look, at the deadline, has time for its answer.
            let until = deadline.max(Instant::now() + LAST_LOOK);
            let Ok(answer) = timeout_at(until, self.transport.send(&call)).await else {
                return Err(Error::TimedOut(within));
            };
            match answer {
                Ok(answer) => {
                    away = None;
                    let result: IntentResult = answer.json("a result")?;
                    if result.status.state.is_final() {
                        return Ok(result);
                    }
                }
                Err(error) if error.is_retryable() => {
                    if away.get_or_insert_with(Instant::now).elapsed() > self.retry.lasts() {
                        return Err(error);
                    }
                    pause = pause.max(error.retry_after().unwrap_or_default());
                    tracing::debug!(%error, "asking for a result");
                }
                Err(error) => return Err(error),
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(Error::TimedOut(within));
            }
            sleep(pause.min(deadline - now)).await;
            pause = (pause.min(LOOKS.1) * 3 / 2).min(LOOKS.1);
        }
    }

    /// Stores a small value under a key for `ttl`, 1 s to a day; 10 minutes if `None`. Workers and publishers of one tenant
    /// share them.
    ///
    /// # Errors
    /// [`Error::Config`] for a key that no request can carry; [`Error::Refused`] for a value that is too large.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// bus.set("node/1", "active", Some(Duration::from_secs(60))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Option<Duration>) -> Result<()> {
        #[derive(Serialize)]
        struct Body<'a, T: ?Sized> {
            value: &'a T,
            #[serde(skip_serializing_if = "Option::is_none")]
            ttl: Option<u64>,
        }
        let body = Body { value, ttl: ttl.map(|ttl| ttl.as_secs()) };
        let mut call = Call::post(value_target("set", key)?, &body)?;
        call.header(headers::IDEMPOTENCY_KEY, &random_hex(16)?)?;
        self.call(&call, Repeat::Safely).await?;
        Ok(())
    }

    /// The value under this key: a string as it was stored, anything else as its JSON. `None` when there is none, or no more.
    ///
    /// # Errors
    /// [`Error::Protocol`] for a value that no Rust string can hold (a lone surrogate).
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// if let Some(state) = bus.get("node/1").await? {
    ///     println!("{state}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let call = Call::new(Method::GET, value_target("get", key)?, Bytes::new())?;
        match self.call(&call, Repeat::Safely).await {
            Ok(answer) => {
                let found: wire::Value = answer.json("a value")?;
                let text = serde_json::from_str(found.value.get());
                text.map(Some).map_err(|error| Error::protocol(format!("a value that is no text: {error}")))
            }
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same client as an operator, by the admin token.
    ///
    /// # Errors
    /// When the token has characters that no header can carry.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// for letter in bus.admin("admin-token")?.dead().await? {
    ///     println!("{}: {}", letter.intent_id, letter.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "admin")]
    pub fn admin(&self, token: impl AsRef<str>) -> Result<crate::admin::Admin> {
        crate::admin::Admin::new(self.clone(), token.as_ref())
    }
}

fn value_target(verb: &str, key: &str) -> Result<String> {
    if key.is_empty() {
        return Err(Error::config("A key has one character at least."));
    }
    Ok(format!("/{verb}/{}", encoded_but(key, "/")))
}

impl fmt::Debug for IntentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntentClient")
            .field("url", &self.transport.url.as_str())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
