//! One request, one transaction; and what to do when the answer to its COMMIT is lost.

use std::{cell::RefCell, time::Duration};

use tokio_postgres::error::SqlState;

use super::{
    Store,
    admission::{Admission, Refusal},
    session::{Session, Transaction},
};
use crate::error::{Error, ErrorCode, Result};

/// For one transaction or one flight. The server cuts off each of its statements after 5 s, so whoever waits longer than this
/// waits for a server that hangs or is cut off from us.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The transaction of one admitted request.
pub struct Tx<'c> {
    inner: Transaction<'c>,
    /// This is the second try of a request whose first COMMIT got no answer.
    again: bool,
}

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Tx<'_> {
    /// Whether an earlier try of this very request may have been committed.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        self.again
    }
}

impl Store {
    /// Admits a request and runs its work in the same transaction.
    ///
    /// If the answer to COMMIT is lost, nobody knows whether it took place. Then the request is sent once more. Where its nonce
    /// was used, it has taken place, and what it brought is the answer. Otherwise the work is run again: it finds what the first
    /// try has left (ids and tokens are the same) and answers as the first would have.
    pub async fn transact<T>(&self, admission: &Admission, work: impl AsyncFn(&Tx<'_>) -> Result<T>) -> Result<T> {
        let unsure = match self.attempt_in_time(admission, None, &work).await? {
            Attempt::Committed(done) => return Ok(done),
            Attempt::Unsure(done) => done,
        };
        tracing::warn!("The answer to a COMMIT was lost. The request is looked up and, if need be, done again.");
        match self.attempt_in_time(admission, Some(unsure), &work).await? {
            Attempt::Committed(done) => Ok(done),
            Attempt::Unsure(_) => Err(Error::busy("the answer to COMMIT was lost twice")),
        }
    }

    /// Admits a request by itself, for what reads only or takes several transactions.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn admit(&self, admission: &Admission) -> Result<()> {
        if admission.is_free() { Ok(()) } else { self.transact(admission, async |_| Ok(())).await }
    }

    /// One try on a connection of the pool, which is given up if it does not answer. `unsure`: what an earlier try has brought
    /// whose COMMIT got no answer.
    async fn attempt_in_time<T>(
        &self,
        admission: &Admission,
        unsure: Option<T>,
        work: &impl AsyncFn(&Tx<'_>) -> Result<T>,
    ) -> Result<Attempt<T>> {
        let mut client = self.client().await?;
        let committing = RefCell::new(None);
        let attempt = self.attempt(&mut client, admission, unsure, &committing, work);
        if let Ok(attempted) = tokio::time::timeout(PATIENCE, attempt).await {
            return attempted;
        }
        client.give_up();
        committing.take().map(Attempt::Unsure).ok_or_else(|| Error::busy("the database does not answer"))
    }

    /// One try. While it commits, what its work has brought is in `committing`.
    async fn attempt<T>(
        &self,
        client: &mut Session,
        admission: &Admission,
        unsure: Option<T>,
        committing: &RefCell<Option<T>>,
        work: &impl AsyncFn(&Tx<'_>) -> Result<T>,
    ) -> Result<Attempt<T>> {
        let tx = Tx { inner: client.transaction().await?, again: unsure.is_some() };
        match (admission.admit(&tx).await?, unsure) {
            (None, _) => {}
            (Some(Refusal::Replayed), Some(done)) => {
                let _ = tx.inner.rollback().await;
                return Ok(Attempt::Committed(done));
            }
            // The first try was let in; whether it has taken place is not asked where the timestamp is too old by now.
            (Some(Refusal::Stale), Some(_)) => {
                let _ = tx.inner.rollback().await;
                return Err(Error::busy("the answer to COMMIT was lost"));
            }
            (Some(refusal), _) => {
                tx.inner.rollback().await?;
                return Err(self.refused(refusal));
            }
        }
        match work(&tx).await {
            Ok(done) => {
                committing.replace(Some(done));
                let committed = tx.inner.commit().await;
                let done = committing.take().ok_or_else(|| Error::fault("a commit has lost what it commits"))?;
                match committed {
                    Ok(()) => Ok(Attempt::Committed(done)),
                    Err(error) if answer_was_lost(&error) => Ok(Attempt::Unsure(done)),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) if leaves_nothing_behind(&error) => {
                // Refused, but asked: it counts in the rate window, and its nonce is used.
                tx.inner.commit().await?;
                Err(error)
            }
            Err(error) => {
                // The connection may be what failed; it is not reused then, and the database rolls back by itself.
                let _ = tx.inner.rollback().await;
                Err(error)
            }
        }
    }
}

/// What a try has come to, and what its work has brought.
enum Attempt<T> {
    Committed(T),
    /// The answer to its COMMIT was lost.
    Unsure(T),
}

/// Gives up on a database that does not answer.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::busy("the database does not answer")))
}

/// Whether the work was refused before it wrote anything.
fn leaves_nothing_behind(error: &Error) -> bool {
    [ErrorCode::NotFound, ErrorCode::Conflict, ErrorCode::IdempotencyConflict].contains(&error.code())
}

/// Whether COMMIT may have taken place although it failed: the connection ended, or the server was shutting down.
pub(super) fn answer_was_lost(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| {
        code.code().starts_with("08")
            || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
    })
}
