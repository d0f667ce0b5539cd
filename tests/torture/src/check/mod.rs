//! Holds the end against the log. A pure function: the same log and the same end give the same findings, whoever made them.
//!
//! `answers` asks whether what was acknowledged is true at the end, `leases` whether what workers were told fits together, and
//! `history` whether what the database saw was allowed.

mod answers;
mod history;
mod leases;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use crate::{
    log::{Event, Operation, Outcome, What, operations},
    state::End,
};

/// What is known of a run besides its log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Length of a lease, in seconds.
    pub lease: f64,
    /// The database was replaced by one that lacks what was committed in this span, in unix seconds. What follows from that for
    /// intents of which something was acknowledged in it is counted, not held against the bus, and such an intent may be finished
    /// once before and once after. All others get no excuse.
    pub lost: Option<(f64, f64)>,
    /// Statuses with which a publication may be refused.
    pub refusals: &'static [u16],
}

impl Rules {
    /// Nothing is lost, and nothing refused.
    #[must_use]
    pub fn of_lease(seconds: u32) -> Self {
        Self { lease: seconds.into(), lost: None, refusals: &[] }
    }
}

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A publication was acknowledged and there is no such intent.
    Lost,
    /// An intent was due for three leases, to be claimed or buried, and was not.
    Stuck,
    /// Two finishes of one claim, or of one intent, were acknowledged.
    FinishedTwice,
    /// A finish was acknowledged, and the intent says otherwise.
    FinishLost,
    /// A finish counted that came from somebody who did not hold the intent.
    NotTheHolder,
    /// A finish or an extension was refused to somebody who held the intent.
    LeaseBroken,
    /// An intent was given out again, and neither a lease had ended nor a failure been reported.
    Repeated,
    /// A claim that was asked for again brought another intent while its first lease ran.
    ClaimedTwice,
    /// A publication or a claim was refused, and nothing explains it.
    WronglyRefused,
    /// A tenant got what it may not see.
    Leaked,
    /// Two intents of one publication.
    KeyTwice,
    /// A signed request was let in twice.
    Replayed,
    /// An intent that nobody has published.
    Phantom,
    /// A server has failed: a status of 500, a panic, an error in its log.
    Fault,
}

impl Kind {
    /// Whether a database that lacks something may bring it about without any fault of the bus.
    const fn follows_from_loss(self) -> bool {
        matches!(
            self,
            Self::Lost
                | Self::FinishLost
                | Self::NotTheHolder
                | Self::LeaseBroken
                | Self::Repeated
                | Self::ClaimedTwice
                | Self::Phantom
                | Self::KeyTwice
                | Self::Replayed
        )
    }
}

/// Something that must not happen, and has.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Which rule it breaks.
    pub kind: Kind,
    /// In words, with the ids.
    pub what: String,
}

/// How much there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Operations of any kind.
    pub operations: usize,
    /// Whose outcome nobody knows.
    pub unknown: usize,
    /// Publications that were acknowledged.
    pub published: usize,
    /// Leases that workers were told of.
    pub executions: usize,
    /// Of these, second and later ones of an intent.
    pub repeats: usize,
    /// Fulfilments that were acknowledged.
    pub fulfilled: usize,
    /// Intents that are not at their end.
    pub unfinished: usize,
    /// What a replaced database has lost.
    pub excused: usize,
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// How much there was.
    pub figures: Figures,
    /// What must not happen, and has.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// Whether nothing happened that must not.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.violations.is_empty()
    }

    /// How often each rule was broken.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        self.violations.iter().fold(BTreeMap::new(), |mut kinds, violation| {
            *kinds.entry(violation.kind).or_default() += 1;
            kinds
        })
    }

    fn found(&mut self, kind: Kind, what: impl Into<String>) {
        self.violations.push(Violation { kind, what: what.into() });
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { operations, unknown, published, executions, repeats, fulfilled, unfinished, excused } =
            self.figures;
        write!(
            f,
            "{operations} operations ({unknown} unknown), {published} published, {executions} executions ({repeats} \
             repeated), {fulfilled} fulfilled, {unfinished} unfinished"
        )?;
        if excused > 0 {
            write!(f, ", {excused} lost with the old database")?;
        }
        if self.violations.is_empty() {
            return f.write_str(", 0 violations");
        }
        write!(f, ", VIOLATIONS {:?}", self.kinds())
    }
}

