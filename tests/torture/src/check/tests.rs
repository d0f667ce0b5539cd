//! Logs made by hand, each with one thing wrong.

use super::*;
use crate::{
    log::{Event, Lease, Log, Step},
    state::{Change, Intent, State},
};

const RULES: Rules = Rules { lease: 4.0, lost: None, refusals: &[] };

/// A story: events at times of our own, and where it ended.
#[derive(Default)]
struct Story {
    events: Vec<Event>,
    end: End,
}

fn lease(id: &str, token: &str, attempt: i64) -> Lease {
    Lease { id: id.to_owned(), token: token.to_owned(), key: format!("key of {id}"), attempt }
}

impl Story {
    fn tell(mut self, asked: f64, answered: f64, what: What, outcome: Outcome) -> Self {
        let op = self.events.len() as u64;
        self.events.push(Event { at: asked, op, step: Step::Asked(what) });
        self.events.push(Event { at: answered, op, step: Step::Answered(outcome) });
        self
    }

    fn published(self, tenant: &str, id: &str, public: bool) -> Self {
        let what = What::Publish { tenant: tenant.to_owned(), key: format!("key of {id}"), public };
        self.tell(0.0, 0.1, what, Outcome::Published(id.to_owned()))
    }

    fn claimed(self, at: f64, tenant: &str, id: &str, token: &str) -> Self {
        let outcome = Outcome::Claimed(vec![lease(id, token, 1)]);
        self.tell(at, at + 0.1, What::Claim { tenant: tenant.to_owned(), request: None }, outcome)
    }

    fn fulfil(self, at: f64, id: &str, token: &str, outcome: Outcome) -> Self {
        let what = What::Fulfil { id: id.to_owned(), token: token.to_owned(), result: token.to_owned() };
        self.tell(at, at + 0.1, what, outcome)
    }

    fn fail(self, at: f64, id: &str, token: &str, outcome: Outcome) -> Self {
        self.tell(at, at + 0.1, What::Fail { id: id.to_owned(), token: token.to_owned() }, outcome)
    }

    fn ends(mut self, id: &str, state: State, result: Option<&str>) -> Self {
        let (key, result) = (format!("key of {id}"), result.map(str::to_owned));
        self.end.now = 100.0;
        self.end.intents.push(Intent { id: id.to_owned(), key, state, due_at: f64::INFINITY, result });
        self
    }

    /// Claimed by a request under a token, in the database's eyes; `until`: when its lease ends.
    fn claimed_by(mut self, at: f64, id: &str, request: &str, holder: &str, until: f64) -> Self {
        self.end.changes.push(Change {
            id: id.to_owned(),
            at,
            was: Some(State::Open),
            becomes: Some(State::Claimed),
            holders: (None, Some(holder.to_owned())),
            lease_until: None,
            lease_until_then: Some(until),
            request: Some(request.to_owned()),
            attempts: (0, 1),
            max_attempts: 3,
        });
        self
    }

    fn changed(mut self, at: f64, was: Option<State>, becomes: Option<State>, held_by: &str, holder: &str) -> Self {
        let token = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let attempts = (1, if becomes == Some(State::Claimed) { 2 } else { 1 });
        self.end.changes.push(Change {
            id: "1".to_owned(),
            at,
            was,
            becomes,
            holders: (token(held_by), token(holder)),
            lease_until: (was == Some(State::Claimed)).then_some(5.0),
            lease_until_then: None,
            request: None,
            attempts,
            max_attempts: 3,
        });
        self
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> =
            check(&self.events, &self.end, &RULES).violations.iter().map(|violation| violation.kind).collect();
        kinds.dedup();
        kinds
    }
}

/// Published, claimed under `t`, fulfilled.
fn good() -> Story {
    Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").fulfil(2.0, "1", "t", Outcome::Done).ends(
        "1",
        State::Fulfilled,
        Some("t"),
    )
}

#[test]
fn a_good_story_has_nothing_wrong_with_it() {
    let findings = check(&good().events, &good().end, &RULES);
    assert_eq!(findings.violations, []);
    let Figures { published, executions, repeats, fulfilled, unfinished, .. } = findings.figures;
    assert_eq!((published, executions, repeats, fulfilled, unfinished), (1, 1, 0, 1, 0));
}

#[test]
fn an_acknowledged_publication_that_is_not_there_is_lost() {
    assert_eq!(Story::default().published("a", "1", false).kinds(), [Kind::Lost]);
}

