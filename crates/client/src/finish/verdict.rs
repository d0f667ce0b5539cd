//! What the status of an intent says about a finish whose answer was lost.

use super::{Done, End, FailedAs, Finish};
use crate::status::{IntentState, IntentStatus};

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was done.
    Done(Done),
    /// It was not done, and the claim is still this one.
    Ours,
    /// The claim is over, and not by this finish.
    Lost,
}

/// Judges by the status. `refused`: the finish was sent again, and told that the claim is over.
pub(super) fn verdict(finish: &Finish, status: &IntentStatus, refused: bool) -> Verdict {
    // Each claim counts one up, so the same number is the same claim. An operator who gives all attempts back starts anew; then
    // two claims can have one number, and this is mistaken at worst about whose success it is.
    let same_claim = match (finish.attempts, status.attempts) {
        (Some(ours), Some(now)) => ours == now,
        _ => true,
    };
    let End::Failed { error } = &finish.end else {
        return match status.state {
            IntentState::Fulfilled if same_claim => Verdict::Done(Done::Fulfilled),
            // Open: the lease has ended, but nobody has claimed it since, so a late finish is still taken.
            IntentState::Claimed | IntentState::Open if same_claim && !refused => Verdict::Ours,
            _ => Verdict::Lost,
        };
    };
    let said = status.last_error.as_deref() == Some(error);
    match status.state {
        IntentState::Dead if said => Verdict::Done(Done::Failed(FailedAs::Dead)),
        IntentState::Open if same_claim && (said || refused) => Verdict::Done(Done::Failed(FailedAs::Retried)),
        IntentState::Open | IntentState::Claimed if said && !same_claim => {
            Verdict::Done(Done::Failed(FailedAs::Retried))
        }
        IntentState::Open | IntentState::Claimed if same_claim && !refused => Verdict::Ours,
        _ => Verdict::Lost,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn finish(end: End) -> Finish {
        Finish { id: "0a".to_owned(), token: Some("t".to_owned()), attempts: Some(2), end, traceparent: None }
    }

    fn status(state: &str, attempts: i32, last_error: Option<&str>) -> IntentStatus {
        let status =
            serde_json::json!({"id": "0a", "status": state, "claim_attempts": attempts, "last_error": last_error});
        serde_json::from_str(&status.to_string()).unwrap()
    }

    #[test]
    fn the_number_of_claims_tells_what_became_of_a_fulfilment() {
        let finish = finish(End::Fulfilled { result: None, text: false });
        let done = Verdict::Done(Done::Fulfilled);
        // State, claims so far (ours was the second), and what that means before and after the finish was refused.
        let table = [
            ("fulfilled", 2, &done, &done),
            ("fulfilled", 3, &Verdict::Lost, &Verdict::Lost),
            ("claimed", 2, &Verdict::Ours, &Verdict::Lost),
            ("claimed", 3, &Verdict::Lost, &Verdict::Lost),
            ("open", 2, &Verdict::Ours, &Verdict::Lost),
            ("open", 3, &Verdict::Lost, &Verdict::Lost),
            ("dead", 2, &Verdict::Lost, &Verdict::Lost),
            ("paused", 2, &Verdict::Lost, &Verdict::Lost),
        ];
        for (state, attempts, before, after) in table {
            assert_eq!(&verdict(&finish, &status(state, attempts, None), false), before, "{state} {attempts}");
            assert_eq!(&verdict(&finish, &status(state, attempts, None), true), after, "{state} {attempts}, refused");
        }
    }

    #[test]
    fn the_last_error_tells_what_became_of_a_failure() {
        let finish = finish(End::failed("no such file"));
        let (retried, dead) =
            (Verdict::Done(Done::Failed(FailedAs::Retried)), Verdict::Done(Done::Failed(FailedAs::Dead)));
        let ours = Some("no such file");
        let table = [
            ("open", 2, ours, &retried, &retried),
            ("open", 2, None, &Verdict::Ours, &retried),
            ("claimed", 2, None, &Verdict::Ours, &Verdict::Lost),
            ("claimed", 3, ours, &retried, &retried),
            ("claimed", 3, Some("The lease ended."), &Verdict::Lost, &Verdict::Lost),
            ("dead", 2, ours, &dead, &dead),
            ("dead", 2, Some("Cancelled by an operator."), &Verdict::Lost, &Verdict::Lost),
            ("fulfilled", 3, None, &Verdict::Lost, &Verdict::Lost),
        ];
        for (state, attempts, error, before, after) in table {
            assert_eq!(
                &verdict(&finish, &status(state, attempts, error), false),
                before,
                "{state} {attempts} {error:?}"
            );
            assert_eq!(&verdict(&finish, &status(state, attempts, error), true), after, "{state} {attempts}, refused");
        }
    }
}
