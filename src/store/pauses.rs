//! What operators have paused, as each replica knows it: read with the changed keys, so within a second on all of them. A claim
//! for something paused finds nothing, and one for any goal passes over the paused ones.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::Store;

/// How long what was read is believed, counted from the beginning of the look. Without a look that succeeds each claim asks.
const BELIEVED_FOR: Duration = Duration::from_millis(900);

/// What is paused.
#[derive(Default)]
pub struct Pauses(RwLock<Known>);

#[derive(Default)]
struct Known {
    namespaces: HashMap<String, Paused>,
    /// When the look began that brought this.
    looked_at: Option<Instant>,
    /// Another one with each change.
    version: u64,
}

/// What of a namespace is paused.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Paused {
    all: bool,
    goals: BTreeSet<String>,
}

impl Pauses {
    /// Whether nothing of this goal, or with none of the namespace, is handed out.
    #[must_use]
    pub fn is_paused(&self, namespace: &str, goal: Option<&str>) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .namespaces
            .get(namespace)
            .is_some_and(|paused| paused.all || goal.is_some_and(|goal| paused.goals.contains(goal)))
    }

    /// The paused goals of a namespace.
    #[must_use]
    pub fn goals_of(&self, namespace: &str) -> Vec<String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.namespaces.get(namespace).map(|paused| paused.goals.iter().cloned().collect()).unwrap_or_default()
    }

    /// All of it. No goal: the whole namespace.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Option<String>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(String, Option<String>)> = Vec::new();
        for (namespace, paused) in &known.namespaces {
            all.extend(paused.all.then(|| (namespace.clone(), None)));
            all.extend(paused.goals.iter().map(|goal| (namespace.clone(), Some(goal.clone()))));
        }
        all.sort();
        all
    }

    /// Whether what is known was read just now.
    pub(super) fn are_known(&self) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.looked_at.is_some_and(|at| at.elapsed() < BELIEVED_FOR)
    }

    /// Stands for what is paused: another number with each change.
    pub(super) fn version(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).version
    }

    /// Learns what a look has brought that began then: pairs of namespace and goal, which is empty for a whole namespace. Whether
    /// that is a change. An older look than the last says nothing.
    fn learn(&self, pairs: Vec<(String, String)>, began: Instant) -> bool {
        let mut now: HashMap<String, Paused> = HashMap::new();
        for (namespace, goal) in pairs {
            let paused = now.entry(namespace).or_default();
            if goal.is_empty() {
                paused.all = true;
            } else {
                paused.goals.insert(goal);
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.looked_at.is_some_and(|at| began < at) {
            return false;
        }
        known.looked_at = Some(began);
        let changed = known.namespaces != now;
        if changed {
            known.namespaces = now;
            known.version += 1;
        }
        changed
    }
}

impl Store {
    /// Learns what is paused, as a look has read it that began then.
    pub(super) fn learn_pauses(&self, pairs: Vec<(String, String)>, began: Instant) {
        if self.pauses.learn(pairs, began) {
            self.marks.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_paused_by_itself_or_with_its_namespace() {
        let pauses = Pauses::default();
        let pair = |namespace: &str, goal: &str| (namespace.to_owned(), goal.to_owned());
        let before = Instant::now();
        let began = Instant::now();
        assert!(pauses.learn(vec![pair("east", "mail"), pair("west", "")], began) && pauses.are_known());
        assert_eq!(pauses.version(), 1);
        assert!(pauses.is_paused("east", Some("mail")) && pauses.is_paused("west", Some("mail")));
        assert!(pauses.is_paused("west", None));
        assert!(!pauses.is_paused("east", None) && !pauses.is_paused("east", Some("sms")));
        assert_eq!((pauses.goals_of("east"), pauses.goals_of("west")), (vec!["mail".to_owned()], vec![]));
        assert!(!pauses.learn(vec![], before), "an older look");
        assert!(pauses.is_paused("west", None));
        assert!(pauses.learn(vec![], Instant::now()));
        assert!(!pauses.is_paused("west", None));
    }
}
