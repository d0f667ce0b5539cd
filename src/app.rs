//! What the handlers of one replica share, and the App that is made of it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    config::{Auth, Config, Limits, Proxy, TraceUrl},
    domain::{hash::key_hash, ids::TokenKey},
    error::Result,
    http::dashboard::{Live, Seal},
    store::{Store, key_cache::KeyCache},
    telemetry::metrics::Metrics,
};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

/// Shared by all handlers of a replica.
pub struct State {
    /// The database.
    pub store: Store,
    /// Keys seen lately.
    pub keys: KeyCache,
    /// Counters of this replica.
    pub metrics: Metrics,
    /// Secrets and signatures.
    pub auth: Auth,
    /// What stands in front.
    pub proxy: Proxy,
    /// Sizes, rates and times.
    pub limits: Limits,
    /// What the dashboard has given out.
    pub seal: Seal,
    /// Those who look at the dashboard.
    pub live: Live,
    /// Where people look at traces.
    pub trace_url: Option<TraceUrl>,
    /// Days for which finished intents are kept.
    pub retention_days: i32,
    /// What tokens of claims are made by that may be asked for again. Half of it is in the database.
    token_key: OnceCell<TokenKey>,
    /// SHA-256 of the root key, compared in its place.
    root_hash: [u8; 32],
    /// The schema is there.
    prepared: AtomicBool,
    /// The replica is about to stop.
    draining: AtomicBool,
}

impl State {
    /// The state of a replica that serves from `store`.
    ///
    /// # Errors
    /// When the metrics cannot be registered.
    pub fn new(config: &Config, store: Store) -> Result<Self> {
        Ok(Self {
            keys: KeyCache::new(store.clone()),
            metrics: Metrics::new(&store.flow)?,
            store,
            seal: Seal::new(&config.auth),
            live: Live::default(),
            auth: config.auth.clone(),
            proxy: config.proxy.clone(),
            limits: config.limits.clone(),
            trace_url: config.trace_url.clone(),
            retention_days: config.maintenance.retention_days,
            token_key: OnceCell::new(),
            root_hash: key_hash(config.auth.root.expose_secret()),
            prepared: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        })
    }

    /// What tokens of claims are made by that may be asked for again.
    ///
    /// # Errors
    /// `database_busy`, as long as it was not asked.
    pub async fn token_key(&self) -> Result<&TokenKey> {
        let make = async || {
            // Boxed for the sake of waiting claims, as in `Store::claim`.
            let salt = Box::pin(self.store.token_salt()).await?;
            Ok(TokenKey::of(self.auth.root.expose_secret(), &salt))
        };
        self.token_key.get_or_try_init(make).await
    }

    /// SHA-256 of the root key.
    #[must_use]
    pub fn root_hash(&self) -> &[u8; 32] {
        &self.root_hash
    }

    /// From now on the database can be worked with.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Relaxed);
    }

    /// Whether the database was ever ready for this replica.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }

    /// Says by `/readyz`, and by closing connections after their next answer, that the replica is about to stop. Claims that
    /// wait are answered, and the dashboard's streams end.
    pub fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.store.stop_waiting();
        self.live.close();
    }

    /// Whether the replica is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
