//! Low-water marks: how far each lane has been claimed, so that a claim does not walk again over what is gone. Under a pinned
//! xmin those index entries stay for as long as the pin does.
//!
//! A mark is a guess: where this replica claimed [`SLACK`] intents ago, and at least [`LATE`] times what a claim takes before
//! now. What is
//! committed late, or given back by a transaction that rolled back, may stand before it. A look of its own, which asks for
//! the first due intent of a lane whoever holds it, finds that again: at most [`LOOK_AT_MOST`] later if the commit was no later
//! than [`SETTLED`], and in any case a minute later, or five where millions of dead entries make such a look long. docs/decisions/0009-low-water-marks.md has what was measured.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{Store, statements};
use crate::error::Result;

/// Claims by which a mark stays behind.
const SLACK: usize = 128;
/// How far a mark stays behind the clock, as many times what publishing and claiming took of late: what others publish at this moment is not
/// committed yet, and commits take as long for them as for us.
const LATE: u32 = 4;
/// The least and the most of that.
const LATE_LEAST: Duration = Duration::from_millis(40);
const LATE_MOST: Duration = Duration::from_secs(2);
/// Time after which a transaction has ended one way or the other: longer than any statement may take. The few that take longer,
/// of several statements, are found by the look from the beginning.
const SETTLED: Duration = Duration::from_secs(6);
/// Least time between two looks for what the marks have passed.
const LOOK_AT_LEAST: Duration = Duration::from_millis(500);
/// Longest time between two looks.
const LOOK_AT_MOST: Duration = Duration::from_secs(5);
/// A look may take one part in so many of the time.
const LOOK_SHARE: u32 = 50;
/// A look may take longer than a request may: over millions of dead entries, a second for each few million.
const LOOKS_FOR: &str = "SET LOCAL statement_timeout = '60s'";
/// Time after which a look starts from the very beginning, and the part of the time that such looks may take.
const FROM_THE_BEGINNING: Duration = Duration::from_secs(60);
const FROM_THE_BEGINNING_SHARE: u32 = 200;
/// But no less often than this.
const FROM_THE_BEGINNING_AT_MOST: Duration = Duration::from_secs(300);
/// A lane that nobody has claimed from for so long loses its mark.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Lanes with priorities that are followed at once. Beyond that no new ones are, until some are forgotten.
const CAPACITY: usize = 1000;

/// The marks of one replica.
#[derive(Default)]
pub(super) struct Marks(Mutex<Known>);

#[derive(Default)]
struct Known {
    lanes: HashMap<i64, HashMap<i16, Lane>>,
    /// The latest time by the database's clock.
    now: Option<SystemTime>,
    /// The longest time that a flight took of late. It fades with each claim.
    took: Duration,
}

/// A lane at one priority.
struct Lane {
    one_goal: bool,
    public: bool,
    /// Where the last claims stood, at most [`SLACK`] of them.
    passed: VecDeque<SystemTime>,
    mark: Option<SystemTime>,
    /// There is nothing before this, for certain.
    floor: SystemTime,
    used: Instant,
}

/// Where an intent stood that was claimed.
pub(super) struct Stood {
    pub(super) lane: i64,
    pub(super) priority: i16,
    pub(super) at: SystemTime,
}

/// What a look for work has brought.
pub(super) struct Looked {
    /// The database's clock.
    pub(super) now: SystemTime,
    /// How long it took.
    pub(super) took: Duration,
    /// Where the intents stood that it has claimed.
    pub(super) places: Vec<Stood>,
    /// There was no more.
    pub(super) drained: bool,
}

/// Marks as parameters of a claim.
#[derive(Default)]
pub(super) struct MarkColumns {
    pub(super) lanes: Vec<i64>,
    pub(super) priorities: Vec<i16>,
    pub(super) marks: Vec<SystemTime>,
}

