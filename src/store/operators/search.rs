//! Search of intents, finished or not, newest first, page by page. A page looks at a bounded number of rows: a filter that
//! hardly anything matches stops there, and says how far it has come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    domain::{ids::IntentId, intent::State},
    error::{Error, Result},
    store::{Store, session::Transaction, statements, transaction::in_time},
};

/// Rows that one page may look at.
pub const LOOKS_AT_MOST: i64 = 20_000;
/// What a search sets for its transaction. Its statements are planned for their values, so that what is not asked for is left out;
/// and never by sorting, which would read everything before the first row: indexes have the order.
pub const SEARCHING: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_sort = off";
/// The last microsecond of the year 9999.
const MICROS_MAX: i64 = 253_402_300_799_999_999;
/// Most digits of a moment in a cursor, in microseconds: until the year 5138.
pub(super) const MICROS_DIGITS: usize = 17;

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
    pub const ALL: [Self; 6] = [Self::Open, Self::Claimable, Self::Waiting, Self::Claimed, Self::Fulfilled, Self::Dead];

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
            Some(Self { died_at: Some(read_digits(at, MICROS_DIGITS)?), id: IntentId::parse(id)? })
        };
        read().ok_or_else(foreign_cursor)
    }
}

/// A number of a cursor: nothing but so many digits at most, as the description of the API has it. All that have up to 18 are
/// numbers.
#[must_use]
pub fn read_digits(text: &str, most: usize) -> Option<i64> {
    (text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
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
        let dead = filter.phase == Some(Phase::Dead) && filter.id.is_none();
        if before.is_some_and(|cursor| cursor.died_at.is_some() != dead) {
            return Err(foreign_cursor());
        }
        let rows = in_time(async {
            let mut client = self.client().await?;
            let tx = client.reading().await?;
            tx.batch_execute(SEARCHING).await?;
            let rows = if dead {
                search_dead(&tx, filter, before, limit).await?
            } else {
                search_by_id(&tx, filter, before, limit, self.intent_ttl).await?
            };
            tx.rollback().await?;
            Ok(rows)
        })
        .await?;
        read_page(&rows, dead, limit)
    }
}

async fn search_by_id(
    tx: &Transaction<'_>,
    filter: &Filter,
    before: Option<Cursor>,
    limit: i64,
    ttl: f64,
) -> Result<Vec<Row>> {
    let (mut from, mut to) = (filter.since.map_or(Uuid::nil(), first_id), filter.until.map_or(Uuid::max(), first_id));
    if let Some(cursor) = before {
        to = to.min(cursor.id.0);
    }
    if let Some(id) = filter.id {
        (from, to) = (from.max(id.0), to.min(Uuid::from_u128(id.0.as_u128().saturating_add(1))));
    }
    let ended = |phase| [Phase::Fulfilled, Phase::Dead].contains(&phase);
    let unfinished = filter.phase.is_none_or(|phase| phase != Phase::Fulfilled);
    let finished = filter.phase.is_none_or(ended);
    let statement = tx.prepare_cached(statements::SEARCH).await?;
    let phase = filter.phase.map(Phase::as_str);
    let rows = tx
        .query(
            &statement,
            &[
                &to,
                &from,
                &unfinished,
                &finished,
                &phase,
                &filter.namespace,
                &filter.goal,
                &filter.tenant,
                &filter.worker,
                &filter.error,
                &ttl,
                &LOOKS_AT_MOST,
                // One more shows whether there is a next page; and the row that says how far the search has come.
                &(limit + 2),
            ],
        )
        .await?;
    Ok(rows)
}

async fn search_dead(tx: &Transaction<'_>, filter: &Filter, before: Option<Cursor>, limit: i64) -> Result<Vec<Row>> {
    let until = filter.until.map(|until| (moment(until), Uuid::nil()));
    let cursor = before
        .and_then(|cursor| Some((UNIX_EPOCH + Duration::from_micros(cursor.died_at?.unsigned_abs()), cursor.id.0)));
    let (at, id) = match (until, cursor) {
        (Some(until), Some(cursor)) => Some(until.min(cursor)),
        (until, cursor) => until.or(cursor),
    }
    .map_or((None, Uuid::nil()), |(at, id)| (Some(at), id));
    let since = moment(filter.since.unwrap_or(0.0));
    let statement = tx.prepare_cached(statements::SEARCH_DEAD).await?;
    let rows = tx
        .query(
            &statement,
            &[
                &at,
                &id,
                &since,
                &filter.namespace,
                &filter.goal,
                &filter.tenant,
                &filter.worker,
                &filter.error,
                &LOOKS_AT_MOST,
                &(limit + 2),
            ],
        )
        .await?;
    Ok(rows)
}