#[test]
fn an_unknown_publication_may_be_there_or_not() {
    let what = || What::Publish { tenant: "a".to_owned(), key: "key of 1".to_owned(), public: false };
    let story = || Story::default().tell(0.0, 5.0, what(), Outcome::Unknown("cut".to_owned()));
    assert_eq!(story().kinds(), []);
    assert_eq!(story().ends("1", State::Dead, None).kinds(), []);
}

#[test]
fn an_intent_that_nobody_takes_is_stuck_after_three_leases() {
    let mut story = Story::default().published("a", "1", false).ends("1", State::Open, None);
    story.end.intents[0].due_at = 100.0 - 3.0 * RULES.lease + 0.1;
    assert_eq!(story.kinds(), []);
    story.end.intents[0].due_at -= 0.2;
    assert_eq!(story.kinds(), [Kind::Stuck]);
}

#[test]
fn a_second_acknowledged_finish_is_one_too_many() {
    assert!(good().fulfil(3.0, "1", "t", Outcome::Done).kinds().contains(&Kind::FinishedTwice));
    assert!(good().fail(3.0, "1", "t", Outcome::Failed("open".to_owned())).kinds().contains(&Kind::FinishedTwice));
    let by_two = good().claimed(6.0, "a", "1", "u").fulfil(7.0, "1", "u", Outcome::Done);
    assert!(by_two.kinds().contains(&Kind::FinishedTwice));
    let refused = Outcome::Refused(404, "not_found".to_owned());
    assert_eq!(good().fulfil(3.0, "1", "t", refused).kinds(), []);
}

#[test]
fn a_failure_before_the_fulfilment_is_no_second_finish() {
    let story = Story::default()
        .published("a", "1", false)
        .claimed(1.0, "a", "1", "t")
        .fail(2.0, "1", "t", Outcome::Failed("open".to_owned()))
        .claimed(3.0, "a", "1", "u")
        .fulfil(4.0, "1", "u", Outcome::Done)
        .ends("1", State::Fulfilled, Some("u"));
    assert_eq!(story.kinds(), []);
}

#[test]
fn an_acknowledged_finish_has_to_be_there_with_its_result() {
    let told =
        || Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").fulfil(2.0, "1", "t", Outcome::Done);
    assert_eq!(told().ends("1", State::Dead, None).kinds(), [Kind::FinishLost]);
    assert_eq!(told().ends("1", State::Fulfilled, Some("other")).kinds(), [Kind::FinishLost]);
    let failed = Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").fail(
        2.0,
        "1",
        "t",
        Outcome::Failed("dead".to_owned()),
    );
    assert_eq!(failed.ends("1", State::Claimed, None).kinds(), [Kind::FinishLost]);
}

#[test]
fn given_out_again_within_a_lease_is_not_explained() {
    let again = |at| good().claimed(at, "a", "1", "u");
    // Asked for at 1.0: the first lease cannot have ended before 5.0. The second was answered 0.1 s after it was asked for.
    assert_eq!(again(4.8).kinds(), [Kind::Repeated]);
    assert_eq!(again(4.91).kinds(), []);
}

#[test]
fn a_reported_failure_explains_it_and_an_extension_defers_it() {
    let begun = || Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").ends("1", State::Dead, None);
    let cut = || Outcome::Unknown("cut".to_owned());
    assert_eq!(begun().fail(1.5, "1", "t", cut()).claimed(2.0, "a", "1", "u").kinds(), []);
    let refused = Outcome::Refused(404, "not_found".to_owned());
    assert!(begun().fail(1.5, "1", "t", refused).claimed(2.0, "a", "1", "u").kinds().contains(&Kind::Repeated));
    let extended = |outcome| {
        let what = What::Extend { id: "1".to_owned(), token: "t".to_owned(), seconds: 10.0 };
        begun().tell(1.5, 1.6, what, outcome).claimed(6.0, "a", "1", "u")
    };
    assert_eq!(extended(Outcome::Done).kinds(), [Kind::Repeated]);
    assert_eq!(extended(cut()).kinds(), []);
}

