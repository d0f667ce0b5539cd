//! The pairs of namespace and goal without series of their own, and which of them are the busiest. In bounded memory and constant
//! time, whatever clients make up: each pair falls into one of a few buckets, and a bucket remembers the one that holds the
//! majority of what it has seen.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

/// Many times as many as pairs that can be given a place at once, so that busy ones seldom meet in one.
const BUCKETS: usize = 256;

/// What has been seen since it was last asked.
pub(super) struct Crowd {
    /// Keyed anew in each process: nobody can aim at a bucket.
    hasher: RandomState,
    buckets: Box<[Mutex<Leader>]>,
}

/// Who leads in a bucket.
#[derive(Debug, Clone, Default)]
struct Leader {
    pair: String,
    /// At most as often as it was seen; at least by how much it is ahead of all others of the bucket together.
    lead: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), buckets }
    }
}

impl Crowd {
    /// Something has happened to a pair.
    pub(super) fn saw(&self, pair: &str) {
        #[allow(clippy::cast_possible_truncation, reason = "any bits of it will do")]
        let bucket = self.hasher.hash_one(pair) as usize % BUCKETS;
        let mut leader = self.buckets[bucket].lock().unwrap_or_else(PoisonError::into_inner);
        if leader.pair == pair {
            leader.lead += 1;
        } else if leader.lead > 0 {
            leader.lead -= 1;
        } else {
            *leader = Leader { pair: pair.to_owned(), lead: 1 };
        }
    }

    /// Those that lead, each with its lead, the busiest first. Everybody starts anew.
    pub(super) fn leaders(&self) -> Vec<(String, u64)> {
        let take = |bucket: &Mutex<Leader>| std::mem::take(&mut *bucket.lock().unwrap_or_else(PoisonError::into_inner));
        let leaders = self.buckets.iter().map(take).filter(|leader| leader.lead > 0);
        let mut leaders: Vec<(String, u64)> = leaders.map(|Leader { pair, lead }| (pair, lead)).collect();
        leaders.sort_by_key(|(_, lead)| std::cmp::Reverse(*lead));
        leaders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_leads_among_thousands_that_are_seen_once() {
        let crowd = Crowd::default();
        for number in 0..10_000 {
            crowd.saw(&format!("made up {number}"));
            crowd.saw("busy");
        }
        let leaders = crowd.leaders();
        assert_eq!(leaders[0].0, "busy");
        assert!(leaders[0].1 > 9_000, "{leaders:?}");
        assert!(leaders.len() <= BUCKETS);
        assert_eq!(crowd.leaders(), []);
    }
}
