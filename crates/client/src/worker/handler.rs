//! What a handler gets, what it gives, and the one shape in which the worker keeps handlers of all types.

use std::{error::Error as StdError, marker::PhantomData, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;

use crate::{claim::Claimed, client::IntentClient, error::chain, finish::End};

/// An intent, as its handler gets it. `T` is what the payload is read as; `Box<RawValue>` is the payload byte for byte.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// use intent_bus_client::{Error, Job, Worker};
///
/// #[derive(serde::Deserialize)]
/// struct Name {
///     name: String,
/// }
///
/// async fn greet(job: Job<Name>) -> Result<String, Error> {
///     println!("{} in {}: {}, attempt {}", job.goal(), job.namespace(), job.id(), job.attempt());
///     println!("priority {}, trace {:?}", job.claimed().priority(), job.traceparent());
///     job.client().publish("log", &job.payload.name).await?;
///     Ok(format!("hello, {}", job.payload.name))
/// }
///
/// Worker::new(bus).goal("greet", greet).run().await
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Job<T> {
    /// What to work on. Whoever may publish wrote it: check it before you act on it, the more so if it is public.
    pub payload: T,
    claimed: Arc<Claimed>,
    client: IntentClient,
    traceparent: Option<String>,
    cancelled: watch::Receiver<bool>,
}

impl<T> Job<T> {
    /// The intent's id: the same at each attempt, so a good key for what must be done once only.
    #[must_use]
    pub fn id(&self) -> &str {
        self.claimed.id()
    }

    /// Its goal.
    #[must_use]
    pub fn goal(&self) -> &str {
        self.claimed.goal()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.claimed.namespace()
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.claimed.attempt()
    }

    /// The claim, with all that came along.
    #[must_use]
    pub fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// The client that claimed it: to publish more, or to share a value.
    #[must_use]
    pub fn client(&self) -> &IntentClient {
        &self.client
    }

    /// The trace of this work, for requests to others: a span of its own in the publisher's trace. `None` if there is none.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Waits until this job has to end: its lease is lost, its time is over, or the worker makes haste to stop. The handler may
    /// then go on for [`Worker::cancel_grace`](super::Worker::cancel_grace), to leave things in order. What it gives by then is
    /// its end, unless the lease is lost.
    ///
    /// ```no_run
    /// use intent_bus_client::Job;
    ///
    /// async fn render(job: Job<u32>) -> Result<u32, String> {
    ///     let mut program = tokio::process::Command::new("render").arg(job.payload.to_string()).spawn().map_err(|e| e.to_string())?;
    ///     tokio::select! {
    ///         ended = program.wait() => ended.map(|_| 1).map_err(|error| error.to_string()),
    ///         () = job.cancelled() => {
    ///             program.kill().await.map_err(|error| error.to_string())?;
    ///             Err("ended before its time".to_owned())
    ///         }
    ///     }
    /// }
    /// # let _ = render;
    /// ```
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static + use<T> {
        let mut cancelled = self.cancelled.clone();
        // Without a sender the job is over, too.
        async move { drop(cancelled.wait_for(|cancelled| *cancelled).await) }
    }
}

/// How an intent was worked off. Handlers may give any `Serialize` instead, which is [`Outcome::Json`] of it.
///
/// ```
/// use intent_bus_client::{Job, Outcome};
///
/// async fn notify(job: Job<serde_json::Value>) -> Result<Outcome, std::io::Error> {
///     match job.payload["message"].as_str() {
///         None => Ok(Outcome::reject("there is no message")),
///         Some("") => Ok(Outcome::json(&["nobody", "nothing"])?),
///         Some(message) => Ok(Outcome::text(format!("told: {message}"))),
///     }
/// }
/// # let _ = notify;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Fulfilled, without a result.
    Done,
    /// Fulfilled with this JSON, which is stored byte for byte.
    Json(Box<RawValue>),
    /// Fulfilled with this text: `result_type` is `text`.
    Text(String),
    /// Not done, and no fault of the handler: the attempt has failed for this reason. As `False` in the Python SDK.
    Reject(String),
}