#[test]
fn a_claim_that_is_asked_for_again_is_one_lease_from_the_first_time_on() {
    let claim = || What::Claim { tenant: "a".to_owned(), request: Some("r".to_owned()) };
    let asked = |at| {
        Story::default()
            .published("a", "1", false)
            .tell(at, at + 0.1, claim(), Outcome::Unknown("cut".to_owned()))
            .tell(3.0, 3.1, claim(), Outcome::Claimed(vec![lease("1", "t", 1)]))
            .tell(3.2, 3.3, claim(), Outcome::Claimed(vec![lease("1", "t", 1)]))
            .ends("1", State::Dead, None)
    };
    assert_eq!(asked(1.0).kinds(), []);
    // The lease may have begun at 1.0: it need not last until 5.9, and somebody else may have it at 5.1.
    let refused = || Outcome::Refused(404, "not_found".to_owned());
    assert_eq!(asked(1.0).fulfil(5.8, "1", "t", refused()).claimed(5.0, "a", "1", "u").kinds(), []);
    assert_eq!(asked(2.9).fulfil(5.8, "1", "t", refused()).kinds(), [Kind::LeaseBroken]);
    assert_eq!(asked(2.9).claimed(5.0, "a", "1", "u").kinds(), [Kind::Repeated]);
}

#[test]
fn a_holder_is_not_refused() {
    let refused = || Outcome::Refused(404, "not_found".to_owned());
    let begun = || Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").ends("1", State::Dead, None);
    assert_eq!(begun().fulfil(4.0, "1", "t", refused()).kinds(), [Kind::LeaseBroken]);
    // The lease may have ended before the answer.
    assert_eq!(begun().fulfil(4.95, "1", "t", refused()).kinds(), []);
    // An earlier try may have done it.
    let twice = begun().fulfil(2.0, "1", "t", Outcome::Unknown("cut".to_owned())).fulfil(3.0, "1", "t", refused());
    assert_eq!(twice.kinds(), []);
}

#[test]
fn what_is_private_is_for_its_tenant_alone() {
    let story = |public| Story::default().published("a", "1", public).claimed(1.0, "b", "1", "t");
    assert_eq!(story(true).ends("1", State::Dead, None).kinds(), []);
    assert_eq!(story(false).ends("1", State::Dead, None).kinds(), [Kind::Leaked]);
    let look = What::Look { tenant: "b".to_owned(), id: "1".to_owned() };
    assert_eq!(good().tell(1.0, 1.1, look, Outcome::Done).kinds(), [Kind::Leaked]);
}

#[test]
fn one_publication_makes_one_intent() {
    let second = What::Publish { tenant: "a".to_owned(), key: "key of 1".to_owned(), public: false };
    let told = good().tell(0.2, 0.3, second, Outcome::Published("2".to_owned())).ends("2", State::Dead, None);
    assert!(told.kinds().contains(&Kind::KeyTwice));
    let mut stored = good().ends("2", State::Dead, None);
    stored.end.intents[1].key = "key of 1".to_owned();
    assert_eq!(stored.kinds(), [Kind::KeyTwice]);
    assert_eq!(good().ends("2", State::Dead, None).kinds(), [Kind::Phantom]);
}

#[test]
fn a_replay_is_not_let_in() {
    let replay = |outcome| {
        good().tell(2.0, 2.1, What::Replay { tenant: "a".to_owned(), key: "key of 1".to_owned() }, outcome).kinds()
    };
    assert_eq!(replay(Outcome::Published("1".to_owned())), [Kind::Replayed]);
    assert_eq!(replay(Outcome::Refused(403, "invalid_signature".to_owned())), []);
}

#[test]
fn a_status_of_500_is_a_fault() {
    let claim = What::Claim { tenant: "a".to_owned(), request: None };
    assert_eq!(good().tell(5.0, 5.1, claim, Outcome::Unknown("500".to_owned())).kinds(), [Kind::Fault]);
}

#[test]
fn the_database_saw_it_claimed_again_too_early() {
    let seen = |at| good().changed(at, Some(State::Claimed), Some(State::Claimed), "x", "t");
    // The lease that there was ends at 5.0; and what `t` held has to end.
    let over = |story: Story| story.changed(6.0, Some(State::Claimed), None, "t", "");
    assert_eq!(over(seen(4.9)).kinds(), [Kind::Repeated]);
    assert_eq!(over(seen(5.1)).kinds(), []);
}

