//! Lanes: what a claim must match exactly, hashed into one number, so that a claim is a look at the front of a few index
//! prefixes. An intent stands in its publisher's lanes, and in the public ones if it is public; each with and without goal.

use super::hash::hash64;

/// The lanes that one intent stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub struct Reach<'a> {
    /// Whose intents to look at as one's own. None: only public ones.
    pub publisher: Option<i64>,
    /// Look at everybody's public intents too.
    pub public: bool,
    /// In which namespace.
    pub namespace: &'a str,
    /// Of which goal; any if none.
    pub goal: Option<&'a str>,
    /// The worker, which may be the target of some.
    pub worker: Option<&'a str>,
    /// What the worker is capable of.
    pub capabilities: &'a [String],
}

impl Reach<'_> {
    /// The publisher's lanes that this worker may take from.
    #[must_use]
    pub fn own_lanes(&self) -> Vec<i64> {
        self.publisher.map_or_else(Vec::new, |tenant| self.lanes(Some(tenant)))
    }

    /// The public lanes that this worker may take from.
    #[must_use]
    pub fn public_lanes(&self) -> Vec<i64> {
        if self.public { self.lanes(None) } else { Vec::new() }
    }

    fn lanes(&self, whose: Option<i64>) -> Vec<i64> {
        let targets = [None, self.worker];
        let targets = if self.worker.is_some() { &targets[..] } else { &targets[..1] };
        let mut lanes = Vec::with_capacity(targets.len() * (1 + self.capabilities.len()));
        for target in targets {
            for capability in std::iter::once(None).chain(self.capabilities.iter().map(|name| Some(name.as_str()))) {
                lanes.push(lane(whose, self.namespace, self.goal, *target, capability));
            }
        }
        lanes
    }
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

    fn reach<'a>(worker: Option<&'a str>, capabilities: &'a [String]) -> Reach<'a> {
        Reach { publisher: Some(7), public: true, namespace: "default", goal: Some("resize"), worker, capabilities }
    }

    #[test]
    fn a_worker_looks_into_every_mix_of_target_and_capability() {
        let capabilities = ["gpu".to_owned(), "ocr".to_owned()];
        assert_eq!(reach(None, &[]).own_lanes().len(), 1);
        assert_eq!(reach(Some("pi"), &[]).own_lanes().len(), 2);
        assert_eq!(reach(Some("pi"), &capabilities).own_lanes().len(), 6);
        assert_eq!(reach(Some("pi"), &capabilities).public_lanes().len(), 6);
    }

    #[test]
    fn an_intent_stands_in_a_lane_of_those_who_may_claim_it_and_of_nobody_else() {
        let capabilities = ["gpu".to_owned()];
        let intent = Lanes::of_intent(7, false, "default", "resize", Some("pi"), Some("gpu"));
        assert!(reach(Some("pi"), &capabilities).own_lanes().contains(&intent.own_goal));
        assert!(!reach(Some("other"), &capabilities).own_lanes().contains(&intent.own_goal));
        assert!(!reach(Some("pi"), &[]).own_lanes().contains(&intent.own_goal));
        assert!(
            !Reach { publisher: Some(8), ..reach(Some("pi"), &capabilities) }.own_lanes().contains(&intent.own_goal)
        );
        assert_eq!(intent.public_goal, None);

        let intent = Lanes::of_intent(9, true, "default", "resize", None, None);
        let lanes = reach(None, &[]).public_lanes();
        assert!(intent.public_goal.is_some_and(|lane| lanes.contains(&lane)));
    }
}