impl Outcome {
    /// [`Outcome::Json`] of anything that can be written as JSON.
    ///
    /// # Errors
    /// When it cannot.
    pub fn json<T: Serialize + ?Sized>(result: &T) -> serde_json::Result<Self> {
        to_raw_value(result).map(Self::Json)
    }

    /// [`Outcome::Text`].
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// [`Outcome::Reject`].
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    fn end(self) -> serde_json::Result<End> {
        Ok(match self {
            Self::Done => End::Fulfilled { result: None, text: false },
            Self::Json(result) => End::Fulfilled { result: Some(result), text: false },
            Self::Text(text) => End::Fulfilled { result: Some(to_raw_value(&text)?), text: true },
            Self::Reject(reason) => End::failed(&reason),
        })
    }
}

/// What a handler may give: an [`Outcome`], or anything that can be written as JSON, which is then the result. `()` is `null`.
///
/// ```
/// use intent_bus_client::{Outcome, worker::IntoOutcome};
///
/// assert!(matches!(6.into_outcome()?, Outcome::Json(json) if json.get() == "6"));
/// assert!(matches!(Outcome::Done.into_outcome()?, Outcome::Done));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait IntoOutcome {
    /// The outcome that this stands for.
    ///
    /// # Errors
    /// When it cannot be written as JSON. The attempt has failed then.
    fn into_outcome(self) -> serde_json::Result<Outcome>;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> serde_json::Result<Outcome> {
        Ok(self)
    }
}

impl<T: Serialize> IntoOutcome for T {
    fn into_outcome(self) -> serde_json::Result<Outcome> {
        Outcome::json(&self)
    }
}

/// What [`Worker::goal`](super::Worker::goal) takes the error of a handler as: any error, and any text.
///
/// ```
/// let error: intent_bus_client::worker::BoxError = "no such file".into();
/// # let _ = error;
/// ```
pub type BoxError = Box<dyn StdError + Send + Sync>;

pub(super) type Working = Pin<Box<dyn Future<Output = End> + Send>>;

/// What comes with a job, whatever its payload is read as.
pub(super) struct Context {
    pub(super) claimed: Arc<Claimed>,
    pub(super) client: IntentClient,
    pub(super) traceparent: Option<String>,
    pub(super) cancelled: watch::Receiver<bool>,
}

/// A handler of whatever type.
pub(super) trait Handle: Send + Sync {
    fn handle(&self, context: Context) -> Working;
}

/// An async function as a handler.
pub(super) struct Handler<F, T> {
    function: F,
    payload: PhantomData<fn() -> T>,
}

impl<F, T> Handler<F, T> {
    pub(super) fn new(function: F) -> Self {
        Self { function, payload: PhantomData }
    }
}

impl<F, T, R, O, E> Handle for Handler<F, T>
where
    F: Fn(Job<T>) -> R + Send + Sync,
    T: DeserializeOwned,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: IntoOutcome,
    E: Into<BoxError>,
{
    fn handle(&self, Context { claimed, client, traceparent, cancelled }: Context) -> Working {
        let payload = match claimed.payload::<T>() {
            Ok(payload) => payload,
            Err(error) => {
                let end = End::failed(&format!("The payload is not what this worker expects: {error}"));
                return Box::pin(std::future::ready(end));
            }
        };
        let work = (self.function)(Job { payload, claimed, client, traceparent, cancelled });
        Box::pin(async move {
            match work.await {
                Ok(outcome) => outcome
                    .into_outcome()
                    .and_then(Outcome::end)
                    .unwrap_or_else(|error| End::failed(&format!("The result cannot be written as JSON: {error}"))),
                Err(error) => End::failed(&chain(error.into().as_ref())),
            }
        })
    }
}