#[test]
fn the_database_saw_an_end_that_no_holder_brought_about() {
    // No finish was acknowledged: this is about the change alone.
    let unknown = || Outcome::Unknown("cut".to_owned());
    let begun =
        || Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").fulfil(2.0, "1", "t", unknown());
    let ended =
        |was, held_by| begun().changed(2.0, Some(was), None, held_by, "").ends("1", State::Fulfilled, Some("t"));
    assert_eq!(ended(State::Claimed, "t").kinds(), []);
    assert_eq!(ended(State::Claimed, "somebody else's").kinds(), [Kind::NotTheHolder]);
    assert_eq!(ended(State::Open, "").kinds(), [Kind::NotTheHolder]);
}

#[test]
fn the_database_saw_it_open_again_for_no_reason() {
    let open_again = |story: Story| story.changed(3.0, Some(State::Claimed), Some(State::Open), "u", "");
    let over = |story: Story| story.changed(6.0, Some(State::Claimed), None, "t", "");
    assert_eq!(over(open_again(good())).kinds(), [Kind::Repeated]);
    let failed = good().fail(2.0, "2", "u", Outcome::Unknown("cut".to_owned()));
    assert_eq!(over(open_again(failed)).kinds(), []);
}

#[test]
fn what_a_replaced_database_lacks_is_counted_and_not_held_against_the_bus() {
    let story =
        Story::default().published("a", "1", false).claimed(1.0, "a", "1", "t").fulfil(2.0, "1", "t", Outcome::Done);
    let rules = Rules { lost: Some((1.5, 3.0)), ..RULES };
    let findings = check(&story.events, &story.end, &rules);
    assert!(findings.is_safe() && findings.figures.excused == 2, "{findings:?}");
    // Once before and once after is what a loss brings about; twice after is not.
    let after = |story: Story| story.claimed(10.0, "a", "1", "u").fulfil(11.0, "1", "u", Outcome::Done);
    let story = after(story).ends("1", State::Fulfilled, Some("u"));
    assert!(check(&story.events, &story.end, &rules).is_safe());
    let story = story.claimed(20.0, "a", "1", "v").fulfil(21.0, "1", "v", Outcome::Done);
    let kinds = check(&story.events, &story.end, &rules).kinds();
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), [Kind::FinishedTwice]);
}

#[test]
fn a_replaced_database_excuses_only_what_was_acknowledged_while_it_lost_things() {
    // Asked at 0.0, answered at 0.1.
    let story = Story::default().published("a", "1", false);
    let excused = |from, to| {
        let findings = check(&story.events, &story.end, &Rules { lost: Some((from, to)), ..RULES });
        (findings.figures.excused, findings.violations.len())
    };
    assert_eq!(excused(0.05, 0.5), (1, 0));
    assert_eq!(excused(0.2, 0.5), (0, 1), "acknowledged before");
    assert_eq!(excused(-0.5, -0.1), (0, 1), "published after");
    // Touched in between, but by nobody who was told so.
    let unknown = || Outcome::Unknown("cut".to_owned());
    let claim = What::Claim { tenant: "a".to_owned(), request: None };
    let story =
        Story::default().published("a", "1", false).tell(1.0, 1.1, claim, unknown()).fulfil(1.0, "1", "t", unknown());
    let findings = check(&story.events, &story.end, &Rules { lost: Some((0.5, 2.0)), ..RULES });
    assert_eq!((findings.figures.excused, findings.kinds().get(&Kind::Lost)), (0, Some(&1)));
    // Nor what nobody has published.
    let phantom = Story::default().ends("1", State::Open, None);
    let kinds = check(&phantom.events, &phantom.end, &Rules { lost: Some((0.0, 1.0)), ..RULES }).kinds();
    assert_eq!(kinds.get(&Kind::Phantom), Some(&1));
}

#[test]
fn a_claim_that_is_asked_again_brings_the_same_while_its_lease_runs() {
    let claim = || What::Claim { tenant: "a".to_owned(), request: Some("r".to_owned()) };
    let begun = || {
        Story::default()
            .published("a", "1", false)
            .published("a", "2", false)
            .tell(1.0, 1.1, claim(), Outcome::Claimed(vec![lease("1", "t", 1)]))
            .ends("1", State::Dead, None)
            .ends("2", State::Dead, None)
    };
    let again = |story: Story, at, leases| story.tell(at, at + 0.1, claim(), Outcome::Claimed(leases)).kinds();
    assert_eq!(again(begun(), 2.0, vec![lease("1", "t", 1)]), []);
    assert_eq!(again(begun(), 2.0, vec![lease("2", "u", 1)]), [Kind::ClaimedTwice]);
    assert_eq!(again(begun(), 2.0, Vec::new()), [Kind::ClaimedTwice]);
    // The lease may have ended, or the claim may be over.
    assert_eq!(again(begun(), 4.95, vec![lease("2", "u", 1)]), []);
    let unknown = Outcome::Unknown("cut".to_owned());
    assert_eq!(again(begun().fail(1.5, "1", "t", unknown), 2.0, vec![lease("2", "u", 1)]), []);
}

