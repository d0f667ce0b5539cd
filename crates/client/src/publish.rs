//! Publishing: one intent, or many by one request.

use std::{future::IntoFuture, pin::Pin, time::Duration};

use intent_bus_protocol::{headers, wire::ErrorDetail};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    client::IntentClient,
    error::{Error, Refusal, Result},
    signing::random_hex,
    transport::{Call, Repeat},
};

/// What the public methods give when they are awaited.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// An intent to be published.
///
/// ```
/// use std::time::Duration;
/// use intent_bus_client::NewIntent;
///
/// let intent = NewIntent::new("render", &serde_json::json!({"page": 1}))
///     .namespace("books")
///     .priority(10)
///     .delay(Duration::from_secs(5))
///     .max_attempts(2)
///     .backoff_base(Duration::from_secs(1))
///     .target_worker("pi-3")
///     .required_capability("gpu")
///     .public();
/// # let _ = intent;
/// ```
#[derive(Debug)]
#[must_use = "nothing is published by this alone"]
pub struct NewIntent {
    payload: serde_json::Result<Box<RawValue>>,
    fields: Fields,
}

/// The fields of `POST /intent` but for the payload.
#[derive(Debug, Default, Serialize)]
struct Fields {
    goal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_base: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_capability: Option<String>,
}

/// The setters that an intent has both by itself and while it is published.
macro_rules! setters {
    ($($path:ident).+) => {
        /// The namespace: up to 64 of `A-Z a-z 0-9 _ . -`. That of the client unless set, and else `default`.
        pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
            self.$($path).+.namespace = Some(namespace.into());
            self
        }

        /// 0 to 1000; the higher is claimed first. 100 unless set.
        pub fn priority(mut self, priority: u32) -> Self {
            self.$($path).+.priority = Some(priority);
            self
        }

        /// Not to be claimed before so long, a year at most.
        pub fn delay(mut self, delay: Duration) -> Self {
            self.$($path).+.delay = Some(delay.as_secs_f64());
            self
        }

        /// Lets every worker with a key claim it, whosever key that is. Nothing secret belongs into its payload.
        pub fn public(mut self) -> Self {
            self.$($path).+.visibility = Some("public");
            self
        }

        /// The only worker that may claim it.
        pub fn target_worker(mut self, worker: impl Into<String>) -> Self {
            self.$($path).+.target_worker = Some(worker.into());
            self
        }

        /// What a worker must be able to do to claim it.
        pub fn required_capability(mut self, capability: impl Into<String>) -> Self {
            self.$($path).+.required_capability = Some(capability.into());
            self
        }

        /// How often it may be claimed before it is dead: 1 to 20, 3 unless set.
        pub fn max_attempts(mut self, attempts: u32) -> Self {
            self.$($path).+.max_attempts = Some(attempts);
            self
        }

        /// The base of the pause before attempt n + 1, which is this × 2ⁿ: 1 s to an hour, 5 s unless set.
        pub fn backoff_base(mut self, base: Duration) -> Self {
            self.$($path).+.backoff_base = Some(base.as_secs_f64());
            self
        }
    };
}

impl NewIntent {
    /// An intent with this goal (1 to 256 characters) and this payload. Whether the payload can be written as JSON is told
    /// when it is published.
    pub fn new<T: Serialize + ?Sized>(goal: impl Into<String>, payload: &T) -> Self {
        Self {
            payload: serde_json::value::to_raw_value(payload),
            fields: Fields { goal: goal.into(), ..Fields::default() },
        }
    }

    /// The same with a payload that is JSON already, and arrives byte for byte.
    ///
    /// ```
    /// use intent_bus_client::{NewIntent, RawValue};
    ///
    /// let intent = NewIntent::json("render", RawValue::from_string("[1e400]".to_owned())?);
    /// # let _ = intent;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn json(goal: impl Into<String>, payload: Box<RawValue>) -> Self {
        Self { payload: Ok(payload), fields: Fields { goal: goal.into(), ..Fields::default() } }
    }

    setters!(fields);

    fn body(self, client: &IntentClient) -> Result<Body> {
        let mut fields = self.fields;
        fields.namespace = fields.namespace.or_else(|| client.namespace().map(ToOwned::to_owned));
        Ok(Body { fields, payload: self.payload? })
    }
}

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    fields: Fields,
    payload: Box<RawValue>,
}

