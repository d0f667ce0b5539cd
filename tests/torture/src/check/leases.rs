//! Does what workers were told fit together? By the clock of this machine alone, and only where no order of events could
//! explain what was seen.

use std::collections::HashMap;

use super::{Findings, Kind, Rules};
use crate::log::{Lease, Operation, Outcome, What};

/// A lease as its worker knows it: it has begun after it was asked for, and before the answer was there.
struct Execution<'o> {
    asked: f64,
    answered: f64,
    lease: &'o Lease,
}

pub(super) fn check(operations: &[Operation], rules: &Rules, findings: &mut Findings) {
    let publications = publications(operations);
    let finishes = finishes(operations);
    let first_asked = first_asked(operations);
    asked_again(operations, &first_asked, &finishes, rules, findings);
    let mut executions: HashMap<&str, Vec<Execution<'_>>> = HashMap::new();
    for operation in operations {
        match (&operation.what, &operation.outcome) {
            (What::Claim { tenant, request }, Outcome::Claimed(leases)) => {
                for lease in leases {
                    let asked = request.as_ref().and_then(|request| first_asked.get(request.as_str())).copied();
                    let (asked, answered) = (asked.unwrap_or(operation.asked), operation.answered);
                    executions.entry(&lease.id).or_default().push(Execution { asked, answered, lease });
                    match publications.get(lease.key.as_str()) {
                        None => findings.found(Kind::Phantom, format!("{} was claimed: {}", lease.key, lease.id)),
                        Some((owner, public)) if !public && *owner != tenant => {
                            findings.found(Kind::Leaked, format!("{tenant} has claimed {} of {owner}", lease.id));
                        }
                        Some(_) => {}
                    }
                }
            }
            (What::Look { tenant, id }, Outcome::Done) => {
                findings.found(Kind::Leaked, format!("{tenant} has seen the result of {id}"));
            }
            _ => {}
        }
    }
    for (id, mut executions) in executions {
        executions.sort_by(|one, other| one.answered.total_cmp(&other.answered));
        for pair in executions.windows(2) {
            if let [first, second] = pair
                && first.lease.token != second.lease.token
                && !is_explained(first, second, &finishes, rules)
            {
                let (attempts, after) = ((first.lease.attempt, second.lease.attempt), second.answered - first.asked);
                findings.found(
                    Kind::Repeated,
                    format!("{id} was given out again {after:.3} s later, attempts {attempts:?}"),
                );
            }
        }
        for execution in &executions {
            is_kept(execution, &finishes, rules, findings);
        }
    }
}

/// When each claim that may be asked again was asked for the first time. Its lease may have begun as early as that.
fn first_asked(operations: &[Operation]) -> HashMap<&str, f64> {
    let mut all = HashMap::new();
    for operation in operations {
        if let What::Claim { request: Some(request), .. } = &operation.what {
            all.entry(request.as_str()).or_insert(operation.asked);
        }
    }
    all
}

/// While the lease runs that a claim has brought, asked again it brings the same.
fn asked_again(
    operations: &[Operation],
    first_asked: &HashMap<&str, f64>,
    finishes: &HashMap<&str, Vec<&Operation>>,
    rules: &Rules,
    findings: &mut Findings,
) {
    let mut known: HashMap<&str, Vec<(&Operation, &Lease)>> = HashMap::new();
    for operation in operations {
        let (What::Claim { request: Some(request), .. }, Outcome::Claimed(leases)) =
            (&operation.what, &operation.outcome)
        else {
            continue;
        };
        let known = known.entry(request).or_default();
        let runs_from = first_asked.get(request.as_str()).copied().unwrap_or(operation.asked);
        for (earlier, lease) in &*known {
            let is_touched = finishes.get(lease.token.as_str()).is_some_and(|all| {
                all.iter().any(|one| !matches!(one.what, What::Extend { .. }) && one.asked <= operation.answered)
            });
            let has_to_run = earlier.answered <= operation.asked && operation.answered < runs_from + rules.lease;
            if has_to_run && !is_touched && leases.iter().all(|other| other.token != lease.token) {
                let got: Vec<&str> = leases.iter().map(|lease| lease.id.as_str()).collect();
                findings
                    .found(Kind::ClaimedTwice, format!("{request} held {} and got {got:?} when asked again", lease.id));
            }
        }
        known.extend(leases.iter().map(|lease| (operation, lease)));
    }
}

/// Whose each publication is, and whether others may work on it, by key.
fn publications(operations: &[Operation]) -> HashMap<&str, (&String, bool)> {
    let mut all = HashMap::new();
    for operation in operations {
        if let What::Publish { tenant, key, public } = &operation.what {
            all.insert(key.as_str(), (tenant, *public));
        }
    }
    all
}

/// Fulfilments, failures and extensions, by the hash of the claim token.
fn finishes(operations: &[Operation]) -> HashMap<&str, Vec<&Operation>> {
    let mut all: HashMap<&str, Vec<&Operation>> = HashMap::new();
    for operation in operations {
        match &operation.what {
            What::Fulfil { token, .. } | What::Fail { token, .. } | What::Extend { token, .. } => {
                all.entry(token).or_default().push(operation);
            }
            _ => {}
        }
    }
    all
}

/// Whether the first lease may have ended, or its failure been noted, before the second began.
fn is_explained(
    first: &Execution<'_>,
    second: &Execution<'_>,
    finishes: &HashMap<&str, Vec<&Operation>>,
    rules: &Rules,
) -> bool {
    let of_first = finishes.get(first.lease.token.as_str()).map_or(&[][..], Vec::as_slice);
    let mut lease = rules.lease;
    for operation in of_first {
        match &operation.what {
            What::Extend { seconds, .. } if operation.outcome == Outcome::Done => lease += seconds,
            What::Fail { .. } => {
                let may_be_done = !matches!(operation.outcome, Outcome::Refused(..));
                if may_be_done && operation.asked <= second.answered {
                    return true;
                }
            }
            _ => {}
        }
    }
    second.answered >= first.asked + lease
}

/// While it held the lease, and nobody had finished under it, nothing may have been refused to it.
fn is_kept(
    execution: &Execution<'_>,
    finishes: &HashMap<&str, Vec<&Operation>>,
    rules: &Rules,
    findings: &mut Findings,
) {
    let Some(own) = finishes.get(execution.lease.token.as_str()) else { return };
    for operation in own {
        let Outcome::Refused(status, code) = &operation.outcome else { continue };
        let held = operation.answered < execution.asked + rules.lease;
        let alone = own.iter().all(|other| {
            std::ptr::eq(*other, *operation)
                || matches!(other.what, What::Extend { .. })
                || matches!(other.outcome, Outcome::Refused(..))
                || other.asked > operation.answered
        });
        if held && alone {
            let what = format!("{} was refused {status} {code} while its lease ran", execution.lease.id);
            findings.found(Kind::LeaseBroken, what);
        }
    }
}
