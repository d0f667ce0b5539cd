//! What operators have paused, as each replica knows it: read with the changed keys, so within a second on all of them. A claim
//! for something paused finds nothing, and one for any goal passes over the paused ones.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock},
};

/// The paused goals by namespace.
#[derive(Default)]
pub struct Pauses(RwLock<HashMap<String, Paused>>);

/// What of a namespace is paused.
#[derive(Debug, Default, Clone)]
struct Paused {
    all: bool,
    goals: BTreeSet<String>,
}

impl Pauses {
    /// Whether nothing of this goal, or with none of the namespace, is handed out.
    #[must_use]
    pub fn is_paused(&self, namespace: &str, goal: Option<&str>) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).is_some_and(|paused| paused.all || goal.is_some_and(|goal| paused.goals.contains(goal)))
    }

    /// The paused goals of a namespace.
    #[must_use]
    pub fn goals_of(&self, namespace: &str) -> Vec<String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).map(|paused| paused.goals.iter().cloned().collect()).unwrap_or_default()
    }

    /// All of it. No goal: the whole namespace.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Option<String>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(String, Option<String>)> = Vec::new();
        for (namespace, paused) in &*known {
            all.extend(paused.all.then(|| (namespace.clone(), None)));
            all.extend(paused.goals.iter().map(|goal| (namespace.clone(), Some(goal.clone()))));
        }
        all.sort();
        all
    }

    /// Learns what is paused now: pairs of namespace and goal, which is empty for a whole namespace.
    pub(super) fn learn(&self, pairs: Vec<(String, String)>) {
        let mut now: HashMap<String, Paused> = HashMap::new();
        for (namespace, goal) in pairs {
            let paused = now.entry(namespace).or_default();
            if goal.is_empty() {
                paused.all = true;
            } else {
                paused.goals.insert(goal);
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_paused_by_itself_or_with_its_namespace() {
        let pauses = Pauses::default();
        let pair = |namespace: &str, goal: &str| (namespace.to_owned(), goal.to_owned());
        pauses.learn(vec![pair("east", "mail"), pair("west", "")]);
        assert!(pauses.is_paused("east", Some("mail")) && pauses.is_paused("west", Some("mail")));
        assert!(pauses.is_paused("west", None));
        assert!(!pauses.is_paused("east", None) && !pauses.is_paused("east", Some("sms")));
        assert_eq!((pauses.goals_of("east"), pauses.goals_of("west")), (vec!["mail".to_owned()], vec![]));
        pauses.learn(vec![]);
        assert!(!pauses.is_paused("west", None));
    }
}
