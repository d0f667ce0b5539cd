//! The only home of SQL. One file for each statement, beside the one function that runs it; what several statements make up
//! together happens in one transaction. Nothing here knows of HTTP.
//!
//! What a request does commits together or not at all: admission (nonce, rate limit), idempotency key, quota and the operation
//! itself. Publishes, claims and fulfilments that arrive together share a statement (`coalesce`); everything else has a
//! transaction of its own (`transaction`).

pub mod admission;
pub mod bus;
mod calendar;
mod coalesce;
pub mod connect;
pub mod idempotency;
pub mod intents;
pub mod key_cache;
pub mod keys;
pub mod kv;
mod lanes_in_use;
mod marks;
pub mod migrations;
pub mod operators;
pub mod partitions;
pub mod pauses;
pub mod pulse;
pub mod rings;
pub mod session;
mod signals;
pub mod statements;
pub mod totals;
pub mod transaction;
pub mod vacuum;
mod waiters;
pub mod workers;

use std::sync::{Arc, atomic::AtomicUsize};

use deadpool_postgres::Pool;
use tokio::runtime::Handle;

use self::{
    admission::Refusals,
    calendar::Calendar,
    coalesce::{Coalesced, Coalescer},
    intents::{claim::Claim, fulfill::Fulfill, publish::Publish},
    lanes_in_use::{LanesInUse, Several},
    marks::Marks,
    pauses::Pauses,
    session::Session,
    signals::Signals,
    waiters::Waiters,
    workers::Seen,
};
pub use self::{coalesce::Failure, connect::connect, transaction::Tx};
use crate::{
    error::{Error, Result},
    telemetry::{flow::Flow, traces::Traces},
};

/// What a transaction of maintenance or of an operator sets before it reads a whole table: the sessions of the pool are set
/// up for requests, which never do.
const WHOLE_TABLE: &str =
    "SET LOCAL statement_timeout = '5min'; SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on";

/// The database, through a pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// What all clones of a store share.
pub struct Inner {
    pool: Pool,
    /// Seconds for which an unclaimed intent may be claimed.
    intent_ttl: f64,
    publishes: Arc<Coalescer<Publish>>,
    claims: Arc<Coalescer<Claim>>,
    fulfilments: Arc<Coalescer<Fulfill>>,
    calendar: Calendar,
    lanes_in_use: LanesInUse,
    several_lanes: Several,
    refusals: Refusals,
    /// Dead rows that claims and fulfilments have left in `intents` since this replica last asked whether to vacuum it.
    left_dead: AtomicUsize,
    marks: Marks,
    overview: operators::overview::Cache,
    signals: Signals,
    waiters: Waiters,
    /// What becomes of intents.
    pub flow: Arc<Flow>,
    /// Where spans go.
    pub traces: Traces,
    /// What is paused.
    pub pauses: Pauses,
    /// Who has asked for work of late.
    pub workers: Seen,
}

impl std::ops::Deref for Store {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Store {
    /// A store on a pool, whose work is driven by the runtime that calls this. `intent_ttl`: seconds for which an unclaimed
    /// intent may be claimed.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn new(pool: Pool, intent_ttl: f64, flow: Arc<Flow>, traces: Traces) -> Self {
        let runtime = Handle::current();
        Self(Arc::new(Inner {
            pool,
            intent_ttl,
            publishes: Coalescer::new(runtime.clone()),
            claims: Coalescer::new(runtime.clone()),
            fulfilments: Coalescer::new(runtime),
            calendar: Calendar::default(),
            lanes_in_use: LanesInUse::default(),
            several_lanes: Several::default(),
            refusals: Refusals::default(),
            left_dead: AtomicUsize::new(0),
            marks: Marks::default(),
            overview: operators::overview::Cache::default(),
            signals: Signals::default(),
            waiters: Waiters::default(),
            flow,
            traces,
            pauses: Pauses::default(),
            workers: Seen::default(),
        }))
    }

    /// A connection of the pool.
    ///
    /// # Errors
    /// `database_busy` when none is free in time or the database is away.
    pub async fn client(&self) -> Result<Session> {
        let client = self.pool.get().await.map_err(Error::busy)?;
        Ok(Session::new(client, self.traces.clone()))
    }

    /// Answers the claims that wait, and lets none wait any more: the replica is about to stop.
    pub fn stop_waiting(&self) {
        self.waiters.close();
    }

    /// Intents and claims that wait for a flight, by kind.
    #[must_use]
    pub fn queued(&self) -> [(&'static str, usize); 3] {
        [
            (Publish::KIND, self.publishes.waiting()),
            (Claim::KIND, self.claims.waiting()),
            (Fulfill::KIND, self.fulfilments.waiting()),
        ]
    }

    /// Claims that wait for work.
    #[must_use]
    pub fn waiting_claims(&self) -> usize {
        self.waiters.count()
    }

    /// Counts what became of several things that were asked for together.
    fn count_answers<T>(&self, operation: &str, count: usize, answer: &Result<Vec<Result<T>>>) {
        match answer {
            Ok(answers) => {
                for answer in answers {
                    self.flow.outcome(operation, answer.as_ref().map(|_| ()).map_err(Error::code), 1);
                }
            }
            Err(error) => self.flow.outcome(operation, Err(error.code()), count),
        }
    }

    /// Connections in use, idle and waited for.
    #[must_use]
    pub fn pool_status(&self) -> deadpool_postgres::Status {
        self.pool.status()
    }

    /// Whether the database answers and has our schema.
    ///
    /// # Errors
    /// `database_busy` when it is away or its schema is not there.
    pub async fn has_schema(&self) -> Result<()> {
        if transaction::in_time(async { migrations::pending(self.client().await?.untraced()).await }).await? {
            return Err(Error::busy("the schema is not there or not up to date"));
        }
        Ok(())
    }

    /// Whether the sessions of the pool have the settings that the bus relies on.
    ///
    /// # Errors
    /// `database_busy` when they do not, or the database is away.
    pub async fn has_session_settings(&self) -> Result<()> {
        let client = self.client().await?;
        let timeout: String = transaction::in_time(async {
            Ok(client.query_one("SELECT current_setting('statement_timeout')", &[]).await?.try_get(0)?)
        })
        .await?;
        if timeout != connect::STATEMENT_TIMEOUT {
            return Err(Error::busy(
                "sessions through DATABASE_URL do not have the settings of the role: it must be the role of DATABASE_DIRECT_URL, \
                 and the pool has to open its sessions anew (PgBouncer: RECONNECT) after the migration",
            ));
        }
        Ok(())
    }
}

impl From<tokio_postgres::Error> for Error {
    /// What a statement may meet without a fault of ours: the database away, shutting down, read-only after a failover, too
    /// busy, or slower than its timeouts. Everything else is a fault.
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let passing = error.code().is_none_or(|code| {
            [
                SqlState::QUERY_CANCELED,
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::READ_ONLY_SQL_TRANSACTION,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ]
            .contains(code)
                // Connection trouble, lack of resources, operator intervention, a server error such as a full disk.
                || ["08", "53", "57", "58"].iter().any(|class| code.code().starts_with(class))
        });
        if passing { Self::busy(error) } else { Self::fault(error) }
    }
}
