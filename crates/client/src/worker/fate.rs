//! What became of each claim, for programs that want to know: see [`Worker::on_end`](super::Worker::on_end).

use std::sync::Arc;

use crate::{claim::Claimed, error::Error, finish::FailedAs};

pub(super) type Hook = Arc<dyn Fn(&Ended) + Send + Sync>;

/// A claim of a worker that is over.
///
/// ```no_run
/// # async fn example(worker: intent_bus_client::Worker) -> intent_bus_client::Result<()> {
/// use intent_bus_client::{Ended, Fate};
///
/// let report = |ended: &Ended| match ended.fate() {
///     Fate::Fulfilled => println!("{} is done", ended.claimed().id()),
///     other => eprintln!("{}: {other:?}", ended.claimed().id()),
/// };
/// worker.on_end(report).run().await
/// # }
/// ```
#[derive(Debug)]
pub struct Ended {
    pub(super) claimed: Arc<Claimed>,
    pub(super) fate: Fate,
}

impl Ended {
    /// The claim.
    #[must_use]
    pub fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// What became of it.
    #[must_use]
    pub fn fate(&self) -> &Fate {
        &self.fate
    }
}

/// What became of a claim, as the bus sees it.
///
/// ```
/// use intent_bus_client::{FailedAs, Fate};
///
/// /// Whether somebody has to look at it.
/// fn is_bad(fate: &Fate) -> bool {
///     match fate {
///         Fate::Fulfilled | Fate::LeaseLost => false,
///         Fate::Failed { becomes, .. } => *becomes == FailedAs::Dead,
///         Fate::Untold(error) => !error.is_retryable(),
///         _ => true,
///     }
/// }
/// assert!(!is_bad(&Fate::LeaseLost));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Fate {
    /// The bus has the result.
    Fulfilled,
    /// The bus knows that the attempt has failed: for what the handler gave, or since its result was refused.
    Failed {
        /// What becomes of the intent.
        becomes: FailedAs,
        /// What the bus was told.
        reason: String,
    },
    /// The claim was over before its end was told: somebody else has the intent, or it was cancelled.
    LeaseLost,
    /// The end could not be told, for this reason. It may have been taken all the same; else the intent comes back when its lease
    /// ends.
    Untold(Error),
}
