//! A connection of the pool and a transaction on it, whose statements have spans where there are traces. They are used like
//! those of the pool; without traces they add nothing.

use std::{collections::HashMap, sync::LazyLock};

use deadpool_postgres::{Object, Transaction as PoolTransaction};
use tokio_postgres::{Error, Row, Statement, ToStatement, types::ToSql};

use super::statements;
use crate::telemetry::traces::Traces;

type Result<T> = std::result::Result<T, Error>;
type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The name of a text that is no file.
const UNNAMED: &str = "text";

/// What statements run on, with their spans.
pub struct Traced<T> {
    inner: T,
    traces: Traces,
}

/// A connection of the pool.
pub type Session = Traced<Object>;
/// A transaction on it. Rolled back when it is dropped.
pub type Transaction<'c> = Traced<PoolTransaction<'c>>;

/// A statement that is prepared on a session.
pub struct Prepared {
    inner: Statement,
    /// For its span. None: it will have none.
    name: Option<&'static str>,
}

/// What can be run: a prepared statement, or a text.
pub trait Runnable: Sync {
    /// As the driver wants it.
    type Inner: ?Sized + ToStatement + Sync;

    /// For the driver, and the name of the span.
    fn parts(&self) -> (&Self::Inner, Option<&'static str>);
}

impl Runnable for Prepared {
    type Inner = Statement;

    fn parts(&self) -> (&Statement, Option<&'static str>) {
        (&self.inner, self.name)
    }
}

impl Runnable for str {
    type Inner = Self;

    fn parts(&self) -> (&Self, Option<&'static str>) {
        (self, Some(UNNAMED))
    }
}

/// A client of the pool. The pool has a trait for them, too, but that allocates with every call.
pub trait Client: Sync {
    /// Prepares a text, or finds it prepared.
    fn prepare(&self, text: &str) -> impl Future<Output = Result<Statement>> + Send;

    /// Runs a statement and gives its rows.
    fn rows<S: ToStatement + Sync + ?Sized>(
        &self,
        run: &S,
        with: Parameters<'_>,
    ) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// The same with one row or none.
    fn row<S: ToStatement + Sync + ?Sized>(
        &self,
        run: &S,
        with: Parameters<'_>,
    ) -> impl Future<Output = Result<Option<Row>>> + Send;

    /// The same with one row.
    fn one_row<S: ToStatement + Sync + ?Sized>(
        &self,
        run: &S,
        with: Parameters<'_>,
    ) -> impl Future<Output = Result<Row>> + Send;

    /// Runs a statement and counts its rows.
    fn count<S: ToStatement + Sync + ?Sized>(
        &self,
        run: &S,
        with: Parameters<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Runs a text of several statements.
    fn batch(&self, text: &str) -> impl Future<Output = Result<()>> + Send;
}

macro_rules! client {
    ($client:ty) => {
        impl Client for $client {
            fn prepare(&self, text: &str) -> impl Future<Output = Result<Statement>> + Send {
                self.prepare_cached(text)
            }

            fn rows<S: ToStatement + Sync + ?Sized>(
                &self,
                run: &S,
                with: Parameters<'_>,
            ) -> impl Future<Output = Result<Vec<Row>>> + Send {
                self.query(run, with)
            }

            fn row<S: ToStatement + Sync + ?Sized>(
                &self,
                run: &S,
                with: Parameters<'_>,
            ) -> impl Future<Output = Result<Option<Row>>> + Send {
                self.query_opt(run, with)
            }

            fn one_row<S: ToStatement + Sync + ?Sized>(
                &self,
                run: &S,
                with: Parameters<'_>,
            ) -> impl Future<Output = Result<Row>> + Send {
                self.query_one(run, with)
            }

            fn count<S: ToStatement + Sync + ?Sized>(
                &self,
                run: &S,
                with: Parameters<'_>,
            ) -> impl Future<Output = Result<u64>> + Send {
                self.execute(run, with)
            }

            fn batch(&self, text: &str) -> impl Future<Output = Result<()>> + Send {
                self.batch_execute(text)
            }
        }
    };
}

client!(Object);
client!(PoolTransaction<'_>);

impl<T: Client> Traced<T> {
    /// A prepared statement, from the cache of the session if it is there.
    pub(crate) async fn prepare_cached(&self, text: &str) -> Result<Prepared> {
        self.prepare_made(text, text).await
    }

    /// The same for a text that is made in the way of one that has a name.
    pub(crate) async fn prepare_made(&self, text: &str, like: &str) -> Result<Prepared> {
        let inner = self.inner.prepare(text).await?;
        Ok(Prepared { inner, name: self.traces.is_recording().then(|| name_of(like)) })
    }

    pub(crate) async fn query<S: Runnable + ?Sized>(&self, run: &S, with: Parameters<'_>) -> Result<Vec<Row>> {
        let (statement, name) = run.parts();
        self.traces.statement(name, self.inner.rows(statement, with)).await
    }

    pub(crate) async fn query_opt<S: Runnable + ?Sized>(&self, run: &S, with: Parameters<'_>) -> Result<Option<Row>> {
        let (statement, name) = run.parts();
        self.traces.statement(name, self.inner.row(statement, with)).await
    }

    pub(crate) async fn query_one<S: Runnable + ?Sized>(&self, run: &S, with: Parameters<'_>) -> Result<Row> {
        let (statement, name) = run.parts();
        self.traces.statement(name, self.inner.one_row(statement, with)).await
    }

    pub(crate) async fn execute<S: Runnable + ?Sized>(&self, run: &S, with: Parameters<'_>) -> Result<u64> {
        let (statement, name) = run.parts();
        self.traces.statement(name, self.inner.count(statement, with)).await
    }

    pub(crate) async fn batch_execute(&self, text: &str) -> Result<()> {
        let name = ["BEGIN", "COMMIT", "ROLLBACK"].into_iter().find(|name| *name == text).unwrap_or(UNNAMED);
        self.traces.statement(Some(name), self.inner.batch(text)).await
    }
}

impl Session {
    pub(super) fn new(inner: Object, traces: Traces) -> Self {
        Self { inner, traces }
    }

    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>> {
        let inner = self.traces.statement(Some("BEGIN"), self.inner.transaction()).await?;
        Ok(Traced { inner, traces: self.traces.clone() })
    }

    /// One that only reads.
    pub(crate) async fn reading(&mut self) -> Result<Transaction<'_>> {
        let begun = self.inner.build_transaction().read_only(true).start();
        let inner = self.traces.statement(Some("BEGIN"), begun).await?;
        Ok(Traced { inner, traces: self.traces.clone() })
    }

    /// Closes the connection: it hangs, and nobody knows what it is in the middle of.
    pub(super) fn give_up(self) {
        drop(Object::take(self.inner));
    }

    /// For what is not traced.
    pub(super) fn untraced(&self) -> &Object {
        &self.inner
    }
}

impl Transaction<'_> {
    pub(crate) async fn commit(self) -> Result<()> {
        self.traces.statement(Some("COMMIT"), self.inner.commit()).await
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        self.traces.statement(Some("ROLLBACK"), self.inner.rollback()).await
    }
}

/// The file of a statement.
fn name_of(text: &str) -> &'static str {
    static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        let file = |name: &'static str| name.split(',').next().unwrap_or(name);
        statements::all().into_iter().map(|(name, text)| (text, file(name))).collect()
    });
    NAMES.get(text).copied().unwrap_or(UNNAMED)
}
