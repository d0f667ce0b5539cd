//! Why an open intent is not claimed: what stands in its way, each with a code for programs and a sentence that says what to
//! do.

use super::intent::Seen;

/// Intents in front of one that are counted.
pub const AHEAD_MAX: i64 = 1000;

/// One thing that stands in the way. Times are unix seconds.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields say what the variants name")]
pub enum Reason {
    /// Nobody claimed it in time: it is dead for all who look, and maintenance will bury it.
    Expired,
    /// It is not due, and nobody has tried it yet.
    Delayed { until: f64 },
    /// An attempt has failed, or its lease ended, and the pause after that is not over.
    BackingOff { until: f64 },
    /// Its namespace is paused.
    NamespacePaused { namespace: String },
    /// Its goal is paused.
    GoalPaused { namespace: String, goal: String },
    /// All who could claim it have used up their minute: their claims are refused. `limit`: requests a minute of the one who
    /// may make the most.
    RateLimited { limit: i32, until: f64 },
    /// It is private, and its publisher's tenant has no key that may claim where it stands.
    NoKey { namespace: String },
    /// The worker that it is meant for has never asked for work where this intent stands.
    TargetNeverSeen { worker: String },
    /// The worker that it is meant for has not asked for work of late.
    TargetAway { worker: String, seen_at: f64 },
    /// No worker that asked for work of late has the capability.
    NoCapableWorker { capability: String },
    /// Nobody who may claim it has asked for its goal of late.
    NobodyAsks { namespace: String, goal: String },
    /// Others of its goal come first.
    OthersFirst { count: i64, or_more: bool },
    /// Nothing: the next claim takes it.
    Ready,
}

/// What is known of an open intent's surroundings. Workers are those that asked for work where it stands in the last 5 minutes
/// and may claim it by whom they are.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "answers to questions that have nothing to do with each other")]
pub struct Circumstances {
    /// Its namespace is paused.
    pub namespace_paused: bool,
    /// Its goal is paused.
    pub goal_paused: bool,
    /// Requests a minute of whoever could claim it and may make the most. None: the root key can, and has no limit.
    pub rate_limit: Option<i32>,
    /// From when on one of those who could claim it may make a request again, if none may now. Unix seconds.
    pub limited_until: Option<f64>,
    /// No key of its publisher's tenant may claim it, and nobody else may either.
    pub keyless: bool,
    /// There are such workers; if it names one, that one.
    pub fitting: bool,
    /// When the publisher's worker that it names was last seen, unix seconds.
    pub target_seen_at: Option<f64>,
    /// One of them has the capability that it asks for.
    pub capable: bool,
    /// One of them, with the capability, asked for its goal.
    pub asked: bool,
    /// How many of its goal come before it. What is above [`AHEAD_MAX`] stands for more than that.
    pub ahead: i64,
}

impl Circumstances {
    /// What stands in the way of an open intent, what has to go first at the beginning. Never empty. `now`: unix seconds.
    #[must_use]
    pub fn reasons(&self, seen: &Seen, now: f64) -> Vec<Reason> {
        let (namespace, goal) = (seen.namespace.clone(), seen.goal.clone());
        let mut reasons = Vec::new();
        if self.namespace_paused {
            reasons.push(Reason::NamespacePaused { namespace: namespace.clone() });
        }
        if self.goal_paused {
            reasons.push(Reason::GoalPaused { namespace: namespace.clone(), goal: goal.clone() });
        }
        if seen.run_at > now {
            let until = seen.run_at;
            reasons.push(if seen.claim_attempts > 0 {
                Reason::BackingOff { until }
            } else {
                Reason::Delayed { until }
            });
        }
        if let (Some(limit), Some(until)) = (self.rate_limit, self.limited_until) {
            reasons.push(Reason::RateLimited { limit, until });
        }
        match (&seen.target_worker, &seen.required_capability) {
            _ if self.keyless => reasons.push(Reason::NoKey { namespace }),
            (Some(worker), _) if !self.fitting => reasons.push(match self.target_seen_at {
                Some(seen_at) => Reason::TargetAway { worker: worker.clone(), seen_at },
                None => Reason::TargetNeverSeen { worker: worker.clone() },
            }),
            (_, Some(capability)) if !self.capable => {
                reasons.push(Reason::NoCapableWorker { capability: capability.clone() });
            }
            _ if !self.asked => reasons.push(Reason::NobodyAsks { namespace, goal }),
            _ => {}
        }
        if self.ahead > 0 {
            let or_more = self.ahead > AHEAD_MAX;
            reasons.push(Reason::OthersFirst { count: self.ahead.min(AHEAD_MAX), or_more });
        }
        if reasons.is_empty() {
            reasons.push(Reason::Ready);
        }
        reasons
    }
}

