//! What has been told of the tallies so far, so that each count is told once.

use std::collections::HashMap;

use super::{Pair, Tally};

/// The tallies that were told last, by namespace and goal.
#[derive(Default)]
pub struct Told(HashMap<Pair, Tally>);

impl Told {
    /// What these tallies count beyond those that were told. Pairs of which nothing is new are left out.
    #[must_use]
    pub fn since(&self, tallies: &[Tally]) -> Vec<Tally> {
        tallies.iter().filter_map(|tally| tally.since(self.0.get(&pair(tally)))).collect()
    }

    /// These have been told now.
    pub fn keep(&mut self, tallies: Vec<Tally>) {
        self.0 = tallies.into_iter().map(|tally| (pair(&tally), tally)).collect();
    }

    /// These pairs are counted from nothing when they come back.
    pub fn forget(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            self.0.remove(pair);
        }
    }
}

fn pair(tally: &Tally) -> Pair {
    (tally.namespace.clone(), tally.goal.clone())
}