impl Marks {
    /// The marks of these lanes.
    pub(super) fn of<'a>(&self, lanes: impl Iterator<Item = &'a i64>) -> MarkColumns {
        let known = self.lock();
        let mut columns = MarkColumns::default();
        for lane in lanes {
            for (priority, marked) in known.lanes.get(lane).into_iter().flatten() {
                if let Some(mark) = marked.mark {
                    columns.lanes.push(*lane);
                    columns.priorities.push(*priority);
                    columns.marks.push(mark);
                }
            }
        }
        columns
    }

    /// Forgets all: where lanes were passed over because they were paused, there may be something now.
    pub(super) fn forget(&self) {
        self.lock().lanes.clear();
    }

    /// Notes how long it took to publish: so long others' publications may still be on their way.
    pub(super) fn took(&self, took: Duration) {
        let mut known = self.lock();
        known.took = took.max(known.took);
    }

    /// Notes what a look has brought, by goal or for any, in these lanes.
    pub(super) fn note(&self, one_goal: bool, own: &[i64], public: &[i64], look: &Looked) {
        let mut known = self.lock();
        let Looked { now, took, places, drained } = look;
        let now = *now;
        if known.now.is_some_and(|before| now + LATE_LEAST < before) {
            // The database's clock was set back, or another server has taken over: new intents may stand before every mark.
            known.lanes.clear();
        }
        known.now = Some(now);
        known.took = (*took).max(known.took / 64 * 63);
        let settled = now - (LATE * known.took).clamp(LATE_LEAST, LATE_MOST);
        let followed: usize = known.lanes.values().map(HashMap::len).sum();
        for place in places {
            let lanes = known.lanes.entry(place.lane).or_default();
            if followed >= CAPACITY && !lanes.contains_key(&place.priority) {
                continue;
            }
            let public = public.contains(&place.lane);
            lanes.entry(place.priority).or_insert_with(|| Lane::new(one_goal, public)).pass(place.at, settled);
        }
        if *drained {
            for lane in own.iter().chain(public) {
                for marked in known.lanes.get_mut(lane).into_iter().flat_map(HashMap::values_mut) {
                    marked.drain(settled);
                }
            }
        }
    }

    /// Notes what a look has found: the first due intent, if there is one.
    fn correct(&self, lane: i64, priority: i16, now: SystemTime, first: Option<SystemTime>) {
        if let Some(marked) = self.lock().lanes.get_mut(&lane).and_then(|lanes| lanes.get_mut(&priority)) {
            marked.correct(now, first);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn new(one_goal: bool, public: bool) -> Self {
        let floor = SystemTime::UNIX_EPOCH;
        Self { one_goal, public, passed: VecDeque::new(), mark: None, floor, used: Instant::now() }
    }

    fn pass(&mut self, at: SystemTime, settled: SystemTime) {
        self.used = Instant::now();
        self.passed.push_back(at);
        if self.passed.len() > SLACK {
            self.mark = self.passed.pop_front().map(|at| at.min(settled)).max(self.mark);
        }
    }

    fn drain(&mut self, settled: SystemTime) {
        if self.passed.len() >= SLACK {
            self.used = Instant::now();
            self.mark = Some(settled).max(self.mark);
        }
    }

    fn correct(&mut self, now: SystemTime, first: Option<SystemTime>) {
        let before_first = first.map_or(now, |first| first - Duration::from_micros(1));
        self.floor = before_first.min(now - SETTLED);
        if first.is_some() && self.mark.is_some_and(|mark| before_first < mark) {
            tracing::debug!("a low-water mark has passed an intent; it is set back");
            self.mark = Some(before_first);
            self.passed.clear();
        }
    }
}

/// Lanes to look at, as parameters.
#[derive(Default)]
struct LookColumns {
    lanes: Vec<i64>,
    public: Vec<bool>,
    priorities: Vec<i16>,
    floors: Vec<SystemTime>,
}

impl Marks {
    /// The lanes that have marks, and forgets those that are not used any more.
    fn to_look_at(&self, one_goal: bool, from_the_beginning: bool) -> LookColumns {
        let mut known = self.lock();
        known.lanes.retain(|_, lanes| {
            lanes.retain(|_, lane| lane.used.elapsed() < FORGET_AFTER);
            !lanes.is_empty()
        });
        let mut columns = LookColumns::default();
        for (lane, lanes) in &known.lanes {
            for (priority, marked) in lanes {
                if marked.mark.is_some() && marked.one_goal == one_goal {
                    columns.lanes.push(*lane);
                    columns.public.push(marked.public);
                    columns.priorities.push(*priority);
                    columns.floors.push(if from_the_beginning { SystemTime::UNIX_EPOCH } else { marked.floor });
                }
            }
        }
        columns
    }
}

/// From one look from the very beginning to the next, by how long the first has taken.
fn until_the_next(took: Duration) -> Duration {
    (took * FROM_THE_BEGINNING_SHARE).clamp(FROM_THE_BEGINNING, FROM_THE_BEGINNING_AT_MOST)
}

impl Store {
    /// Looks for what the marks have passed, for as long as the process runs.
    pub async fn watch_marks(&self) {
        let (mut beginning, mut pause) = (Instant::now(), FROM_THE_BEGINNING);
        loop {
            let began = Instant::now();
            let from_the_beginning = beginning.elapsed() >= pause;
            match self.look_behind_marks(from_the_beginning).await {
                Ok(()) if from_the_beginning => (beginning, pause) = (began, until_the_next(began.elapsed())),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(?error, "cannot look for what low-water marks have passed; the next look will");
                }
            }
            tokio::time::sleep((began.elapsed() * LOOK_SHARE).clamp(LOOK_AT_LEAST, LOOK_AT_MOST)).await;
        }
    }

    async fn look_behind_marks(&self, from_the_beginning: bool) -> Result<()> {
        for one_goal in [true, false] {
            let columns = self.marks.to_look_at(one_goal, from_the_beginning);
            if columns.lanes.is_empty() {
                continue;
            }
            let pauses = self.pauses.version();
            let (namespaces, goals): (Vec<String>, Vec<String>) =
                self.pauses.all().into_iter().map(|(namespace, goal)| (namespace, goal.unwrap_or_default())).unzip();
            let mut client = self.client().await?;
            let tx = client.transaction().await?;
            tx.batch_execute(LOOKS_FOR).await?;
            let statement = tx.prepare_cached(statements::FIRST_DUE.text(one_goal)).await?;
            let rows = tx
                .query(
                    &statement,
                    &[
                        &columns.lanes,
                        &columns.public,
                        &columns.priorities,
                        &columns.floors,
                        &self.intent_ttl,
                        &namespaces,
                        &goals,
                    ],
                )
                .await?;
            tx.commit().await?;
            if self.pauses.version() != pauses {
                continue;
            }
            for row in rows {
                let (lane, priority) = (row.try_get("lane")?, row.try_get("priority")?);
                self.marks.correct(lane, priority, row.try_get("now")?, row.try_get("visible_at")?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_from_the_beginning_take_a_two_hundredth_of_the_time_within_their_bounds() {
        let next = [10, 1000, 60_000].map(|took| until_the_next(Duration::from_millis(took)).as_secs());
        assert_eq!(next, [60, 200, 300]);
    }
}
