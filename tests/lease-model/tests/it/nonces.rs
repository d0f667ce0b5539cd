//! Signed requests: the same one comes several times, to several replicas, whenever somebody likes, and passes once. Nonces live in a
//! ring of four slots by time, of which one is emptied ahead.
//!
//! One step of the clock is 30 s: a period has 20, a timestamp is good for 10 to either side, and a transaction ends before the step
//! after the one in which it began.

use stateright::{Model, Property};

use crate::walked::{breaks, holds};

const PERIOD: i64 = 20;
const WINDOW: i64 = 10;
/// Steps at the end of a period in which a nonce goes into the next period's slot too.
const AHEAD: i64 = 1;
const SLOTS: i64 = 4;

const ONCE: &str = "a signed request is let in once";
const WITH_ITS_WORK: &str = "a nonce is used up exactly if its request was done";

/// A rule of the bus that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// The nonce is looked for in a transaction, and stored after the work in another.
    LookInTheTransaction,
    /// The nonce is stored in a transaction of its own, before the work.
    WorkInTheTransaction,
    /// The slot of the period before is not looked into.
    PeriodBefore,
    /// At the end of a period nothing is stored ahead.
    SlotAhead,
    /// A timestamp may be as old as it likes.
    Window,
    /// The slot that is emptied is the one that was used last.
    EmptyingAhead,
    /// Whoever got no answer to his COMMIT takes a used nonce for his own.
    LookingForOwnWork,
}

#[derive(Debug, Clone, Copy)]
struct Nonces {
    /// Times that the request comes.
    copies: u8,
    /// In which step it was signed.
    signed_at: i64,
    /// The clock stops then.
    horizon: i64,
    /// Answers to COMMIT that are lost.
    lost_commits: u8,
    without: Option<Without>,
}

impl Nonces {
    const fn new() -> Self {
        Self { copies: 3, signed_at: 15, horizon: 3 * PERIOD + 15, lost_commits: 0, without: None }
    }

    const fn without(without: Without) -> Self {
        Self { without: Some(without), ..Self::new() }
    }

    fn lacks(&self, rule: Without) -> bool {
        self.without == Some(rule)
    }
}

/// A replica in the middle of a request. `number` tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Transaction {
    number: u8,
    began: i64,
    /// The request is run once more, since its COMMIT got no answer.
    again: bool,
    /// What it has stored and not yet committed.
    stored: Vec<i64>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// It has looked into the slot of the period before, and goes on to store the nonce in the one of this period.
    Looked,
    /// And in the next one's.
    Ahead,
    /// It does the work and commits.
    Stored,
    /// It is refused.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: i64,
    /// In which slots the nonce stands.
    slots: [bool; 4],
    /// The period up to which slots have been emptied.
    emptied: i64,
    copies: u8,
    lost_commits: u8,
    under_way: Vec<Transaction>,
    /// Whose work is done.
    done: Vec<u8>,
    /// It was answered, or is never heard of again.
    used: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Tick,
    Begin,
    Go(u8),
    /// `false`: its replica is killed, or its session; the database rolls back.
    Commit(u8, bool),
    /// It is committed or not, and the replica does not know.
    LoseCommit(u8, bool),
    Empty,
}

fn slot(period: i64) -> usize {
    usize::try_from(period.rem_euclid(SLOTS)).unwrap()
}

impl State {
    fn begin(&mut self, model: &Nonces, number: u8, again: bool) {
        let period = self.now / PERIOD;
        let stale = (self.now - model.signed_at).abs() > WINDOW && !model.lacks(Without::Window);
        let before = self.slots[slot(period - 1)] && !model.lacks(Without::PeriodBefore);
        // In a transaction of its own it is looked for in all three, here and now.
        let apart = model.lacks(Without::LookInTheTransaction);
        let seen = before || (apart && (self.slots[slot(period)] || self.slots[slot(period + 1)]));
        let step = if stale || seen {
            Step::Refused
        } else if apart {
            Step::Stored
        } else {
            Step::Looked
        };
        let transaction = Transaction { number, began: self.now, again, stored: Vec::new(), step };
        self.under_way.push(transaction);
        self.under_way.sort_by_key(|transaction| transaction.number);
    }

    fn take(&mut self, number: u8) -> Option<Transaction> {
        let place = self.under_way.iter().position(|transaction| transaction.number == number)?;
        Some(self.under_way.remove(place))
    }

    /// In which period's slot it stores the nonce now.
    fn target(transaction: &Transaction) -> Option<i64> {
        match transaction.step {
            Step::Looked => Some(transaction.began / PERIOD),
            Step::Ahead => Some(transaction.began / PERIOD + 1),
            Step::Stored | Step::Refused => None,
        }
    }

    /// The unique index makes it wait for another that has stored the nonce there and not yet committed.
    fn waits(&self, transaction: &Transaction) -> bool {
        Self::target(transaction).is_some_and(|period| {
            self.under_way.iter().any(|other| other.number != transaction.number && other.stored.contains(&period))
        })
    }

    fn go(&mut self, model: &Nonces, number: u8) -> Option<()> {
        let mut transaction = self.take(number)?;
        let period = Self::target(&transaction)?;
        let ending = transaction.began % PERIOD >= PERIOD - AHEAD && !model.lacks(Without::SlotAhead);
        transaction.step = if self.slots[slot(period)] {
            Step::Refused
        } else if transaction.step == Step::Looked && ending {
            Step::Ahead
        } else {
            Step::Stored
        };
        if transaction.step != Step::Refused {
            transaction.stored.push(period);
        }
        if transaction.step == Step::Stored && model.lacks(Without::WorkInTheTransaction) {
            transaction.stored.drain(..).for_each(|period| self.slots[slot(period)] = true);
            self.used = true;
        }
        self.under_way.push(transaction);
        self.under_way.sort_by_key(|transaction| transaction.number);
        Some(())
    }

