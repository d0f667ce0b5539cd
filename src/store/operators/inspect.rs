//! One intent in full: what it is, what has happened to it, and why nobody claims it.

use serde::Deserialize;
use tokio_postgres::Row;

use crate::{
    domain::{
        ids::IntentId,
        intent::{Seen, State},
        why::{Circumstances, Reason},
    },
    error::{Error, Result},
    store::{Store, Tx, admission::Admission, statements},
};
/// Bytes of a payload or result that are shown.
pub const SHOWN: usize = 65_536;

/// An intent in full. Times are unix seconds by the database's clock.
#[derive(Debug)]
pub struct Inspected {
    /// What everybody sees of it.
    pub seen: Seen,
    /// When this was read.
    pub now: f64,
    /// Who its publisher is.
    pub owner: String,
    /// What was published. None: it is past its retention.
    pub payload: Option<Excerpt>,
    /// What came back.
    pub result: Option<Excerpt>,
    /// `json` or `text`.
    pub result_type: Option<String>,
    /// The trace of its publication, as W3C Trace Context writes it.
    pub traceparent: Option<String>,
    /// What has happened to it, the oldest first.
    pub timeline: Vec<Event>,
    /// Why nobody claims it, if it is open. Never empty then.
    pub why: Vec<Reason>,
}

impl Inspected {
    /// The trace id: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }
}

/// The beginning of a text that may be long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// At most [`SHOWN`] bytes of it.
    pub text: String,
    /// Its whole length in bytes.
    pub bytes: i64,
    /// There is more of it than is shown.
    pub cut: bool,
}

/// What happened at a moment, or will.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unix seconds.
    pub at: f64,
    /// What it was.
    pub what: What,
    /// Of which attempt, from 1.
    pub attempt: Option<i32>,
    /// The worker, by its own word.
    pub worker: Option<String>,
    /// The worker's tenant.
    pub tenant: Option<i64>,
    /// What it said.
    pub error: Option<String>,
    /// What it brought, where that came too late to count.
    pub result: Option<Excerpt>,
}

impl Event {
    fn at(at: f64, what: What) -> Self {
        Self { at, what, attempt: None, worker: None, tenant: None, error: None, result: None }
    }
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was published.
    Published,
    /// It was claimed.
    Claimed,
    /// The attempt failed, by its worker's word.
    Failed,
    /// The attempt's lease ended.
    Lapsed,
    /// The running lease ends (in the future).
    LeaseEnds,
    /// It can be claimed from then on (in the future).
    Due,
    /// It was fulfilled.
    Fulfilled,
    /// It died.
    Dead,
    /// The worker reported a result or a failure when the claim was another's, or the intent had ended.
    TooLate,
}

impl What {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Claimed => "claimed",
            Self::Failed => "failed",
            Self::Lapsed => "lapsed",
            Self::LeaseEnds => "lease_ends",
            Self::Due => "due",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
            Self::TooLate => "too_late",
        }
    }
}

/// An earlier attempt, as `past_attempts` has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PastAttempt {
    attempt: i32,
    worker: Option<String>,
    tenant: Option<i64>,
    claimed_at: Option<f64>,
    ended_at: Option<f64>,
    outcome: String,
    error: Option<String>,
}

/// What `inspect.sql` gives.
struct Record {
    owner: String,
    now: f64,
    claimed_at: Option<f64>,
    lease_until: Option<f64>,
    traceparent: Option<String>,
    past: Vec<PastAttempt>,
    unfinished: bool,
}

impl Store {
    /// One intent in full. `rate`: requests a minute of tenants without a limit of their own.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn inspect(&self, admission: &Admission, id: IntentId, rate: i32) -> Result<Option<Inspected>> {
        self.transact(admission, async |tx| {
            let Some(mut seen) = self.find_on(&**tx, id).await? else { return Ok(None) };
            let statement = tx.prepare_cached(statements::INSPECT).await?;
            let Some(row) = tx.query_opt(&statement, &[&id.0]).await? else { return Ok(None) };
            let record = read(&row)?;
            let expired = seen.state == State::Dead && record.unfinished && seen.claim_attempts < seen.max_attempts;
            let why = match seen.state {
                State::Open => self.why(tx, &seen, record.now, rate).await?,
                State::Dead if expired => vec![Reason::Expired],
                _ => Vec::new(),
            };
            let (result, result_type) = seen.result.take().unzip();
            Ok(Some(Inspected {
                now: record.now,
                payload: payload(tx, &seen).await?,
                result: result.map(|result: Vec<u8>| excerpt(&result, result.len())),
                result_type,
                timeline: timeline(&seen, &record, late(tx, seen.id).await?),
                owner: record.owner,
                traceparent: record.traceparent,
                why,
                seen,
            }))
        })
        .await
    }

    async fn why(&self, tx: &Tx<'_>, seen: &Seen, now: f64, rate: i32) -> Result<Vec<Reason>> {
        let statement = tx.prepare_cached(statements::WHY).await?;
        let row = tx.query_opt(&statement, &[&seen.id.0, &self.intent_ttl, &rate]).await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let flag = |name: &str| row.try_get::<_, bool>(name);
        let circumstances = Circumstances {
            namespace_paused: flag("namespace_paused")?,
            goal_paused: flag("goal_paused")?,
            rate_limit: row.try_get("rate_limit")?,
            limited_until: row.try_get("limited_until")?,
            keyless: flag("keyless")?,
            fitting: flag("fitting")?,
            target_seen_at: row.try_get("target_seen_at")?,
            capable: flag("capable")?,
            asked: flag("asked")?,
            ahead: row.try_get("ahead")?,
        };
        Ok(circumstances.reasons(seen, now))
    }
}

