//! Lanes: what a claim must match exactly, hashed into one number, so that a claim is a look at the front of a few index
//! prefixes. An intent stands in its publisher's lanes, and in the public ones if it is public; each with and without goal.

use super::hash::hash64;

/// The lanes that one intent stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lanes {
    /// Publisher, namespace, goal, target, capability.
    pub own_goal: i64,
    /// The same for any goal.
    pub own: i64,
    /// As `own_goal`, for any tenant. None: private.
    pub public_goal: Option<i64>,
    /// As `own`, for any tenant. None: private.
    pub public: Option<i64>,
}

impl Lanes {
    /// All of them.
    pub fn all(self) -> impl Iterator<Item = i64> {
        [Some(self.own_goal), Some(self.own), self.public_goal, self.public].into_iter().flatten()
    }

    /// The lanes of an intent.
    #[must_use]
    pub fn of_intent(
        tenant: i64,
        public: bool,
        namespace: &str,
        goal: &str,
        target: Option<&str>,
        capability: Option<&str>,
    ) -> Self {
        let at = |whose: Option<i64>, goal: Option<&str>| lane(whose, namespace, goal, target, capability);
        Self {
            own_goal: at(Some(tenant), Some(goal)),
            own: at(Some(tenant), None),
            public_goal: public.then(|| at(None, Some(goal))),
            public: public.then(|| at(None, None)),
        }
    }
}

/// Who asks for work, and for what.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Whose intents to look at as one's own. None: only public ones.
    pub publisher: Option<i64>,
    /// Look at everybody's public intents too.
    pub public: bool,
    /// In which namespace.
    pub namespace: String,
    /// Of which goal; any if none.
    pub goal: Option<String>,
    /// The worker, which may be the target of some.
    pub worker: Option<String>,
    /// What the worker is capable of.
    pub capabilities: Vec<String>,
}

impl Reach {
    /// The publisher's lanes that this worker may take from.
    #[must_use]
    pub fn own_lanes(&self, aim: Aim) -> Vec<i64> {
        self.publisher.map_or_else(Vec::new, |tenant| self.lanes(Some(tenant), aim))
    }

    /// The public lanes that this worker may take from.
    #[must_use]
    pub fn public_lanes(&self, aim: Aim) -> Vec<i64> {
        if self.public { self.lanes(None, aim) } else { Vec::new() }
    }

    /// One number for all that workers who reach for the same have in common, whoever they are.
    #[must_use]
    pub fn kind(&self) -> i64 {
        let publisher = self.publisher.map(i64::to_be_bytes);
        let mut parts: Vec<&[u8]> = vec![
            publisher.as_ref().map_or(&[], |bytes| &bytes[..]),
            if self.public { b"public" } else { b"" },
            self.namespace.as_bytes(),
            self.goal.as_deref().unwrap_or_default().as_bytes(),
        ];
        parts.extend(self.capabilities.iter().map(String::as_bytes));
        hash64(&parts)
    }

    fn lanes(&self, whose: Option<i64>, aim: Aim) -> Vec<i64> {
        let worker = self.worker.as_deref();
        let targets: &[Option<&str>] = match (aim, worker) {
            (Aim::Anyone, _) | (Aim::Either, None) => &[None],
            (Aim::Worker, None) => &[],
            (Aim::Worker, Some(_)) => &[worker],
            (Aim::Either, Some(_)) => &[None, worker],
        };
        let mut lanes = Vec::with_capacity(targets.len() * (1 + self.capabilities.len()));
        for target in targets {
            for capability in std::iter::once(None).chain(self.capabilities.iter().map(|name| Some(name.as_str()))) {
                lanes.push(lane(whose, &self.namespace, self.goal.as_deref(), *target, capability));
            }
        }
        lanes
    }
}

/// For whom the intents of a lane are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Any worker.
    Anyone,
    /// This worker in particular.
    Worker,
    /// Any worker, or this one in particular.
    Either,
}

fn lane(
    whose: Option<i64>,
    namespace: &str,
    goal: Option<&str>,
    target: Option<&str>,
    capability: Option<&str>,
) -> i64 {
    // An absent part is hashed as no bytes, a present one is never empty, so the two cannot be taken for each other.
    let whose = whose.map(i64::to_be_bytes);
    hash64(&[
        whose.as_ref().map_or(&[], |bytes| &bytes[..]),
        namespace.as_bytes(),
        goal.unwrap_or_default().as_bytes(),
        target.unwrap_or_default().as_bytes(),
        capability.unwrap_or_default().as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(worker: Option<&str>, capabilities: &[&str]) -> Reach {
        Reach {
            publisher: Some(7),
            public: true,
            namespace: "default".to_owned(),
            goal: Some("resize".to_owned()),
            worker: worker.map(str::to_owned),
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_worker_looks_into_every_mix_of_target_and_capability() {
        let lanes = |worker, capabilities: &[&str], aim| reach(worker, capabilities).own_lanes(aim).len();
        assert_eq!(lanes(None, &[], Aim::Either), 1);
        assert_eq!(lanes(Some("pi"), &[], Aim::Either), 2);
        assert_eq!(lanes(Some("pi"), &["gpu", "ocr"], Aim::Either), 6);
        assert_eq!(lanes(Some("pi"), &["gpu", "ocr"], Aim::Worker), 3);
        assert_eq!(lanes(None, &["gpu", "ocr"], Aim::Worker), 0);
        assert_eq!(reach(Some("pi"), &["gpu", "ocr"]).public_lanes(Aim::Either).len(), 6);
    }

    #[test]
    fn workers_who_differ_by_name_only_reach_for_the_same() {
        assert_eq!(reach(Some("pi"), &["gpu"]).kind(), reach(Some("phone"), &["gpu"]).kind());
        assert_eq!(
            reach(Some("pi"), &["gpu"]).own_lanes(Aim::Anyone),
            reach(Some("phone"), &["gpu"]).own_lanes(Aim::Anyone)
        );
        assert_ne!(reach(None, &["gpu"]).kind(), reach(None, &[]).kind());
        assert_ne!(reach(None, &[]).kind(), Reach { public: false, ..reach(None, &[]) }.kind());
        assert_ne!(reach(None, &[]).kind(), Reach { publisher: Some(8), ..reach(None, &[]) }.kind());
    }

    #[test]
    fn an_intent_stands_in_a_lane_of_those_who_may_claim_it_and_of_nobody_else() {
        let intent = Lanes::of_intent(7, false, "default", "resize", Some("pi"), Some("gpu"));
        let reaches = |reach: &Reach| reach.own_lanes(Aim::Either).contains(&intent.own_goal);
        assert!(reaches(&reach(Some("pi"), &["gpu"])));
        assert!(!reaches(&reach(Some("other"), &["gpu"])));
        assert!(!reaches(&reach(Some("pi"), &[])));
        assert!(!reaches(&Reach { publisher: Some(8), ..reach(Some("pi"), &["gpu"]) }));
        assert_eq!(intent.public_goal, None);

        let intent = Lanes::of_intent(9, true, "default", "resize", None, None);
        let lanes = reach(None, &[]).public_lanes(Aim::Either);
        assert!(intent.public_goal.is_some_and(|lane| lanes.contains(&lane)));
    }
}
