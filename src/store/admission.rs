//! Letting requests in: their nonces and their tenants' rate limits, in the transaction of what they do.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_postgres::{Row, error::SqlState, types::ToSql};
use uuid::Uuid;

use super::{
    Store, Tx,
    session::{Client, Session, Traced},
    statements::{self, Admitting},
};
use crate::error::{Error, ErrorCode, Result};

/// For so long after a refusal each request is looked at.
const REFUSED_OF_LATE: Duration = Duration::from_secs(30);

/// What has to be checked and stored for a request before it may do anything.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// The tenant whose rate is counted.
    pub tenant: i64,
    /// Requests allowed in a minute. None: any number.
    pub rate_limit: Option<i32>,
    /// Of a signed request.
    pub signed: Option<Signed>,
}

/// The parts of a verified signature that can be used once.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    /// Hash of tenant and nonce.
    pub nonce: Uuid,
    /// Unix seconds by the client's clock.
    pub timestamp: i64,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its timestamp is too far from the database's clock.
    Stale,
    /// Its nonce was used before.
    Replayed,
    /// Its tenant has used up this minute.
    RateLimited {
        /// Seconds until a request may pass.
        retry_after: u32,
    },
}

/// What a statement says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    LetIn,
    Stale,
    Replayed,
    RateLimited,
    /// The statement has nothing to do with it.
    LeftOut,
    /// It is not the statement's time: it has done nothing.
    NotNow,
    /// Another try of the same statement has done it.
    DoneBefore,
}

impl Verdict {
    /// As a statement says it.
    const NOT_NOW: i16 = 5;
    /// Likewise, where all are let in or none: some request has to be refused; what else it goes by does not hold.
    const NOT_ALL: i16 = 7;
    const UNFIT: i16 = 8;

    /// The verdicts of a statement, by request.
    pub(super) fn read(codes: &[i16], requests: usize) -> Result<Vec<Self>> {
        if codes.len() != requests {
            return Err(Error::fault("a statement has not judged every request"));
        }
        let known = [
            Self::LetIn,
            Self::Stale,
            Self::Replayed,
            Self::RateLimited,
            Self::LeftOut,
            Self::NotNow,
            Self::DoneBefore,
        ];
        let verdict = |code: &i16| usize::try_from(*code).ok().and_then(|code| known.get(code)).copied();
        codes.iter().map(|code| verdict(code).ok_or_else(|| Error::fault(format!("unknown verdict {code}")))).collect()
    }
}

/// The first four parameters of every statement that lets requests in.
#[derive(Default)]
pub(super) struct Columns {
    tenants: Vec<i64>,
    nonces: Vec<Option<Uuid>>,
    timestamps: Vec<Option<i64>>,
    rate_limits: Vec<Option<i32>>,
}

impl Columns {
    pub(super) fn of<'a>(admissions: impl IntoIterator<Item = &'a Admission>) -> Self {
        let mut columns = Self::default();
        for admission in admissions {
            columns.tenants.push(admission.tenant);
            columns.nonces.push(admission.signed.map(|signed| signed.nonce));
            columns.timestamps.push(admission.signed.map(|signed| signed.timestamp));
            columns.rate_limits.push(admission.rate_limit);
        }
        columns
    }

    /// The same when an earlier try may have taken place: that one was counted, and what it has done is not refused now for the
    /// room that others have taken since.
    pub(super) fn counted_before(mut self, again: bool) -> Self {
        if again {
            self.rate_limits.fill(None);
        }
        self
    }

    /// Whether any request has a limit.
    pub(super) fn are_limited(&self) -> bool {
        self.rate_limits.iter().any(Option::is_some) || self.tenants.iter().any(|tenant| *tenant != 0)
    }

    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.tenants, &self.nonces, &self.timestamps, &self.rate_limits]
    }
}

impl Admission {
    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.signed.is_none() && self.rate_limit.is_none()
    }

    /// Checks and stores. On a refusal the caller rolls back.
    pub(super) async fn admit(&self, tx: &Tx<'_>) -> Result<Option<Refusal>> {
        if self.is_free() {
            return Ok(None);
        }
        let statement = tx.prepare_cached(&statements::AT_ANY_TIME.admit).await?;
        let row = tx.query_one(&statement, &Columns::of([self]).counted_before(tx.maybe_done()).parameters()).await?;
        match Verdict::read(&row.try_get::<_, Vec<i16>>("verdicts")?, 1)?[0] {
            Verdict::LetIn => Ok(None),
            verdict => self.refusal(verdict, &**tx).await.map(Some),
        }
    }

    /// Why this request was not let in, as its sender is told.
    pub(super) async fn refusal(&self, verdict: Verdict, client: &Traced<impl Client>) -> Result<Refusal> {
        match verdict {
            Verdict::Stale => Ok(Refusal::Stale),
            Verdict::Replayed => Ok(Refusal::Replayed),
            Verdict::RateLimited => {
                let statement = client.prepare_cached(statements::RATE_RETRY_AFTER).await?;
                let row = client.query_one(&statement, &[&self.tenant]).await?;
                let seconds: Option<i64> = row.try_get("seconds")?;
                let retry_after = seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(1);
                Ok(Refusal::RateLimited { retry_after })
            }
            Verdict::LetIn | Verdict::LeftOut | Verdict::NotNow | Verdict::DoneBefore => {
                Err(Error::fault("a request was neither let in nor refused"))
            }
        }
    }
}

