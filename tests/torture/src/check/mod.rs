//! Holds the end against the log. A pure function: the same log and the same end give the same findings, whoever made them.
//!
//! `answers` asks whether what was acknowledged is true at the end, `leases` whether what workers were told fits together, and
//! `history` whether what the database saw was allowed.

mod answers;
mod history;
mod leases;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use crate::{
    log::{Event, Operation, Outcome, What, operations},
    state::End,
};

/// What is known of a run besides its log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Length of a lease, in seconds.
    pub lease: f64,
    /// When the database was replaced by one that may lack what was acknowledged before, in unix seconds. What that loses is
    /// counted, not held against the bus; an intent may then be finished once before and once after.
    pub replaced_at: Option<f64>,
}

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A publication was acknowledged and there is no such intent.
    Lost,
    /// An intent could have been claimed for three leases, and was not.
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
    let mut findings = Findings { figures: figures(&operations, end), violations: Vec::new() };
    answers::check(&operations, end, rules, &mut findings);
    leases::check(&operations, rules, &mut findings);
    history::check(&operations, end, &mut findings);
    if rules.replaced_at.is_some() {
        let all = findings.violations.len();
        findings.violations.retain(|violation| !violation.kind.follows_from_loss());
        findings.figures.excused = all - findings.violations.len();
    }
    findings
}

fn figures(operations: &[Operation], end: &End) -> Figures {
    let mut figures = Figures { operations: operations.len(), ..Figures::default() };
    let mut seen = std::collections::HashSet::new();
    for operation in operations {
        match (&operation.what, &operation.outcome) {
            (_, Outcome::Unknown(_)) => figures.unknown += 1,
            (What::Publish { .. }, Outcome::Published(_)) => figures.published += 1,
            (What::Fulfil { .. }, Outcome::Done) => figures.fulfilled += 1,
            (_, Outcome::Claimed(leases)) => {
                figures.executions += leases.len();
                figures.repeats += leases.iter().filter(|lease| !seen.insert(lease.id.clone())).count();
            }
            _ => {}
        }
    }
    figures.unfinished = end.intents.iter().filter(|intent| intent.is_unfinished()).count();
    figures
}
