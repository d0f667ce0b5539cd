//! Search of intents, finished or not, newest first, page by page. A page looks at a bounded number of rows: a filter that
//! hardly anything matches stops there, and says how far it has come.

use crate::{
    domain::{ids::IntentId, intent::State},
    error::{Error, Result},
    store::Store,
};

/// Rows that one page may look at.
pub const LOOKS_AT_MOST: i64 = 20_000;

/// What a search is for. None: anything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This one intent.
    pub id: Option<IntentId>,
    /// Exactly this goal.
    pub goal: Option<String>,
    /// Exactly this namespace.
    pub namespace: Option<String>,
    /// Where it stands.
    pub phase: Option<Phase>,
    /// The publisher's number; 0 is root.
    pub tenant: Option<i64>,
    /// The worker of the last claim, by its exact name.
    pub worker: Option<String>,
    /// A part of the last error, whatever its case.
    pub error: Option<String>,
    /// Published at or after this, unix seconds. With [`Phase::Dead`]: died at or after.
    pub since: Option<f64>,
    /// Published before this. With [`Phase::Dead`]: died before.
    pub until: Option<f64>,
}

/// Where an intent stands, as a search may ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Open, due or not.
    Open,
    /// Open and due.
    Claimable,
    /// Open and not due yet: delayed or backing off.
    Waiting,
    /// Held by a lease.
    Claimed,
    /// Done.
    Fulfilled,
    /// Given up. In the order of death, and only those that are buried.
    Dead,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Claimable, Self::Waiting, Self::Claimed, Self::Fulfilled, Self::Dead];

    /// As it stands in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimable => "claimable",
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
        }
    }

    /// Reads a query's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

/// Where a page ends and the next begins. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Microseconds of unix time at which it died, in searches of the dead.
    died_at: Option<i64>,
    id: IntentId,
}

impl Cursor {
    /// As clients get it and send it back.
    #[must_use]
    pub fn encode(&self) -> String {
        self.died_at.map_or_else(|| self.id.to_string(), |at| format!("{at}-{}", self.id))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let Some((at, id)) = text.split_once('-') else {
                return Some(Self { died_at: None, id: IntentId::parse(text)? });
            };
            Some(Self { died_at: Some(at.parse().ok()?), id: IntentId::parse(id)? })
        };
        read().ok_or_else(|| Error::invalid("before is not what a page of this search gave as next. Leave it out to begin anew."))
    }
}

/// An intent in a list.
#[derive(Debug)]
pub struct Found {
    /// The intent.
    pub id: IntentId,
    /// The publisher.
    pub tenant: i64,
    /// Who the publisher is.
    pub owner: String,
    /// Its namespace.
    pub namespace: String,
    /// Its goal.
    pub goal: String,
    /// Where it stands.
    pub state: State,
    /// Its priority.
    pub priority: i16,
    /// Any tenant may claim it.
    pub public: bool,
    /// Claims so far.
    pub claim_attempts: i16,
    /// Claims allowed.
    pub max_attempts: i16,
    /// The worker of the last claim.
    pub worker_id: Option<String>,
    /// When it was published, unix seconds.
    pub created_at: f64,
    /// From when it may be claimed (open), else from when it could be first.
    pub run_at: f64,
    /// The end of the running lease.
    pub claim_expires_at: Option<f64>,
    /// When it ended.
    pub completed_at: Option<f64>,
    /// The last failure, or why it is dead.
    pub last_error: Option<String>,
}

/// A page of a search.
#[derive(Debug, Default)]
pub struct Page {
    /// Newest first.
    pub found: Vec<Found>,
    /// Where the next page begins. None: this was the last.
    pub next: Option<Cursor>,
    /// The page stopped early, having looked at all it may: everything after this moment (unix seconds) has been searched.
    pub searched_until: Option<f64>,
}

impl Store {
    /// A page of at most so many intents.
    ///
    /// # Errors
    /// `invalid_request` for a cursor of another kind of search; `database_busy`.
    pub async fn search(&self, filter: &Filter, before: Option<Cursor>, limit: i64) -> Result<Page> {
        let _ = (filter, before, limit);
        Err(Error::fault("not there yet"))
    }
}