fn read(row: &Row) -> Result<Record> {
    let past: Option<&str> = row.try_get("past_attempts")?;
    Ok(Record {
        owner: row.try_get::<_, Option<String>>("owner")?.unwrap_or_default(),
        now: row.try_get("now")?,
        claimed_at: row.try_get("claimed_at")?,
        lease_until: row.try_get("lease_until")?,
        traceparent: row.try_get("traceparent")?,
        past: past.map(serde_json::from_str).transpose().map_err(Error::fault)?.unwrap_or_default(),
        unfinished: row.try_get("unfinished")?,
    })
}

async fn payload(tx: &Tx<'_>, seen: &Seen) -> Result<Option<Excerpt>> {
    let statement = tx.prepare_cached(statements::EXCERPT).await?;
    let shown = i32::try_from(SHOWN).map_err(Error::fault)?;
    let row = tx.query_opt(&statement, &[&seen.id.0, &seen.payload_day, &shown]).await?;
    row.map(|row| {
        let bytes: i64 = row.try_get("bytes")?;
        Ok(excerpt(row.try_get("beginning")?, usize::try_from(bytes).map_err(Error::fault)?))
    })
    .transpose()
}

/// What was reported of claims after they had been lost.
async fn late(tx: &Tx<'_>, id: IntentId) -> Result<Vec<Event>> {
    let statement = tx.prepare_cached(statements::LATE).await?;
    let shown = i32::try_from(SHOWN).map_err(Error::fault)?;
    let rows = tx.query(&statement, &[&id.0, &shown]).await?;
    let read = |row: &Row| {
        let beginning: Option<Vec<u8>> = row.try_get("beginning")?;
        let bytes: Option<i64> = row.try_get("bytes")?;
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        Ok(Event {
            attempt: Some(row.try_get("attempt")?),
            error: row.try_get("error")?,
            result: beginning.zip(bytes).map(|(beginning, bytes)| excerpt(&beginning, bytes)),
            ..Event::at(row.try_get("at")?, What::TooLate)
        })
    };
    rows.iter().map(read).collect()
}

/// What is shown of a text of so many bytes, of which this is the beginning.
fn excerpt(beginning: &[u8], bytes: usize) -> Excerpt {
    let mut shown = &beginning[..beginning.len().min(SHOWN)];
    // A letter that the cut has halved is left out.
    if let Err(error) = std::str::from_utf8(shown)
        && error.error_len().is_none()
    {
        shown = &shown[..error.valid_up_to()];
    }
    Excerpt {
        text: String::from_utf8_lossy(shown).into_owned(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        cut: bytes > shown.len(),
    }
}

/// What has happened, the oldest first, and what is to come.
fn timeline(seen: &Seen, record: &Record, late: Vec<Event>) -> Vec<Event> {
    let event = Event::at;
    let mut events = late;
    events.push(event(seen.created_at, What::Published));
    for past in &record.past {
        let of_attempt = |at, what| Event {
            attempt: Some(past.attempt),
            worker: past.worker.clone(),
            tenant: past.tenant,
            ..event(at, what)
        };
        events.extend(past.claimed_at.map(|at| of_attempt(at, What::Claimed)));
        let what = if past.outcome == "lapsed" { What::Lapsed } else { What::Failed };
        events.extend(past.ended_at.map(|at| Event { error: past.error.clone(), ..of_attempt(at, what) }));
    }
    let of_last = |at, what| Event {
        attempt: Some(seen.claim_attempts.into()),
        worker: seen.worker_id.clone(),
        tenant: seen.claimed_by,
        ..event(at, what)
    };
    events.extend(record.claimed_at.map(|at| of_last(at, What::Claimed)));
    if let Some(at) = record.lease_until {
        events.push(of_last(at, if at > record.now { What::LeaseEnds } else { What::Lapsed }));
    }
    match (seen.state, seen.completed_at) {
        (State::Fulfilled, Some(at)) => events.push(of_last(at, What::Fulfilled)),
        (State::Dead, Some(at)) => events.push(Event { error: seen.last_error.clone(), ..event(at, What::Dead) }),
        (State::Open, _) if seen.run_at > record.now => events.push(event(seen.run_at, What::Due)),
        _ => {}
    }
    events.sort_by(|one, other| one.at.total_cmp(&other.at));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_and_says_so() {
        let short = excerpt(b"{}", 2);
        assert_eq!((short.text.as_str(), short.bytes, short.cut), ("{}", 2, false));
        let long = "a".repeat(SHOWN - 1) + "\u{e4}\u{e4}";
        let cut = excerpt(&long.as_bytes()[..SHOWN], long.len());
        assert_eq!((cut.text.len(), cut.bytes, cut.cut), (SHOWN - 1, 65_539, true));
    }
}
