//! The client for programs without async, with the feature `blocking`. Every call is made ready as with the async client, and
//! waited for.
//!
//! Not to be used from within async code: there it would block what runs beside it, and panics where the runtime notices.

use std::{fmt, future::IntoFuture, sync::Arc};

use tokio::runtime::{Builder, Runtime};

use crate::{
    client::IntentClient as Async,
    error::{Error, Result},
    worker::Worker,
};

/// A client whose calls block the thread.
///
/// ```no_run
/// use intent_bus_client::blocking::IntentClient;
///
/// let bus = IntentClient::from_env()?;
/// let published = bus.wait(|bus| bus.publish("greet", "Ada").priority(500))?;
/// println!("{}", published.id);
/// # Ok::<(), intent_bus_client::Error>(())
/// ```
#[derive(Clone)]
pub struct IntentClient {
    client: Async,
    runtime: Arc<Runtime>,
}

impl IntentClient {
    /// Blocks on what this client does.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// ```no_run
    /// let client = intent_bus_client::IntentClient::from_env()?;
    /// let bus = intent_bus_client::blocking::IntentClient::new(client)?;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn new(client: Async) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("intent-bus").enable_all().build();
        let runtime = runtime.map_err(|error| Error::config(format!("The system gives no thread: {error}")))?;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// As [`IntentClient::from_env`](crate::IntentClient::from_env).
    ///
    /// # Errors
    /// As there.
    pub fn from_env() -> Result<Self> {
        Self::new(Async::from_env()?)
    }

    /// Waits for a call of the async client: every method, and every builder.
    ///
    /// # Errors
    /// Those of the call.
    ///
    /// ```no_run
    /// # fn example(bus: &intent_bus_client::blocking::IntentClient) -> intent_bus_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// if let Some(job) = bus.wait(|bus| bus.claim("greet").wait(Duration::from_secs(20)))? {
    ///     bus.wait(|bus| bus.fulfill(&job, "done"))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait<'a, C: IntoFuture>(&'a self, call: impl FnOnce(&'a Async) -> C) -> C::Output {
        self.runtime.block_on(async { call(&self.client).into_future().await })
    }

    /// Runs a worker until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// As [`Worker::run`].
    ///
    /// ```no_run
    /// # fn example(bus: &intent_bus_client::blocking::IntentClient) -> intent_bus_client::Result<()> {
    /// use intent_bus_client::{Job, Worker};
    ///
    /// let worker = Worker::new(bus.client().clone());
    /// bus.run(worker.goal("double", |job: Job<u64>| async move { Ok::<_, &'static str>(job.payload * 2) }))
    /// # }
    /// ```
    pub fn run(&self, worker: Worker) -> Result<()> {
        self.runtime.block_on(worker.run())
    }

    /// The async client underneath.
    #[must_use]
    pub fn client(&self) -> &Async {
        &self.client
    }
}

impl fmt::Debug for IntentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::IntentClient").field(&self.client).finish()
    }
}
