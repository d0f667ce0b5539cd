//! Runs that were recorded by hand: what the machine takes, and what it does not.

use lease_model::{
    machine::Stored,
    trace::{Event, Terms, What, check},
};

const TERMS: Terms = Terms { max_attempts: 2, backoff_base: 5.0, lease: 60.0, time_to_live: 86_400.0 };

fn at(at: f64, what: What) -> Event {
    Event { at, what }
}

fn published() -> Event {
    at(0.0, What::Published { due_at: 0.0 })
}

fn claimed(when: f64, attempt: i64, token: &str) -> Event {
    at(when, What::Claimed { attempt, token: Some(token.to_owned()) })
}

fn fulfilled(when: f64, token: &str) -> Event {
    at(when, What::Fulfilled { token: Some(token.to_owned()) })
}

fn failed(when: f64, token: &str, last: bool) -> Event {
    at(when, What::Failed { token: Some(token.to_owned()), last })
}

fn refused(when: f64, token: &str) -> Event {
    at(when, What::Refused { token: token.to_owned() })
}

fn extended(when: f64, token: &str, by: f64) -> Event {
    at(when, What::Extended { token: token.to_owned(), by })
}

#[track_caller]
fn is_good(events: Vec<Event>, end: &Stored<Option<String>, f64>) {
    assert_eq!(&check(TERMS, events).unwrap_or_else(|fault| panic!("{fault}")).stored, end);
}

#[track_caller]
fn is_wrong(why: &str, events: Vec<Event>) {
    let fault = check(TERMS, events).expect_err("it was taken");
    assert!(fault.why.contains(why), "{fault}");
}

#[test]
fn a_run_may_be_told_in_any_order() {
    is_good(vec![fulfilled(2.0, "a"), published(), claimed(1.0, 1, "a")], &Stored::Fulfilled);
}

#[test]
fn a_late_finish_is_good_as_long_as_nobody_has_claimed_since() {
    is_good(vec![published(), claimed(1.0, 1, "a"), fulfilled(100.0, "a")], &Stored::Fulfilled);
    let again = vec![published(), claimed(1.0, 1, "a"), at(61.0, What::Lapsed), claimed(71.0, 2, "b")];
    let lost = [refused(72.0, "a"), fulfilled(73.0, "b")];
    is_good([again.clone(), lost.to_vec()].concat(), &Stored::Fulfilled);
    is_wrong("that another one held", [again, vec![fulfilled(72.0, "a")]].concat());
}

#[test]
fn a_lease_ends_when_it_was_said_to() {
    let run = |end| vec![published(), claimed(1.0, 1, "a"), extended(2.0, "a", 30.0), at(end, What::Lapsed)];
    assert!(check(TERMS, run(91.0)).is_ok());
    is_wrong("ended at 61, not at 91", run(61.0));
    is_wrong("had ended was extended", vec![published(), claimed(1.0, 1, "a"), extended(61.5, "a", 30.0)]);
}

#[test]
fn nobody_claims_what_another_holds_or_what_is_not_due() {
    is_wrong("another claim's lease ran", vec![published(), claimed(1.0, 1, "a"), claimed(60.0, 2, "b")]);
    is_wrong("could not be", vec![published(), claimed(1.0, 1, "a"), claimed(70.9, 2, "b")]);
    is_wrong("could not be", vec![published(), claimed(1.0, 1, "a"), failed(2.0, "a", false), claimed(11.9, 2, "b")]);
    is_wrong("could not be", vec![published(), claimed(1.0, 1, "a"), fulfilled(2.0, "a"), claimed(3.0, 2, "b")]);
    is_wrong("could not be", vec![published(), claimed(90_000.0, 1, "a")]);
    is_wrong("not published yet", vec![claimed(1.0, 1, "a")]);
}

#[test]
fn attempts_are_counted_and_tokens_are_used_once() {
    let twice = vec![published(), claimed(1.0, 1, "a"), claimed(80.0, 2, "b")];
    is_wrong("it was claim 3 after 1", vec![published(), claimed(1.0, 1, "a"), claimed(80.0, 3, "b")]);
    is_wrong("could not be", [twice.clone(), vec![claimed(900.0, 3, "c")]].concat());
    is_wrong("failed 1 times of 2", vec![published(), claimed(1.0, 1, "a"), failed(2.0, "a", true)]);
    is_good([twice.clone(), vec![failed(81.0, "b", true)]].concat(), &Stored::Dead);
    is_good([twice.clone(), vec![at(140.0, What::Dead)]].concat(), &Stored::Dead);
    is_wrong("it is dead, and was claimed", [twice, vec![at(139.0, What::Dead)]].concat());
    is_wrong("given out twice", vec![published(), claimed(1.0, 1, "a"), claimed(80.0, 2, "a")]);
}

#[test]
fn two_workers_are_not_both_told_that_they_have_ended_it() {
    let run = vec![published(), claimed(1.0, 1, "a"), fulfilled(2.0, "a"), fulfilled(3.0, "a")];
    is_wrong("it was not claimed", run);
    is_wrong("and holds it", vec![published(), claimed(1.0, 1, "a"), refused(2.0, "a")]);
}

#[test]
fn an_operator_may_end_it_and_bring_it_back() {
    let cancelled = vec![published(), claimed(1.0, 1, "a"), at(2.0, What::Cancelled), refused(3.0, "a")];
    is_good(cancelled.clone(), &Stored::Dead);
    let back = [cancelled, vec![at(4.0, What::Retried), claimed(5.0, 1, "b"), fulfilled(6.0, "b")]].concat();
    is_good(back, &Stored::Fulfilled);
    is_wrong("was not dead", vec![published(), at(1.0, What::Retried)]);
}
