//! How a client is made.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crate::{
    client::IntentClient,
    credentials::{self, Key},
    error::{Error, Result},
    retry::RetryPolicy,
    signing::Signer,
    transport::Transport,
};

const USER_AGENT: &str = concat!("intent-bus-client/", env!("CARGO_PKG_VERSION"));

/// Makes an [`IntentClient`].
///
/// ```
/// use std::time::Duration;
/// use intent_bus_client::{IntentClient, RetryPolicy};
///
/// let bus = IntentClient::builder()
///     .base_url("https://bus.example")
///     .api_key("tk_…".replace('…', "0"))
///     .namespace("images")
///     .timeout(Duration::from_secs(10))
///     .connect_timeout(Duration::from_secs(3))
///     .user_agent("thumbnails/1.0")
///     .largest_answer(8 << 20)
///     .retry(RetryPolicy::default().attempts(3))
///     .build()?;
/// # let _ = bus;
/// # Ok::<(), intent_bus_client::Error>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    base_url: Option<String>,
    key: Option<Key>,
    key_file: Option<PathBuf>,
    namespace: Option<String>,
    timeout: Duration,
    connect_timeout: Duration,
    user_agent: String,
    largest_answer: usize,
    retry: RetryPolicy,
    http: Option<reqwest::ClientBuilder>,
    empty_key: bool,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            base_url: None,
            key: None,
            key_file: None,
            namespace: None,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            user_agent: USER_AGENT.to_owned(),
            largest_answer: 64 << 20,
            retry: RetryPolicy::default(),
            http: None,
            empty_key: false,
        }
    }
}

impl ClientBuilder {
    /// Where the bus is, `https://bus.example`: http or https, a host and maybe a port, no path. Else `INTENT_BUS_URL`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The API key. Else [`Self::key_file`], `INTENT_API_KEY`, `~/.apikey`, in this order.
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.key = Key::new(key.as_ref());
        self.empty_key = self.key.is_none();
        self
    }

    /// A file that holds the key. It must be a file of this user's own and no symbolic link; that others can read it is warned of.
    ///
    /// ```no_run
    /// let builder = intent_bus_client::IntentClient::builder().base_url("https://bus.example");
    /// let bus = builder.key_file("/run/secrets/bus-key").build()?;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// The namespace of what is published and claimed, unless the call names another. `default` unless set.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// How long one try may take from its beginning to the end of the answer: 15 s unless set. What a claim waits for comes on top.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take: 5 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// What the client calls itself: `intent-bus-client/VERSION` unless set.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// The largest answer that is read, in bytes: 64 MiB unless set. A larger one is an [`Error::Protocol`].
    pub fn largest_answer(mut self, bytes: usize) -> Self {
        self.largest_answer = bytes;
        self
    }

    /// How often and how long calls are tried again, where that is safe.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The HTTP client underneath: proxies, authorities, pools. A builder and no client that is made already, since redirects
    /// are turned off on it: followed, they would take the key to wherever they lead. TLS is up to it, too; with reqwest's
    /// feature `rustls-no-provider`, as here, that takes a provider of cryptography installed for the process.
    ///
    /// ```no_run
    /// let http = reqwest::Client::builder().no_proxy();
    /// let bus = intent_bus_client::IntentClient::builder().base_url("http://bus:5000").http_client(http).build()?;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    pub fn http_client(mut self, builder: reqwest::ClientBuilder) -> Self {
        self.http = Some(builder);
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no address or no key, or what was given cannot be used.
    pub fn build(self) -> Result<IntentClient> {
        if self.empty_key {
            return Err(Error::config("The API key is empty."));
        }
        let key = credentials::key(self.key.as_ref().map(Key::reveal), self.key_file.as_deref())?;
        self.with_key(&key)
    }

    fn with_key(self, key: &Key) -> Result<IntentClient> {
        let url = credentials::base_url(self.base_url.as_deref())?;
        let http = match self.http {
            Some(builder) => builder,
            None => crate::tls::builder(&url)?,
        };
        let http = http
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent)
            .build()
            .map_err(|error| Error::config(format!("The HTTP client: {}", crate::error::chain(&error))))?;
        let signer = Signer::new(key.reveal())?;
        let (timeout, largest_answer) = (self.timeout, self.largest_answer);
        let transport = Transport { http, url, signer, timeout, largest_answer, claims_again: AtomicBool::new(false) };
        Ok(IntentClient::new(Arc::new(transport), self.retry, self.namespace))
    }

    /// What operators do, with the admin token alone. No API key is looked for.
    ///
    /// # Errors
    /// As [`Self::build`].
    ///
    /// ```
    /// let admin = intent_bus_client::IntentClient::builder()
    ///     .base_url("https://bus.example")
    ///     .build_admin("admin-token")?;
    /// # let _ = admin;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    #[cfg(feature = "admin")]
    pub fn build_admin(self, token: impl AsRef<str>) -> Result<crate::admin::Admin> {
        // Never sent: requests of an operator carry the token instead.
        let unused = Key::new("unused").ok_or_else(|| Error::config("no key"))?;
        self.with_key(&unused)?.admin(token)
    }

    /// As [`Self::build_admin`], with the token in this file, of which the same is asked as of a [key file](Self::key_file).
    ///
    /// # Errors
    /// As [`Self::build`].
    ///
    /// ```no_run
    /// let builder = intent_bus_client::IntentClient::builder().base_url("https://bus.example");
    /// let admin = builder.build_admin_from_file("/run/secrets/admin-token")?;
    /// # let _ = admin;
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    #[cfg(feature = "admin")]
    pub fn build_admin_from_file(self, path: impl AsRef<std::path::Path>) -> Result<crate::admin::Admin> {
        let token = credentials::key(None, Some(path.as_ref()))?;
        self.build_admin(token.reveal())
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("key", &self.key).field("retry", &self.retry).finish_non_exhaustive()
    }
}
