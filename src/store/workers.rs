//! The workers that have asked this replica for work since its last sign of life. Their names come from clients, so there are
//! bounds: what is beyond them is seen again with its next request.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use crate::domain::lanes::Reach;

/// Workers that are remembered until the next sign of life.
const WORKERS: usize = 1000;
/// Of one tenant.
const OF_A_TENANT: usize = 200;
/// Goals of one worker that are told apart, until the next sign of life and in the rows of all. With more it counts as one that
/// takes any.
pub(super) const GOALS: usize = 16;
/// Capabilities of one worker that are remembered, until the next sign of life and in the rows of all. A request names at most 32.
pub(super) const CAPABILITIES: usize = 64;

/// A worker that has asked for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Whose key it uses.
    pub tenant: i64,
    /// Where it asks.
    pub namespace: String,
    /// Its name; empty: it gives none.
    pub name: String,
    /// What it has asked for. None: any goal.
    pub goals: Option<BTreeSet<String>>,
    /// What it can do, by any of its requests: workers without a name are one.
    pub capabilities: BTreeSet<String>,
    /// Intents that it has claimed.
    pub claims: u64,
}

/// Those seen since the last sign of life.
#[derive(Default)]
pub struct Seen(Mutex<Tenants>);

#[derive(Default)]
struct Tenants {
    by_number: HashMap<i64, OfTenant>,
    workers: usize,
}

/// Those of one tenant.
#[derive(Default)]
struct OfTenant {
    /// And by name. Two steps, so that a worker that is known is found without a copy of its names.
    by_namespace: HashMap<String, HashMap<String, Worker>>,
    workers: usize,
}

impl Seen {
    /// Remembers that a worker has asked, and how many intents it got. Under one lock for all: a worker that is known takes it for
    /// 0.3 us, measured with one to four threads, and a claim takes more than a hundred times as long of a core.
    pub fn asked(&self, tenant: i64, reach: &Reach, claims: usize) {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(worker) = tenants.worker(tenant, &reach.namespace, reach.worker.as_deref().unwrap_or_default()) else {
            return;
        };
        worker.claims += claims as u64;
        for capability in &reach.capabilities {
            if worker.capabilities.len() < CAPABILITIES && !worker.capabilities.contains(capability) {
                worker.capabilities.insert(capability.clone());
            }
        }
        match (&mut worker.goals, &reach.goal) {
            (Some(goals), Some(goal)) if goals.contains(goal) => {}
            (Some(goals), Some(goal)) if goals.len() < GOALS => {
                goals.insert(goal.clone());
            }
            (goals, _) => *goals = None,
        }
    }

    /// Remembers those once more who were taken and could not be told of. What has been seen of them since is newer.
    pub fn put_back(&self, workers: Vec<Worker>) {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Worker { tenant, namespace, name, goals, capabilities, claims } in workers {
            let Some(worker) = tenants.worker(tenant, &namespace, &name) else { continue };
            worker.capabilities.extend(capabilities);
            while worker.capabilities.len() > CAPABILITIES {
                worker.capabilities.pop_last();
            }
            worker.claims += claims;
            let both = worker.goals.take().zip(goals).map(|(newer, older)| &newer | &older);
            worker.goals = both.filter(|goals| goals.len() <= GOALS);
        }
    }

    /// All of them, who are forgotten by that.
    pub fn take(&self) -> Vec<Worker> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let namespaces = taken.by_number.into_values().flat_map(|tenant| tenant.by_namespace.into_values());
        namespaces.flat_map(HashMap::into_values).collect()
    }
}

impl Tenants {
    /// A worker, known or new. None: there are too many to remember one more.
    fn worker(&mut self, tenant: i64, namespace: &str, name: &str) -> Option<&mut Worker> {
        let of_tenant = self.by_number.entry(tenant).or_default();
        let is_known = of_tenant.by_namespace.get(namespace).is_some_and(|workers| workers.contains_key(name));
        if !is_known {
            if self.workers >= WORKERS || of_tenant.workers >= OF_A_TENANT {
                return None;
            }
            let worker = Worker {
                tenant,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                goals: Some(BTreeSet::new()),
                capabilities: BTreeSet::new(),
                claims: 0,
            };
            of_tenant.by_namespace.entry(namespace.to_owned()).or_default().insert(name.to_owned(), worker);
            self.workers += 1;
            of_tenant.workers += 1;
        }
        of_tenant.by_namespace.get_mut(namespace)?.get_mut(name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn reach(worker: &str, goal: Option<&str>) -> Reach {
        Reach {
            publisher: Some(1),
            public: true,
            namespace: "default".to_owned(),
            goal: goal.map(str::to_owned),
            worker: Some(worker.to_owned()),
            capabilities: vec!["gpu".to_owned()],
        }
    }

    #[test]
    fn a_worker_is_remembered_once_with_all_that_it_asks_for() {
        let seen = Seen::default();
        seen.asked(1, &reach("ada", Some("mail")), 2);
        seen.asked(1, &reach("ada", Some("sms")), 1);
        let workers = seen.take();
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].goals.clone().unwrap().into_iter().collect::<Vec<_>>(), ["mail", "sms"]);
        assert_eq!((workers[0].claims, &workers[0].capabilities), (3, &BTreeSet::from(["gpu".to_owned()])));
        assert_eq!(seen.take(), []);
    }

    #[test]
    fn workers_that_could_not_be_told_of_are_remembered_with_what_came_since() {
        let seen = Seen::default();
        seen.asked(1, &reach("ada", Some("mail")), 2);
        seen.asked(1, &reach("eve", None), 1);
        let untold = seen.take();
        seen.asked(1, &Reach { capabilities: vec!["cpu".to_owned()], ..reach("ada", Some("sms")) }, 1);
        seen.put_back(untold);
        let mut workers = seen.take();
        workers.sort_by(|one, other| one.name.cmp(&other.name));
        let [ada, eve]: [Worker; 2] = workers.try_into().unwrap();
        assert_eq!(ada.goals.clone().unwrap().into_iter().collect::<Vec<_>>(), ["mail", "sms"]);
        assert_eq!((ada.claims, ada.capabilities), (3, BTreeSet::from(["cpu".to_owned(), "gpu".to_owned()])));
        assert_eq!((eve.claims, eve.goals.as_ref(), eve.capabilities.len()), (1, None, 1));
    }

    #[test]
    fn a_worker_that_asks_for_anything_has_no_goals() {
        let seen = Seen::default();
        seen.asked(1, &reach("ada", Some("mail")), 0);
        seen.asked(1, &reach("ada", None), 0);
        assert_eq!(seen.take()[0].goals, None);
    }

    #[test]
    fn a_tenant_that_makes_up_names_does_not_crowd_others_out() {
        let seen = Seen::default();
        for number in 0..2 * WORKERS {
            seen.asked(1, &reach(&format!("worker-{number}"), None), 0);
        }
        seen.asked(2, &reach("ada", None), 0);
        for tenant in 3..2000 {
            seen.asked(tenant, &reach("ada", None), 0);
        }
        let workers = seen.take();
        assert_eq!(workers.len(), WORKERS);
        assert_eq!(workers.iter().filter(|worker| worker.tenant == 1).count(), OF_A_TENANT);
        assert_eq!(workers.iter().filter(|worker| worker.tenant == 2).count(), 1);
    }
}
