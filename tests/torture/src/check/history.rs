//! Was what the database saw allowed? By its own clock, row by row.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Findings, Kind};
use crate::{
    log::{Operation, Outcome, What},
    state::{Change, End, State},
};

/// What workers did with each claim, by the hash of its token.
#[derive(Default)]
struct Deeds<'o> {
    /// Claims of which a worker was told.
    heard: HashSet<&'o str>,
    fulfilled: HashSet<&'o str>,
    failed: HashSet<&'o str>,
}

impl<'o> Deeds<'o> {
    /// What may have been done: acknowledged, or nobody knows.
    fn of(operations: &'o [Operation]) -> Self {
        let mut deeds = Self::default();
        for operation in operations {
            match (&operation.what, &operation.outcome) {
                (_, Outcome::Claimed(leases)) => deeds.heard.extend(leases.iter().map(|lease| lease.token.as_str())),
                (_, Outcome::Refused(..)) => {}
                (What::Fulfil { token, .. }, _) => drop(deeds.fulfilled.insert(token)),
                (What::Fail { token, .. }, _) => drop(deeds.failed.insert(token)),
                _ => {}
            }
        }
        deeds
    }
}

pub(super) fn check(operations: &[Operation], end: &End, findings: &mut Findings) {
    if end.changes.is_empty() {
        return;
    }
    let deeds = Deeds::of(operations);
    for change in &end.changes {
        if let Some((kind, why)) = judge(change, &deeds) {
            findings.found(kind, format!("{} at {:.3}: {why}", change.id, change.at));
        }
    }
    holders(operations, end, findings);
    requests(end, findings);
}

/// A lease under which a claim is found again.
#[derive(PartialEq)]
struct Claimed<'e> {
    request: &'e str,
    holder: &'e str,
    from: f64,
    until: f64,
}

/// Whether a claim that may be asked for again was one lease at a time.
fn requests(end: &End, findings: &mut Findings) {
    let mut open: BTreeMap<&str, Claimed<'_>> = BTreeMap::new();
    let mut over: Vec<(&str, Claimed<'_>)> = Vec::new();
    for change in &end.changes {
        let id = change.id.as_str();
        let before = open.remove(id);
        let now = match (change.becomes, &change.request, &change.holders.1, change.lease_until_then) {
            (Some(State::Claimed), Some(request), Some(holder), Some(until)) => {
                Some(Claimed { request, holder, from: change.at, until })
            }
            _ => None,
        };
        let (before, now) = match (before, now) {
            // Extended, or given out again to the same request.
            (Some(before), Some(now)) if (before.request, before.holder) == (now.request, now.holder) => {
                (None, Some(Claimed { from: before.from, ..now }))
            }
            pair => pair,
        };
        over.extend(before.map(|before| (id, Claimed { until: before.until.min(change.at), ..before })));
        open.extend(now.map(|now| (id, now)));
    }
    over.extend(open);
    over.sort_by(|(_, one), (_, other)| one.request.cmp(other.request).then(one.from.total_cmp(&other.from)));
    for pair in over.windows(2) {
        let [(id, first), (other, second)] = pair else { continue };
        if first.request == second.request && second.from < first.until {
            let left = first.until - second.from;
            findings.found(
                Kind::ClaimedTwice,
                format!("the request that held {id} got {other} {left:.3} s before its end"),
            );
        }
    }
}

/// What is wrong with a change, if anything is.
fn judge(change: &Change, deeds: &Deeds<'_>) -> Option<(Kind, String)> {
    let holder = change.holders.0.as_deref().unwrap_or_default();
    let has_ended = change.lease_until.is_some_and(|end| end <= change.at);
    let was_last = change.attempts.0 == change.max_attempts;
    match (change.was, change.becomes) {
        (Some(State::Claimed), Some(State::Claimed)) if change.holders.0 != change.holders.1 && !has_ended => {
            let left = change.lease_until.unwrap_or(change.at) - change.at;
            Some((Kind::Repeated, format!("claimed again {left:.3} s before the lease ended")))
        }
        (Some(State::Claimed), Some(State::Open)) if change.attempts.1 < change.attempts.0 => deeds
            .heard
            .contains(holder)
            .then(|| (Kind::Repeated, "given back although its worker was told of it".to_owned())),
        (Some(State::Claimed), Some(State::Open)) => (!deeds.failed.contains(holder))
            .then(|| (Kind::Repeated, "open again although nobody has reported a failure".to_owned())),
        (Some(State::Claimed), None) => {
            // All that is failed here has a retry policy: it is open again as long as attempts are left.
            let is_at_end = was_last && (has_ended || deeds.failed.contains(holder));
            (!(deeds.fulfilled.contains(holder) || is_at_end)).then(|| {
                (Kind::NotTheHolder, "ended by somebody who did not hold it, or with attempts left".to_owned())
            })
        }
        (Some(State::Open), None) => Some((Kind::NotTheHolder, "ended while nobody held it".to_owned())),
        _ => None,
    }
}

/// Whether each finish that was acknowledged changed a row that its claim held.
fn holders(operations: &[Operation], end: &End, findings: &mut Findings) {
    let mut ended: HashMap<&str, HashSet<&str>> = HashMap::new();
    for change in &end.changes {
        let is_over = change.becomes != Some(State::Claimed);
        if let (Some(State::Claimed), true, Some(holder)) = (change.was, is_over, &change.holders.0) {
            ended.entry(&change.id).or_default().insert(holder);
        }
    }
    for operation in operations {
        let (What::Fulfil { id, token, .. } | What::Fail { id, token }, Outcome::Done | Outcome::Failed(_)) =
            (&operation.what, &operation.outcome)
        else {
            continue;
        };
        if !ended.get(id.as_str()).is_some_and(|holders| holders.contains(token.as_str())) {
            findings.found(Kind::NotTheHolder, format!("a finish of {id} was acknowledged that did not hold it"));
        }
    }
}