/// Runs one of the statements that let requests in: that of this moment, or if it was not its time, that for any.
pub(super) async fn run(
    store: &Store,
    client: &Session,
    which: impl Fn(&Admitting) -> &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
    if store.calendar.statements().is_some()
        && let Some(rows) = run_once(store, client, &which, parameters).await?
    {
        return Ok(rows);
    }
    let statement = client.prepare_cached(which(&statements::AT_ANY_TIME)).await?;
    client.query(&statement, parameters).await
}

/// Runs one of them and no other. None: it was not its time, and it has done nothing.
pub(super) async fn run_once(
    store: &Store,
    client: &Session,
    which: impl Fn(&Admitting) -> &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> std::result::Result<Option<Vec<Row>>, tokio_postgres::Error> {
    let statement = match store.calendar.statements() {
        Some(statements) => client.prepare_made(which(&statements), which(&statements::AT_ANY_TIME)).await?,
        None => client.prepare_cached(which(&statements::AT_ANY_TIME)).await?,
    };
    let rows = client.query(&statement, parameters).await?;
    Ok((first_verdict(&rows)? != Some(Verdict::NOT_NOW)).then_some(rows))
}

/// What became of a statement that lets all in or none.
pub(super) enum OfAll {
    /// All were let in.
    Done(Vec<Row>),
    /// Nothing was done: each has to be looked at.
    Each,
    /// Nothing was done: what else the statement goes by does not hold.
    Unfit,
}

/// Runs one of the statements that let all requests in or none, unless it is likely to be in vain.
pub(super) async fn run_all(
    store: &Store,
    client: &Session,
    which: impl Fn(&Admitting) -> &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> std::result::Result<OfAll, tokio_postgres::Error> {
    let Some(statements) = store.calendar.statements().filter(|statements| statements.let_all_in) else {
        return Ok(OfAll::Each);
    };
    if store.refusals.are_recent() {
        return Ok(OfAll::Each);
    }
    let statement = client.prepare_made(which(&statements), which(&statements::AT_ANY_TIME)).await?;
    let rows = match client.query(&statement, parameters).await {
        Err(error) if was_replayed(&error) => {
            store.refusals.note();
            return Ok(OfAll::Each);
        }
        rows => rows?,
    };
    Ok(match first_verdict(&rows)? {
        Some(Verdict::NOT_NOW) => OfAll::Each,
        Some(Verdict::NOT_ALL) => {
            store.refusals.note();
            OfAll::Each
        }
        Some(Verdict::UNFIT) => OfAll::Unfit,
        _ => OfAll::Done(rows),
    })
}

fn first_verdict(rows: &[Row]) -> std::result::Result<Option<i16>, tokio_postgres::Error> {
    Ok(rows.first().map_or(Ok(Vec::new()), |row| row.try_get::<_, Vec<i16>>("verdicts"))?.first().copied())
}

/// Whether a nonce was there already.
fn was_replayed(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::UNIQUE_VIOLATION && error.table().is_some_and(|table| table.starts_with("nonces"))
    })
}

/// Whether requests had to be refused of late. Then each is looked at: that costs more, but not so much as a try in vain, and of
/// a replay the database's log has a line for each such try.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    fn are_recent(&self) -> bool {
        self.lock().is_some_and(|last| last.elapsed() < REFUSED_OF_LATE)
    }

    fn note(&self) {
        *self.lock() = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares what [`run`] will run.
pub(super) async fn prepare(
    store: &Store,
    client: &Session,
    which: impl Fn(&Admitting) -> &str,
) -> std::result::Result<(), tokio_postgres::Error> {
    if let Some(statements) = store.calendar.statements() {
        client.prepare_cached(which(&statements)).await?;
    }
    client.prepare_cached(which(&statements::AT_ANY_TIME)).await.map(drop)
}

impl Store {
    /// Counts a refusal, and makes it the caller's error.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Stale => self.flow.rejected("stale"),
            Refusal::Replayed => self.flow.rejected("replayed"),
            Refusal::RateLimited { .. } => self.flow.rate_limited(),
        }
        refusal.into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale => {
                Self::bad_signature("Stale timestamp. X-Timestamp must be within 300 s of the bus's clock.")
            }
            Refusal::Replayed => Self::bad_signature("Replay detected. Use a new X-Nonce for each request."),
            Refusal::RateLimited { retry_after } => Self::new(
                ErrorCode::RateLimited,
                "Too many requests in this minute. Wait for as long as Retry-After says.",
            )
            .retry_after(retry_after),
        }
    }
}