/// What was published.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// let published = bus.publish("greet", "Ada").await?;
/// println!("{} in {:?}", published.id, published.namespace);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The id, by which [`IntentClient::status`] and [`IntentClient::result`] know the intent.
    pub id: String,
    /// Its namespace, if the bus told.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// One intent that is about to be published: awaited, it is. Made by [`IntentClient::publish`].
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// let photo = serde_json::json!({"url": "https://example.org/cat.jpg"});
/// let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// bus.publish("resize", &photo).public().required_capability("gpu").idempotency_key("cat").traceparent(trace).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    client: IntentClient,
    intent: NewIntent,
    idempotency_key: Option<String>,
    traceparent: Option<String>,
}

impl Publish {
    pub(crate) fn new(client: IntentClient, intent: NewIntent) -> Self {
        Self { client, intent, idempotency_key: None, traceparent: None }
    }

    setters!(intent.fields);

    /// Whoever publishes again under this key (1 to 255 bytes), now or within a day, gets the first answer and no second intent;
    /// another body under it is refused. A new one for each call unless set: then it only covers the tries of this call.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The trace that this belongs to, as W3C Trace Context writes it. In the handler of a worker it is known already.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    async fn send(self) -> Result<Published> {
        let mut call = Call::post("/intent".to_owned(), &self.intent.body(&self.client)?)?;
        let key = self.idempotency_key.map_or_else(|| random_hex(16), Ok)?;
        call.header(headers::IDEMPOTENCY_KEY, &key)?;
        call.traced(self.traceparent.as_deref());
        self.client.call(&call, Repeat::Safely).await?.json("a publication")
    }
}

impl IntoFuture for Publish {
    type Output = Result<Published>;
    type IntoFuture = Pending<Published>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What became of one intent of many: published, or refused without concern to the others.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// use intent_bus_client::{NewIntent, PublishOutcome};
///
/// let outcomes: Vec<PublishOutcome> = bus.publish_many([NewIntent::new("greet", "Ada")]).await?;
/// # Ok(())
/// # }
/// ```
pub type PublishOutcome = std::result::Result<Published, Refusal>;

/// Many intents that are about to be published: awaited, they are. Made by [`IntentClient::publish_many`].
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// use intent_bus_client::NewIntent;
///
/// let labels = (1..=3).map(|label| NewIntent::new("label", &label));
/// let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// bus.publish_many(labels).idempotency_key("labels-of-monday").traceparent(trace).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct PublishMany {
    client: IntentClient,
    intents: Vec<NewIntent>,
    idempotency_key: Option<String>,
    traceparent: Option<String>,
}

impl PublishMany {
    pub(crate) fn new(client: IntentClient, intents: Vec<NewIntent>) -> Self {
        Self { client, intents, idempotency_key: None, traceparent: None }
    }

    /// As [`Publish::idempotency_key`], for the whole list: it stands for each intent together with its place.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// As [`Publish::traceparent`].
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    async fn send(self) -> Result<Vec<PublishOutcome>> {
        #[derive(Serialize)]
        struct Intents {
            intents: Vec<Body>,
        }
        #[derive(Deserialize)]
        struct Outcomes {
            outcomes: Vec<Outcome>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Outcome {
            Published(Published),
            Refused { error: ErrorDetail },
        }
        if self.intents.is_empty() {
            return Ok(Vec::new());
        }
        let expected = self.intents.len();
        let intents = self.intents.into_iter().map(|intent| intent.body(&self.client)).collect::<Result<_>>()?;
        let mut call = Call::post("/intents".to_owned(), &Intents { intents })?;
        let key = self.idempotency_key.map_or_else(|| random_hex(16), Ok)?;
        call.header(headers::IDEMPOTENCY_KEY, &key)?;
        call.traced(self.traceparent.as_deref());
        let answer = self.client.call(&call, Repeat::Safely).await?;
        let outcomes = answer.json::<Outcomes>("a publication of many")?.outcomes;
        if outcomes.len() != expected {
            return Err(Error::protocol(format!("{} outcomes for {expected} intents", outcomes.len())));
        }
        let outcome = |outcome| match outcome {
            Outcome::Published(published) => Ok(published),
            Outcome::Refused { error } => Err(Refusal::of(error)),
        };
        Ok(outcomes.into_iter().map(outcome).collect())
    }
}

impl IntoFuture for PublishMany {
    type Output = Result<Vec<PublishOutcome>>;
    type IntoFuture = Pending<Vec<PublishOutcome>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
