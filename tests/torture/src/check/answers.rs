//! Is what was acknowledged true at the end?

use std::collections::{HashMap, HashSet};

use super::{Findings, Kind, Rules};
use crate::{
    log::{Operation, Outcome, What},
    state::{End, Intent, State},
};

/// Leases for which an intent may stand there due before it counts as stuck.
const STUCK_AFTER: f64 = 3.0;

pub(super) fn check(operations: &[Operation], end: &End, rules: &Rules, findings: &mut Findings) {
    let intents: HashMap<&str, &Intent> = end.intents.iter().map(|intent| (intent.id.as_str(), intent)).collect();
    published(operations, end, &intents, findings);
    finished(operations, &intents, rules, findings);
    for intent in end.intents.iter().filter(|intent| intent.is_unfinished()) {
        if intent.due_at + STUCK_AFTER * rules.lease < end.now {
            let since = end.now - intent.due_at;
            findings.found(Kind::Stuck, format!("{} has been due for {since:.1} s", intent.id));
        }
    }
    for operation in operations {
        if matches!(&operation.outcome, Outcome::Unknown(why) if why == "500") {
            findings.found(Kind::Fault, format!("answered 500: {:?}", operation.what));
        }
        let Outcome::Refused(status, code) = &operation.outcome else { continue };
        let is_wrong = match &operation.what {
            What::Publish { .. } => !rules.refusals.contains(status),
            What::Claim { .. } => true,
            _ => false,
        };
        if is_wrong {
            findings.found(Kind::WronglyRefused, format!("{status} {code}: {:?}", operation.what));
        }
    }
}

fn published(operations: &[Operation], end: &End, intents: &HashMap<&str, &Intent>, findings: &mut Findings) {
    let mut asked: HashSet<&str> = HashSet::new();
    let mut ids: HashMap<&str, &str> = HashMap::new();
    for operation in operations {
        match (&operation.what, &operation.outcome) {
            (What::Publish { key, .. }, Outcome::Published(id)) => {
                asked.insert(key);
                if !intents.contains_key(id.as_str()) {
                    findings.found(Kind::Lost, format!("{id} was acknowledged for {key} and is not there"));
                }
                if let Some(other) = ids.insert(key, id).filter(|other| other != id) {
                    findings.found(Kind::KeyTwice, format!("{key} was answered with {other} and with {id}"));
                }
            }
            (What::Publish { key, .. }, _) => {
                asked.insert(key);
            }
            (What::Replay { key, .. }, Outcome::Published(id)) => {
                findings.found(Kind::Replayed, format!("the request of {key} passed again and made {id}"));
            }
            _ => {}
        }
    }
    let mut by_key: HashMap<&str, &str> = HashMap::new();
    for intent in &end.intents {
        if !asked.contains(intent.key.as_str()) {
            findings.found(Kind::Phantom, format!("nobody has published {} ({:?})", intent.id, intent.key));
        } else if let Some(other) = by_key.insert(&intent.key, &intent.id) {
            findings.found(Kind::KeyTwice, format!("{} has two intents: {other} and {}", intent.key, intent.id));
        }
    }
}

fn finished(operations: &[Operation], intents: &HashMap<&str, &Intent>, rules: &Rules, findings: &mut Findings) {
    // By claim; and by intent, once before the database was replaced and once after.
    let mut claims: HashMap<&str, usize> = HashMap::new();
    let mut ends: HashMap<(&str, bool), usize> = HashMap::new();
    for operation in operations {
        let (id, token, is_end) = match (&operation.what, &operation.outcome) {
            (What::Fulfil { id, token, result }, Outcome::Done) => {
                if let Some(intent) = intents.get(id.as_str()) {
                    let is_so = intent.state == State::Fulfilled && intent.result.as_ref() == Some(result);
                    if !is_so {
                        let now = format!("{:?} with {:?}", intent.state, intent.result);
                        findings.found(Kind::FinishLost, format!("{id} was fulfilled with {result}, and is {now}"));
                    }
                } else {
                    findings.found(Kind::FinishLost, format!("{id} was fulfilled with {result}, and is not there"));
                }
                (id, token, true)
            }
            (What::Fail { id, token }, Outcome::Failed(state)) => {
                let is_end = state != "open";
                if is_end && intents.get(id.as_str()).is_none_or(|intent| intent.state != State::Dead) {
                    findings.found(Kind::FinishLost, format!("{id} was answered as {state}, and is not dead"));
                }
                (id, token, is_end)
            }
            _ => continue,
        };
        *claims.entry(token).or_default() += 1;
        if is_end {
            let is_after = rules.lost.is_some_and(|(_, replaced_at)| operation.answered >= replaced_at);
            *ends.entry((id, is_after)).or_default() += 1;
        }
    }
    for (token, count) in claims.into_iter().filter(|(_, count)| *count > 1) {
        findings.found(Kind::FinishedTwice, format!("{count} finishes of the claim {token} were acknowledged"));
    }
    for ((id, _), count) in ends.into_iter().filter(|(_, count)| *count > 1) {
        findings.found(Kind::FinishedTwice, format!("{id} has ended {count} times"));
    }
}

impl Intent {
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.state, State::Open | State::Claimed)
    }
}
