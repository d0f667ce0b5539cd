//! The lanes and priorities that this replica knows to be listed in the database, so that publishing need not list them again, and
//! the kinds of claims that have several of them to look into.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Store, statements};
use crate::{domain::lanes::Lanes, error::Result};

/// How long a pair is known to be listed. Maintenance drops those that nobody has made sure of for two days.
const KNOWN_FOR: Duration = Duration::from_secs(6 * 3600);
/// Pairs kept, and kinds of claims; when there are more, all are forgotten and learnt again.
const CAPACITY: usize = 100_000;

/// How long a kind of claims is taken to have several places to look, before one is tried again as if it had one.
const SEVERAL_FOR: Duration = Duration::from_secs(60);

/// A lane and a priority in it.
pub(super) type Pair = (i64, i16);

/// What is known to be listed.
#[derive(Default)]
pub(super) struct LanesInUse(Mutex<HashMap<Pair, Instant>>);

/// The kinds of claims that have had several lanes to look into, or priorities, when they were last tried as if they had one.
#[derive(Default)]
pub(super) struct Several(Mutex<HashMap<i64, Instant>>);

impl Several {
    pub(super) fn contains(&self, kind: i64) -> bool {
        self.lock().get(&kind).is_some_and(|since| since.elapsed() < SEVERAL_FOR)
    }

    pub(super) fn add(&self, kind: i64) {
        let mut kinds = self.lock();
        if kinds.len() >= CAPACITY {
            kinds.clear();
        }
        kinds.insert(kind, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LanesInUse {
    /// Those of these intents' pairs that may not be listed yet.
    pub(super) fn unknown(&self, intents: impl Iterator<Item = (Lanes, i16)>) -> HashSet<Pair> {
        let known = self.lock();
        let listed = |pair: &Pair| known.get(pair).is_some_and(|since| since.elapsed() < KNOWN_FOR);
        intents
            .flat_map(|(lanes, priority)| lanes.all().map(move |lane| (lane, priority)))
            .filter(|pair| !listed(pair))
            .collect()
    }

    /// These have been committed.
    pub(super) fn learn(&self, pairs: HashSet<Pair>) {
        let mut known = self.lock();
        if known.len() + pairs.len() > CAPACITY {
            known.clear();
        }
        let now = Instant::now();
        known.extend(pairs.into_iter().map(|pair| (pair, now)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pair, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Drops pairs that have not been used for two days and in which no intent stands, at most `limit` of them.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn drop_unused_lanes(&self, limit: i64) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::LANES_DROP_UNUSED).await?;
        Ok(client.execute(&statement, &[&limit]).await?)
    }
}