fn read_page(rows: &[Row], dead: bool, limit: i64) -> Result<Page> {
    let limit = usize::try_from(limit).map_err(Error::fault)?;
    let mut page = Page::default();
    for row in rows {
        let cursor = Cursor {
            died_at: if dead { Some(micros(row.try_get("finished_at")?)?) } else { None },
            id: IntentId(row.try_get("id")?),
        };
        if page.found.len() == limit {
            // There is one more that matches, or the search has come to its end: go on behind the last one either way.
            return Ok(page);
        }
        page.next = Some(cursor);
        if row.try_get("matches")? {
            page.found.push(read_found(row)?);
        }
        if row.try_get::<_, i64>("number")? == LOOKS_AT_MOST {
            page.searched_until = Some(row.try_get(if dead { "completed_at" } else { "created_at" })?);
            return Ok(page);
        }
    }
    page.next = None;
    Ok(page)
}

/// Reads what all searches give.
pub(super) fn read_found(row: &Row) -> Result<Found> {
    let phase: &str = row.try_get("phase")?;
    Ok(Found {
        id: IntentId(row.try_get("id")?),
        tenant: row.try_get("tenant_id")?,
        owner: row.try_get::<_, Option<String>>("owner")?.unwrap_or_default(),
        namespace: row.try_get("namespace")?,
        goal: row.try_get("goal")?,
        state: if ["claimable", "waiting"].contains(&phase) { State::Open } else { State::parse(phase)? },
        priority: row.try_get("priority")?,
        public: row.try_get("public")?,
        claim_attempts: row.try_get("claim_attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        worker_id: row.try_get("worker_id")?,
        created_at: row.try_get("created_at")?,
        run_at: row.try_get("run_at")?,
        claim_expires_at: row.try_get("claim_expires_at")?,
        completed_at: row.try_get("completed_at")?,
        last_error: row.try_get("last_error")?,
    })
}

/// The lowest id of a moment in unix seconds: ids begin with 48 bits of milliseconds.
fn first_id(seconds: f64) -> Uuid {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is out of range is cut off")]
    let millis = (seconds * 1000.0).ceil() as u64;
    Uuid::from_u128(u128::from(millis.min((1 << 48) - 1)) << 80)
}

/// A moment in unix seconds, to the microsecond, by which Postgres counts.
pub(super) fn moment(seconds: f64) -> SystemTime {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is out of range is cut off")]
    let micros = (seconds * 1_000_000.0).round() as u64;
    UNIX_EPOCH + Duration::from_micros(micros.min(MICROS_MAX.unsigned_abs()))
}

/// Microseconds of unix time.
pub(super) fn micros(at: SystemTime) -> Result<i64> {
    i64::try_from(at.duration_since(UNIX_EPOCH).map_err(Error::fault)?.as_micros()).map_err(Error::fault)
}

fn foreign_cursor() -> Error {
    Error::invalid("before is not what a page of this search gave as next. Leave it out to begin anew.")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let id = IntentId::generate();
        for cursor in [Cursor { died_at: None, id }, Cursor { died_at: Some(1_795_370_566_300_059), id }] {
            assert_eq!(Cursor::parse(&cursor.encode()).unwrap(), cursor);
        }
        for text in [
            "",
            "x",
            "-",
            "1-",
            "-1-0",
            "9999999999999999999-00000000000000000000000000000000",
            "253402300801000000-00000000000000000000000000000000",
        ] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_id_of_a_moment_is_below_all_that_are_made_from_then_on() {
        let id = IntentId::generate().0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(first_id(now - 1.0) < id && id < first_id(now + 1.0));
        assert_eq!((first_id(-1.0), first_id(f64::MAX)), (Uuid::nil(), first_id(1e12)));
    }
}