    fn commit(&mut self, model: &Nonces, transaction: &Transaction) {
        // Refused, or taken for its own: whether there is anything left to do.
        let does = match transaction.step {
            Step::Stored => true,
            _ => {
                transaction.again && model.lacks(Without::LookingForOwnWork) && !self.done.contains(&transaction.number)
            }
        };
        if does {
            self.done.push(transaction.number);
            self.done.sort_unstable();
        }
        if transaction.step == Step::Stored {
            let stored = if model.lacks(Without::LookInTheTransaction) {
                vec![transaction.began / PERIOD]
            } else {
                transaction.stored.clone()
            };
            for period in stored {
                self.slots[slot(period)] = true;
            }
            self.used = true;
        }
    }

    fn empties(model: &Nonces, period: i64) -> usize {
        slot(if model.lacks(Without::EmptyingAhead) { period + SLOTS - 1 } else { period + 2 })
    }
}

impl Model for Nonces {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            slots: [false; 4],
            emptied: -1,
            copies: self.copies,
            lost_commits: self.lost_commits,
            under_way: Vec::new(),
            done: Vec::new(),
            used: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let overdue = |transaction: &Transaction| transaction.began < state.now;
        if state.now < self.horizon && !state.under_way.iter().any(overdue) {
            actions.push(Action::Tick);
        }
        if state.copies > 0 {
            actions.push(Action::Begin);
        }
        for transaction in &state.under_way {
            let number = transaction.number;
            match transaction.step {
                Step::Looked | Step::Ahead if state.waits(transaction) => {}
                Step::Looked | Step::Ahead => actions.push(Action::Go(number)),
                Step::Stored if state.lost_commits > 0 && !transaction.again => {
                    actions.extend([Action::Commit(number, true), Action::Commit(number, false)]);
                    actions.extend([true, false].map(|done| Action::LoseCommit(number, done)));
                }
                _ => actions.extend([Action::Commit(number, true), Action::Commit(number, false)]),
            }
        }
        // Maintenance may be late, but not early.
        if state.emptied < state.now / PERIOD {
            actions.push(Action::Empty);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Begin => {
                let number = self.copies - state.copies;
                state.copies -= 1;
                state.begin(self, number, false);
            }
            Action::Go(number) => state.go(self, number)?,
            Action::Commit(number, lives) => {
                let transaction = state.take(number)?;
                if lives {
                    state.commit(self, &transaction);
                }
            }
            Action::LoseCommit(number, done) => {
                let transaction = state.take(number)?;
                state.lost_commits -= 1;
                if done {
                    state.commit(self, &transaction);
                }
                state.begin(self, number, true);
            }
            Action::Empty => {
                let period = state.now / PERIOD;
                state.emptied = period;
                state.slots[State::empties(self, period)] = false;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| state.done.len() <= 1),
            Property::always(WITH_ITS_WORK, |_, state: &State| {
                state.used != state.done.is_empty() || !state.under_way.is_empty()
            }),
            Property::sometimes("a request is let in at the border of two periods", |_, state: &State| {
                state.slots[0] && state.slots[1] && !state.done.is_empty()
            }),
            Property::sometimes("a copy is refused when its time is over", |model: &Self, state: &State| {
                let refused = |transaction: &Transaction| transaction.step == Step::Refused;
                state.now > model.signed_at + WINDOW && state.under_way.iter().any(refused)
            }),
            Property::sometimes("the nonce is gone from the ring", |_, state: &State| {
                !state.done.is_empty() && state.slots == [false; 4]
            }),
        ]
    }
}

#[test]
fn a_signed_request_passes_once_whenever_it_comes_again() {
    holds("copies", Nonces::new());
}

#[test]
fn a_request_signed_at_the_border_passes_once() {
    holds("at the border", Nonces { signed_at: PERIOD, ..Nonces::new() });
}

#[test]
fn a_request_whose_commit_got_no_answer_passes_once() {
    holds("lost commits", Nonces { lost_commits: 1, ..Nonces::new() });
}

#[test]
fn a_nonce_that_is_not_looked_for_in_the_transaction_passes_twice() {
    breaks("look apart", Nonces::without(Without::LookInTheTransaction), ONCE);
}

#[test]
fn a_nonce_that_is_stored_apart_from_the_work_is_used_up_for_nothing() {
    breaks("work apart", Nonces::without(Without::WorkInTheTransaction), WITH_ITS_WORK);
}

#[test]
fn a_nonce_that_is_looked_for_in_its_own_period_only_passes_again_in_the_next() {
    breaks("own period only", Nonces::without(Without::PeriodBefore), ONCE);
}

#[test]
fn a_nonce_that_is_not_stored_ahead_passes_twice_at_the_border() {
    breaks("nothing ahead", Nonces::without(Without::SlotAhead), ONCE);
}

#[test]
fn a_timestamp_that_may_be_old_outlives_its_nonce() {
    breaks("no window", Nonces::without(Without::Window), ONCE);
}

#[test]
fn a_slot_that_is_emptied_too_early_lets_a_request_in_again() {
    breaks("emptied early", Nonces::without(Without::EmptyingAhead), ONCE);
}

#[test]
fn a_used_nonce_is_not_taken_for_ones_own_without_a_look() {
    breaks("no look", Nonces { lost_commits: 1, ..Nonces::without(Without::LookingForOwnWork) }, ONCE);
}