/// Holds the end against the log.
#[must_use]
pub fn check(log: &[Event], end: &End, rules: &Rules) -> Findings {
    let operations = operations(log);
    let mut figures = figures(&operations, end);
    let mut violations = violations(&operations, end, rules);
    if let Some(span) = rules.lost {
        let (follows, mut inexcusable): (Vec<_>, Vec<_>) =
            violations.into_iter().partition(|violation| violation.kind.follows_from_loss());
        let (operations, end) = untouched_in(span, &operations, end);
        inexcusable.extend(
            self::violations(&operations, &end, rules).into_iter().filter(|violation| follows.contains(violation)),
        );
        figures.excused = follows.iter().filter(|violation| !inexcusable.contains(violation)).count();
        violations = inexcusable;
    }
    Findings { figures, violations }
}

fn violations(operations: &[Operation], end: &End, rules: &Rules) -> Vec<Violation> {
    let mut findings = Findings::default();
    answers::check(operations, end, rules, &mut findings);
    leases::check(operations, rules, &mut findings);
    history::check(operations, end, &mut findings);
    findings.violations
}

/// What happened to intents of which nothing was acknowledged in this span.
fn untouched_in((from, to): (f64, f64), operations: &[Operation], end: &End) -> (Vec<Operation>, End) {
    let mut keys: HashMap<&str, &str> =
        end.intents.iter().map(|intent| (intent.id.as_str(), intent.key.as_str())).collect();
    for operation in operations {
        match (&operation.what, &operation.outcome) {
            (What::Publish { key, .. }, Outcome::Published(id)) => drop(keys.insert(id, key)),
            (_, Outcome::Claimed(leases)) => {
                keys.extend(leases.iter().map(|lease| (lease.id.as_str(), lease.key.as_str())));
            }
            _ => {}
        }
    }
    let mut touched: HashSet<&str> = HashSet::new();
    // Committed within the span, perhaps: asked before its end, and answered after its beginning.
    for operation in operations.iter().filter(|one| one.asked <= to && one.answered >= from) {
        match (&operation.what, &operation.outcome) {
            (_, Outcome::Unknown(_) | Outcome::Refused(..)) => {}
            (What::Publish { key, .. } | What::Replay { key, .. }, _) => drop(touched.insert(key)),
            (_, Outcome::Claimed(leases)) => touched.extend(leases.iter().map(|lease| lease.key.as_str())),
            (What::Fulfil { id, .. } | What::Fail { id, .. } | What::Extend { id, .. }, _) => {
                touched.extend(keys.get(id.as_str()));
            }
            _ => {}
        }
    }
    let is_kept = |key: &str| !touched.contains(key);
    let is_kept_intent = |id: &str| keys.get(id).is_none_or(|key| is_kept(key));
    let kept = |operation: &Operation| match (&operation.what, &operation.outcome) {
        (What::Publish { key, .. } | What::Replay { key, .. }, _) => is_kept(key).then(|| operation.clone()),
        (What::Claim { .. }, Outcome::Claimed(leases)) => {
            let leases = leases.iter().filter(|lease| is_kept(&lease.key)).cloned().collect();
            Some(Operation { outcome: Outcome::Claimed(leases), ..operation.clone() })
        }
        (What::Claim { .. }, _) => Some(operation.clone()),
        (What::Fulfil { id, .. } | What::Fail { id, .. } | What::Extend { id, .. } | What::Look { id, .. }, _) => {
            is_kept_intent(id).then(|| operation.clone())
        }
    };
    let end = End {
        now: end.now,
        intents: end.intents.iter().filter(|intent| is_kept(&intent.key)).cloned().collect(),
        changes: end.changes.iter().filter(|change| is_kept_intent(&change.id)).cloned().collect(),
    };
    (operations.iter().filter_map(kept).collect(), end)
}

fn figures(operations: &[Operation], end: &End) -> Figures {
    let mut figures = Figures { operations: operations.len(), ..Figures::default() };
    let (mut seen, mut told) = (HashSet::new(), HashSet::new());
    for operation in operations {
        match (&operation.what, &operation.outcome) {
            (_, Outcome::Unknown(_)) => figures.unknown += 1,
            (What::Publish { .. }, Outcome::Published(_)) => figures.published += 1,
            (What::Fulfil { .. }, Outcome::Done) => figures.fulfilled += 1,
            (_, Outcome::Claimed(leases)) => {
                // A claim that was asked for again is one.
                for lease in leases.iter().filter(|lease| told.insert(&lease.token)) {
                    figures.executions += 1;
                    figures.repeats += usize::from(!seen.insert(&lease.id));
                }
            }
            _ => {}
        }
    }
    figures.unfinished = end.intents.iter().filter(|intent| intent.is_unfinished()).count();
    figures
}