impl Reason {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Delayed { .. } => "delayed",
            Self::BackingOff { .. } => "backing_off",
            Self::NamespacePaused { .. } => "namespace_paused",
            Self::GoalPaused { .. } => "goal_paused",
            Self::RateLimited { .. } => "rate_limited",
            Self::NoKey { .. } => "no_key",
            Self::TargetNeverSeen { .. } => "target_never_seen",
            Self::TargetAway { .. } => "target_away",
            Self::NoCapableWorker { .. } => "no_capable_worker",
            Self::NobodyAsks { .. } => "nobody_asks",
            Self::OthersFirst { .. } => "others_first",
            Self::Ready => "ready",
        }
    }

    /// Until when it stands in the way, where that is known: unix seconds.
    #[must_use]
    pub const fn until(&self) -> Option<f64> {
        match self {
            Self::Delayed { until } | Self::BackingOff { until } | Self::RateLimited { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// For people: what it is and what to do. `now`: unix seconds by the database's clock.
    #[must_use]
    pub fn message(&self, now: f64) -> String {
        match self {
            Self::Expired => {
                "Nobody claimed it in time, so it is dead; maintenance will bury it. Retry it once workers ask for it."
                    .to_owned()
            }
            Self::Delayed { until } => {
                let left = span(until - now);
                format!(
                    "It is due in {left}: it was published with a delay, or put back as one of many. Nothing to do but wait."
                )
            }
            Self::BackingOff { until } => format!(
                "An attempt has failed or its lease has ended, and the pause before the next one ends in {}. If it failed, the last error says why.",
                span(until - now)
            ),
            Self::NamespacePaused { namespace } => {
                format!("The namespace {namespace} is paused. Resume it when its workers may go on.")
            }
            Self::GoalPaused { namespace, goal } => {
                format!("The goal {goal} is paused in namespace {namespace}. Resume it when its workers may go on.")
            }
            Self::RateLimited { limit, until } => format!(
                "Whoever may claim it has used up the {limit} requests of this minute, and the next is free in {}. Raise the tenant's limit, or let its workers wait for work in their claims instead of asking often.",
                span(until - now)
            ),
            Self::NoKey { namespace } => format!(
                "It is private, and no key of its publisher's tenant may claim in namespace {namespace}: they lack the scope work or the namespace, have expired or are revoked. Create such a key, or widen one."
            ),
            Self::TargetNeverSeen { worker } => format!(
                "It is meant for worker {worker}, which has not been seen here. Start that worker, with exactly this name; or publish it anew for another."
            ),
            Self::TargetAway { worker, seen_at } => format!(
                "It is meant for worker {worker}, which last asked for work {} ago. Look after that worker.",
                span(now - seen_at)
            ),
            Self::NoCapableWorker { capability } => format!(
                "No worker with the capability {capability} has asked for work in the last 5 minutes. Start one that names it."
            ),
            Self::NobodyAsks { namespace, goal } => format!(
                "Nobody who may claim it has asked for goal {goal} in namespace {namespace} in the last 5 minutes. Start a worker; a private intent needs one with its publisher's tenant."
            ),
            Self::OthersFirst { count, or_more } => format!(
                "{count}{} of the same goal come first, by priority or time. Start more workers if this takes too long.",
                if *or_more { " or more" } else { "" }
            ),
            Self::Ready => "Nothing stands in its way: the next claim of its goal takes it.".to_owned(),
        }
    }
}

/// A span of time as people say it, in its largest unit.
fn span(seconds: f64) -> String {
    let (count, unit) = match seconds {
        ..120.0 => (seconds.max(0.0), "s"),
        ..7_200.0 => (seconds / 60.0, "min"),
        ..172_800.0 => (seconds / 3_600.0, "h"),
        _ => (seconds / 86_400.0, "days"),
    };
    format!("{count:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::IntentId, intent::State};

    fn open() -> Seen {
        Seen {
            id: IntentId(uuid::Uuid::nil()),
            tenant: 1,
            claimed_by: None,
            namespace: "default".to_owned(),
            goal: "greet".to_owned(),
            priority: 100,
            public: false,
            claim_attempts: 0,
            max_attempts: 3,
            target_worker: None,
            required_capability: None,
            worker_id: None,
            state: State::Open,
            created_at: 0.0,
            run_at: 0.0,
            claim_expires_at: None,
            completed_at: None,
            last_error: None,
            result: None,
            payload_day: String::new(),
        }
    }

    #[test]
    fn spans_are_said_in_their_largest_unit() {
        let said = [-3.0, 0.4, 119.0, 120.0, 7_200.0, 172_800.0].map(span);
        assert_eq!(said, ["0 s", "0 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn limits_come_before_what_follows_from_them() {
        let limited = Circumstances { rate_limit: Some(60), limited_until: Some(1012.0), ..Circumstances::default() };
        let reasons = limited.reasons(&open(), 1000.0);
        assert_eq!(reasons.iter().map(Reason::code).collect::<Vec<_>>(), ["rate_limited", "nobody_asks"]);
        assert_eq!(reasons[0].until(), Some(1012.0));
        assert!(reasons[0].message(1000.0).contains("the 60 requests of this minute, and the next is free in 12 s"));
        let keyless = Circumstances { keyless: true, ..Circumstances::default() };
        assert_eq!(keyless.reasons(&open(), 1000.0).iter().map(Reason::code).collect::<Vec<_>>(), ["no_key"]);
    }

    #[test]
    fn a_message_names_what_stands_in_the_way() {
        let away = Reason::TargetAway { worker: "pi".to_owned(), seen_at: 400.0 };
        assert!(away.message(1000.0).contains("worker pi, which last asked for work 10 min ago"));
        let first = Reason::OthersFirst { count: 1000, or_more: true };
        assert!(first.message(0.0).starts_with("1000 or more of the same goal"));
    }
}
