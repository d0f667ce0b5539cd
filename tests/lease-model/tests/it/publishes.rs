//! Publishing: the answer may be lost on the way, or Postgres's to COMMIT, and the publisher asks again with the same idempotency key.
//! What it is told of is there, and only once.

use stateright::{Model, Property};

use crate::walked::{breaks, holds};

const KEPT: &str = "what was acknowledged is stored";
const ONCE: &str = "one idempotency key makes one intent";
const ONE_ANSWER: &str = "every answer names the same intent";

/// A rule of the bus that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// The answer goes out before COMMIT.
    CommitFirst,
    /// The key is stored in a transaction of its own, after the intent.
    OneTransaction,
    /// Whoever got no answer to COMMIT makes a new id, and lets the key be.
    IdBeforehand,
}

#[derive(Debug, Clone, Copy)]
struct Publishes {
    /// Times that the publisher asks.
    asks: u8,
    /// Answers to COMMIT that are lost.
    lost_commits: u8,
    without: Option<Without>,
}

impl Publishes {
    const fn new() -> Self {
        Self { asks: 3, lost_commits: 2, without: None }
    }

    const fn without(without: Without) -> Self {
        Self { without: Some(without), ..Self::new() }
    }

    fn lacks(self, rule: Without) -> bool {
        self.without == Some(rule)
    }
}

/// Intents are numbered as they are made.
type Id = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    /// It has come to a replica.
    Come,
    /// The key was not in use; the intent is stored, but for COMMIT.
    Stored(Id),
    /// The intent is committed, and the key is not (without `OneTransaction`).
    WithoutKey(Id),
    /// COMMIT got no answer. The replica looks what has become of it.
    Unknown(Id),
    /// The answer is on its way.
    Answered(Id),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    asks: u8,
    lost_commits: u8,
    made: Id,
    under_way: Vec<Request>,
    intents: Vec<Id>,
    key: Option<Id>,
    acknowledged: Vec<Id>,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Ask,
    Go(Request),
    /// The replica, or its session, is killed.
    Kill(Request),
    /// The second: it was committed.
    LoseCommit(Id, bool),
}

impl State {
    fn becomes(&mut self, from: Request, to: Option<Request>) {
        if let Some(place) = self.under_way.iter().position(|request| *request == from) {
            self.under_way.remove(place);
        }
        self.under_way.extend(to);
        self.under_way.sort_unstable();
    }

    /// The unique index makes it wait for another that has stored the key and not committed.
    fn key_is_locked(&self) -> bool {
        self.under_way.iter().any(|request| matches!(request, Request::Stored(_)))
    }

    fn commit(&mut self, model: Publishes, id: Id) {
        self.intents.push(id);
        if !model.lacks(Without::OneTransaction) {
            self.key.get_or_insert(id);
        }
    }

    fn go(&mut self, model: Publishes, request: Request) {
        match request {
            Request::Come if self.key.is_some() => self.becomes(request, self.key.map(Request::Answered)),
            Request::Come => {
                let id = self.made;
                self.made += 1;
                self.becomes(request, Some(Request::Stored(id)));
                if model.lacks(Without::CommitFirst) {
                    self.becomes(Request::Come, Some(Request::Answered(id)));
                }
            }
            Request::Stored(id) => {
                self.commit(model, id);
                let next = if model.lacks(Without::OneTransaction) {
                    Some(Request::WithoutKey(id))
                } else if model.lacks(Without::CommitFirst) {
                    None
                } else {
                    Some(Request::Answered(id))
                };
                self.becomes(request, next);
            }
            Request::WithoutKey(id) => {
                self.key.get_or_insert(id);
                self.becomes(request, Some(Request::Answered(id)));
            }
            Request::Unknown(_) if model.lacks(Without::IdBeforehand) => {
                let id = self.made;
                self.made += 1;
                self.intents.push(id);
                self.becomes(request, Some(Request::Answered(id)));
            }
            Request::Unknown(id) if self.intents.contains(&id) => self.becomes(request, Some(Request::Answered(id))),
            Request::Unknown(_) if self.key.is_some() => self.becomes(request, self.key.map(Request::Answered)),
            Request::Unknown(id) => self.becomes(request, Some(Request::Stored(id))),
            Request::Answered(id) => {
                self.acknowledged.push(id);
                self.acknowledged.sort_unstable();
                self.acknowledged.dedup();
                self.becomes(request, None);
            }
        }
    }
}

impl Model for Publishes {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            asks: self.asks,
            lost_commits: self.lost_commits,
            made: 0,
            under_way: Vec::new(),
            intents: Vec::new(),
            key: None,
            acknowledged: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.asks > 0 {
            actions.push(Action::Ask);
        }
        for request in &state.under_way {
            let waits = match request {
                Request::Come => state.key_is_locked() && !self.lacks(Without::OneTransaction),
                Request::Unknown(_) => state.key_is_locked(),
                _ => false,
            };
            if !waits {
                actions.push(Action::Go(*request));
            }
            actions.push(Action::Kill(*request));
            if let Request::Stored(id) = request
                && state.lost_commits > 0
            {
                actions.extend([true, false].map(|done| Action::LoseCommit(*id, done)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Ask => {
                state.asks -= 1;
                state.under_way.push(Request::Come);
                state.under_way.sort_unstable();
            }
            Action::Go(request) => state.go(*self, request),
            Action::Kill(request) => state.becomes(request, None),
            Action::LoseCommit(id, done) => {
                state.lost_commits -= 1;
                if done {
                    state.commit(*self, id);
                }
                state.becomes(Request::Stored(id), Some(Request::Unknown(id)));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, state: &State| state.acknowledged.iter().all(|id| state.intents.contains(id))),
            Property::always(ONCE, |_, state: &State| state.intents.len() <= 1),
            Property::always(ONE_ANSWER, |_, state: &State| state.acknowledged.len() <= 1),
            Property::sometimes("it is stored and nobody was told", |_, state: &State| {
                state.asks == 0
                    && state.under_way.is_empty()
                    && state.acknowledged.is_empty()
                    && state.intents.len() == 1
            }),
            Property::sometimes("it is acknowledged after two lost answers to COMMIT", |_, state: &State| {
                state.lost_commits == 0 && state.acknowledged.len() == 1
            }),
        ]
    }
}

#[test]
fn what_is_acknowledged_is_stored_and_once() {
    holds("publishes", Publishes::new());
}

#[test]
fn an_answer_before_the_commit_acknowledges_what_is_lost() {
    breaks("answer first", Publishes::without(Without::CommitFirst), KEPT);
}

#[test]
fn a_key_that_is_stored_apart_makes_two_intents() {
    breaks("key apart", Publishes::without(Without::OneTransaction), ONCE);
}

#[test]
fn an_id_that_is_made_anew_after_a_lost_commit_makes_two_intents() {
    breaks("new id", Publishes::without(Without::IdBeforehand), ONCE);
    breaks("new id", Publishes::without(Without::IdBeforehand), ONE_ANSWER);
}