#[test]
fn the_database_saw_one_request_hold_two_intents() {
    let second_at = |at| good().claimed_by(1.0, "1", "r", "t", 5.0).claimed_by(at, "2", "r", "u", at + 4.0);
    let fulfilled = |story: Story| story.changed(6.0, Some(State::Claimed), None, "t", "");
    assert_eq!(fulfilled(second_at(4.9)).kinds(), [Kind::ClaimedTwice]);
    assert_eq!(fulfilled(second_at(5.0)).kinds(), []);
    let another = good().claimed_by(1.0, "1", "r", "t", 5.0).claimed_by(2.0, "2", "s", "u", 6.0);
    assert_eq!(fulfilled(another).kinds(), []);
    // Extended, it lasts longer; finished, no longer.
    let extended = good().claimed_by(1.0, "1", "r", "t", 5.0).claimed_by(2.0, "1", "r", "t", 15.0);
    assert_eq!(fulfilled(extended).claimed_by(5.5, "2", "r", "u", 9.5).kinds(), [Kind::ClaimedTwice]);
    let finished = good().claimed_by(1.0, "1", "r", "t", 9.0).changed(2.1, Some(State::Claimed), None, "t", "");
    assert_eq!(finished.claimed_by(2.2, "2", "r", "u", 6.2).kinds(), []);
}

#[test]
fn nobody_is_refused_for_nothing() {
    let refused = |status| Outcome::Refused(status, "why".to_owned());
    let publish = || What::Publish { tenant: "a".to_owned(), key: "key of 1".to_owned(), public: false };
    let claim = || What::Claim { tenant: "a".to_owned(), request: None };
    for status in [400, 403, 404, 409, 413, 429] {
        assert_eq!(good().tell(3.0, 3.1, publish(), refused(status)).kinds(), [Kind::WronglyRefused]);
        assert_eq!(good().tell(3.0, 3.1, claim(), refused(status)).kinds(), [Kind::WronglyRefused]);
    }
    let kinds = |what, status| {
        let story = good().tell(3.0, 3.1, what, refused(status));
        check(&story.events, &story.end, &Rules { refusals: &[429], ..RULES }).kinds().len()
    };
    assert_eq!((kinds(publish(), 429), kinds(publish(), 403), kinds(claim(), 429)), (0, 1, 1));
}

#[test]
fn the_database_saw_it_gone_after_a_failure_with_attempts_left() {
    let story = || {
        Story::default()
            .published("a", "1", false)
            .fail(2.0, "1", "t", Outcome::Failed("dead".to_owned()))
            .changed(2.05, Some(State::Claimed), None, "t", "")
            .ends("1", State::Dead, None)
    };
    assert_eq!(story().kinds(), [Kind::NotTheHolder]);
    let mut last = story();
    last.end.changes[0].attempts.0 = 3;
    assert_eq!(last.kinds(), []);
}

#[test]
fn the_database_saw_a_finish_acknowledged_that_did_not_hold_it() {
    // `judge` has nothing to object to: the row went by a finish of its holder. But another finish was acknowledged too.
    let seen = good().claimed(0.5, "a", "1", "x").fulfil(1.5, "1", "x", Outcome::Unknown("cut".to_owned()));
    let seen = seen.changed(1.55, Some(State::Claimed), None, "x", "");
    let mut findings = Findings::default();
    history::check(&operations(&seen.events), &seen.end, &mut findings);
    assert_eq!(findings.kinds().into_iter().collect::<Vec<_>>(), [(Kind::NotTheHolder, 1)]);
    assert!(findings.violations[0].what.contains("was acknowledged that did not hold it"));
}

#[test]
fn a_log_can_be_checked_as_it_was_kept() {
    let log = Log::kept();
    let op = log.ask(What::Publish { tenant: "a".to_owned(), key: "k".to_owned(), public: true });
    log.answer(op, Outcome::Published("1".to_owned()));
    assert_eq!(check(&log.events(), &End::default(), &RULES).kinds().get(&Kind::Lost), Some(&1));
}
