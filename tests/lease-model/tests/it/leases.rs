//! Claims and finishes: two workers, replicas that are slow, hang up on or are hung up on, messages that come late, twice or never
//! (one that is never delivered is lost), leases that end while all of that is under way.
//!
//! A claim is two steps, as it is in Postgres: a look, which locks the row that it picks, and the commit. Clocks are one: the
//! database's.

use lease_model::machine::{Life, Seen, Stored, Time};
use stateright::{Model, Property};

use crate::walked::{breaks, holds};

/// Steps of the clock for a lease, and from its end (or a failure) to the next claim.
const LEASE: i64 = 2;
const BACKOFF: i64 = 1;
/// Steps for which an intent lives unclaimed: longer than any walk.
const TIME_TO_LIVE: i64 = 100;

const ONE_HOLDER: &str = "no worker is told of a lease while another one's runs";
const ONE_REQUEST_ONE_INTENT: &str = "a request to claim one intent holds no more than one";
const ONE_FINISH: &str = "at most one finish of an intent is acknowledged";
const NOT_SUPERSEDED: &str = "a finish is taken from the newest claim only";
const STAYS_FULFILLED: &str = "what a worker was told is fulfilled stays so";
const ATTEMPTS: &str = "there are no more attempts than the publisher allows";
const ENDS: &str = "an intent ends as soon as somebody works, whatever came before";

/// A rule of the bus that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Finishes look at the intent's state only.
    TokenPredicate,
    /// Claims do not lock what they have picked (`FOR UPDATE SKIP LOCKED`).
    RowLock,
    /// A finish looks whether it holds the claim, and ends the intent in a second transaction.
    OneStatement,
    /// Who asks again is not asked for what he has.
    LookForEarlierTries,
    /// Two tries at once may both claim (the index is not unique).
    UniqueRequests,
    /// A claim that may be asked for again goes back when nobody takes its answer, like any other.
    KeepingWhatMayBeAskedFor,
    /// A lease that ends makes nothing claimable.
    EndOfLease,
    /// The end of a lease is not waited for.
    WaitingForTheEnd,
    /// A lapsed attempt costs nothing.
    CountingAttempts,
    /// When the answer to its COMMIT is lost, a finish is taken to be the one that ended the intent if it is the same tenant's.
    TokenOfTheEnd,
}

#[derive(Debug, Clone, Copy)]
struct Leases {
    intents: usize,
    max_attempts: i64,
    /// The clock stops then.
    horizon: i64,
    /// Claims carry an id, and may be asked for again by it. Without, a claim goes back when its replica was hung up on.
    retryable: bool,
    /// Requests to claim that the workers make.
    requests: [u8; 2],
    /// Finishes that come twice. (Claims that do are those that are asked for again.)
    copies: u8,
    /// Answers of Postgres to the COMMIT of a finish that are lost: the replica cannot know whether it took place.
    lost_commits: u8,
    /// Claims may come when nobody asks for them any more: copies that something between has kept.
    old_claims: bool,
    /// Leases that are made longer.
    extensions: u8,
    /// Steps of an operator: cancel or retry.
    operations: u8,
    without: Option<Without>,
}

impl Leases {
    const fn new() -> Self {
        Self {
            intents: 1,
            max_attempts: 2,
            horizon: 5,
            retryable: true,
            requests: [2, 1],
            copies: 1,
            lost_commits: 0,
            old_claims: false,
            extensions: 0,
            operations: 0,
            without: None,
        }
    }

    const fn without(without: Without) -> Self {
        Self { without: Some(without), ..Self::new() }
    }

    fn lacks(&self, rule: Without) -> bool {
        self.without == Some(rule)
    }
}

/// The id of a request to claim, of which the token is made: the worker's number and a count.
type Token = (u8, u8);

/// A connection on which a worker asks. It asks again on another one, and what still comes on the first is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Asked {
    token: Token,
    again: bool,
}

/// A claim as the worker was told of it. `serial` is known to nobody: which claim of the intent it was, whatever its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Lease {
    intent: usize,
    token: Token,
    serial: u8,
    until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Fulfill,
    Fail,
    Extend,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    /// On the way to a replica.
    Claim(Asked),
    /// On the way back.
    Claimed(Asked, Lease),
    /// On the way to a replica.
    Finish { kind: Kind, lease: Lease },
    /// Inside a replica that has found that the claim holds the intent (without `OneStatement`); the last tells several apart.
    End { kind: Kind, lease: Lease, number: usize },
    /// Inside a replica that got no answer to its COMMIT, and looks again.
    Fulfilled(Lease),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Asking(Asked),
    Working(Lease),
}

/// A replica in the middle of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Try {
    /// It has picked an intent, at this moment. The lock is its own until it commits.
    Picked { asked: Asked, intent: usize, at: i64 },
    /// It has claimed, and nobody is there to take the answer.
    Unheard(Lease),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    life: Life<Token, i64>,
    /// Claims ever made. Nobody looks at it but the properties, and at the next two neither.
    serial: u8,
    /// Which claim has fulfilled it.
    ended_by: Option<Token>,
    /// Finishes that were acknowledged, but for those that an operator has undone.
    finishes: u8,
    /// One was taken from a claim that was not the newest.
    superseded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: i64,
    rows: Vec<Row>,
    workers: [Worker; 2],
    requested: [u8; 2],
    /// Sorted, so that what comes in another order is the same state.
    tries: Vec<Try>,
    net: Vec<Message>,
    copies: u8,
    lost_commits: u8,
    extensions: u8,
    operations: u8,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Ask(u8),
    AskAgain(u8),
    /// The worker waits no longer for an answer, or works no longer: it was killed.
    GiveUp(u8),
    Send(u8, Kind),
    /// `false`: the message stays on its way, and will come once more.
    Deliver(Message, bool),
    /// It fulfils an intent, or the COMMIT fails; nobody knows.
    LoseCommit(Lease, bool),
    /// `false`: whoever asked has hung up.
    Commit(Try, bool),
    GiveBack(Try),
    Tick,
    Cancel(usize),
    Retry(usize),
    Maintain,
}

fn insert<T: Ord>(into: &mut Vec<T>, item: T) {
    if let Err(place) = into.binary_search(&item) {
        into.insert(place, item);
    }
}

fn remove<T: Ord>(from: &mut Vec<T>, item: &T) {
    if let Ok(place) = from.binary_search(item) {
        from.remove(place);
    }
}

impl State {
    /// A claim has locked it: other claims and maintenance skip it, everything else waits, and then sees what the claim has made.
    fn is_locked(&self, intent: usize) -> bool {
        self.tries.iter().any(|other| matches!(other, Try::Picked { intent: picked, .. } if *picked == intent))
    }

    /// What this request has claimed, if its lease runs.
    fn earlier(&self, token: Token) -> Option<Lease> {
        self.rows.iter().enumerate().find_map(|(intent, row)| match row.life.stored {
            Stored::Claimed { token: held, until } if held == token && until > self.now => {
                Some(Lease { intent, token, serial: row.serial, until })
            }
            _ => None,
        })
    }

    fn claim_comes(&mut self, model: &Leases, asked: Asked) {
        if model.retryable
            && !model.lacks(Without::LookForEarlierTries)
            && let Some(lease) = self.earlier(asked.token)
        {
            insert(&mut self.net, Message::Claimed(asked, lease));
            return;
        }
        let claimable = |row: &Row| match &row.life.stored {
            Stored::Claimed { .. } if model.lacks(Without::WaitingForTheEnd) => !row.life.has_no_attempt_left(),
            _ => row.life.is_claimable(self.now, TIME_TO_LIVE),
        };
        let free = |intent: &usize| model.lacks(Without::RowLock) || !self.is_locked(*intent);
        // Nothing found: an answer that changes nothing.
        if let Some(intent) = (0..self.rows.len()).filter(free).find(|&intent| claimable(&self.rows[intent])) {
            insert(&mut self.tries, Try::Picked { asked, intent, at: self.now });
        }
    }

    fn commit(&mut self, model: &Leases, attempt: Try, heard: bool) {
        remove(&mut self.tries, &attempt);
        let Try::Picked { asked, intent, at } = attempt else { return };
        let token = asked.token;
        let holds_another = |(other, row): (usize, &Row)| other != intent && row.life.is_held_by(&token);
        if model.retryable
            && !model.lacks(Without::UniqueRequests)
            && !model.lacks(Without::LookForEarlierTries)
            && self.rows.iter().enumerate().any(holds_another)
        {
            // Rolled back; the replica looks once more.
            self.claim_comes(model, asked);
            return;
        }
        let row = &mut self.rows[intent];
        if model.lacks(Without::CountingAttempts) && row.life.lease_runs(i64::MIN) {
            row.life.attempts -= 1;
        }
        row.life.claim(token, at, LEASE, BACKOFF);
        if model.lacks(Without::EndOfLease) {
            row.life.due_at = i64::NEVER;
        }
        row.serial += 1;
        let lease = Lease { intent, token, serial: row.serial, until: at + LEASE };
        if heard {
            insert(&mut self.net, Message::Claimed(asked, lease));
        } else if !model.retryable || model.lacks(Without::KeepingWhatMayBeAskedFor) {
            insert(&mut self.tries, Try::Unheard(lease));
        }
    }

    fn finish_comes(&mut self, model: &Leases, kind: Kind, lease: Lease) {
        let life = &self.rows[lease.intent].life;
        let is_claimed = matches!(life.stored, Stored::Claimed { .. });
        let holds = if model.lacks(Without::TokenPredicate) { is_claimed } else { life.is_held_by(&lease.token) };
        if holds && kind == Kind::Extend {
            if life.lease_runs(self.now) {
                self.rows[lease.intent].life.extend(1);
                self.superseded(lease);
                // The answer is taken to arrive at once: a worker that has not got it believes in the shorter lease.
                for worker in &mut self.workers {
                    match worker {
                        Worker::Working(held) if held.token == lease.token => held.until += 1,
                        _ => {}
                    }
                }
            }
        } else if holds && model.lacks(Without::OneStatement) {
            let number = self.net.iter().filter(|message| matches!(message, Message::End { .. })).count();
            insert(&mut self.net, Message::End { kind, lease, number });
        } else if holds {
            self.end(kind, lease);
        }
    }

    fn superseded(&mut self, lease: Lease) {
        let row = &mut self.rows[lease.intent];
        row.superseded |= row.serial != lease.serial;
    }

    fn end(&mut self, kind: Kind, lease: Lease) {
        self.superseded(lease);
        let now = self.now;
        let row = &mut self.rows[lease.intent];
        match kind {
            Kind::Fulfill => {
                row.life.fulfill();
                row.ended_by = Some(lease.token);
                row.finishes += 1;
            }
            _ if row.life.has_no_attempt_left() => row.life.bury(),
            _ => row.life.requeue(now + BACKOFF),
        }
    }

    /// The replica looks what has become of a finish whose COMMIT got no answer, and does it if it was not done.
    fn looks_again(&mut self, model: &Leases, lease: Lease) {
        let row = &mut self.rows[lease.intent];
        if row.life.is_held_by(&lease.token) {
            self.end(Kind::Fulfill, lease);
        } else if row.life.stored == Stored::Fulfilled
            && (model.lacks(Without::TokenOfTheEnd) || row.ended_by == Some(lease.token))
        {
            row.finishes += 1;
        }
    }

    /// Takes away what will change nothing wherever it comes, so that states that differ by it alone are one.
    fn tidy(&mut self, model: &Leases) {
        let Self { net, workers, rows, operations, .. } = self;
        net.retain(|message| match message {
            Message::Claim(asked) => model.old_claims || workers[usize::from(asked.token.0)] == Worker::Asking(*asked),
            Message::Claimed(asked, _) => workers[usize::from(asked.token.0)] == Worker::Asking(*asked),
            Message::Finish { lease, .. } => *operations > 0 || rows[lease.intent].life.is_unfinished(),
            Message::End { .. } | Message::Fulfilled(_) => true,
        });
    }

    /// All that is under way is lost, and then one worker does its work as it should. Whether everything ends.
    fn ends(&self) -> bool {
        let mut rows = self.rows.clone();
        (self.now..self.now + 20).for_each(|now| {
            for row in &mut rows {
                row.life.maintain(now, TIME_TO_LIVE);
                if row.life.is_claimable(now, TIME_TO_LIVE) {
                    row.life.fulfill();
                }
            }
        });
        rows.iter().all(|row| !row.life.is_unfinished())
    }
}

impl Model for Leases {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let row = Row {
            life: Life::published(0, self.max_attempts),
            serial: 0,
            ended_by: None,
            finishes: 0,
            superseded: false,
        };
        vec![State {
            now: 0,
            rows: vec![row; self.intents],
            workers: [Worker::Idle; 2],
            requested: [0; 2],
            tries: Vec::new(),
            net: Vec::new(),
            copies: self.copies,
            lost_commits: self.lost_commits,
            extensions: self.extensions,
            operations: self.operations,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, worker) in (0..).zip(&state.workers) {
            match worker {
                Worker::Idle if state.requested[usize::from(number)] < self.requests[usize::from(number)] => {
                    actions.push(Action::Ask(number));
                }
                Worker::Idle => {}
                Worker::Asking(asked) => {
                    if self.retryable && !asked.again {
                        actions.push(Action::AskAgain(number));
                    }
                    actions.push(Action::GiveUp(number));
                }
                Worker::Working(_) => {
                    actions.extend([Kind::Fulfill, Kind::Fail].map(|kind| Action::Send(number, kind)));
                    if state.extensions > 0 {
                        actions.push(Action::Send(number, Kind::Extend));
                    }
                }
            }
        }
        let locked = |intent: usize| !self.lacks(Without::RowLock) && state.is_locked(intent);
        for message in &state.net {
            if let Message::Finish { lease, .. } | Message::End { lease, .. } | Message::Fulfilled(lease) = message
                && locked(lease.intent)
            {
                continue;
            }
            actions.push(Action::Deliver(message.clone(), true));
            if let Message::Finish { kind: Kind::Fulfill, lease } = message
                && state.lost_commits > 0
                && state.rows[lease.intent].life.is_held_by(&lease.token)
            {
                actions.extend([true, false].map(|done| Action::LoseCommit(*lease, done)));
            }
            let comes_twice = match message {
                Message::Finish { .. } => !self.old_claims,
                Message::Claim(_) => self.old_claims,
                _ => false,
            };
            if comes_twice && state.copies > 0 {
                actions.push(Action::Deliver(message.clone(), false));
            }
        }
        for attempt in &state.tries {
            match attempt {
                Try::Picked { .. } => {
                    actions.extend([true, false].map(|heard| Action::Commit(*attempt, heard)));
                }
                Try::Unheard(lease) if !locked(lease.intent) => actions.push(Action::GiveBack(*attempt)),
                Try::Unheard(_) => {}
            }
        }
        if state.now < self.horizon {
            actions.push(Action::Tick);
        }
        actions.push(Action::Maintain);
        if state.operations > 0 {
            let free = (0..state.rows.len()).filter(|&intent| !locked(intent));
            actions.extend(free.flat_map(|intent| [Action::Cancel(intent), Action::Retry(intent)]));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Ask(number) => {
                let worker = usize::from(number);
                let asked = Asked { token: (number, state.requested[worker]), again: false };
                state.requested[worker] += 1;
                state.workers[worker] = Worker::Asking(asked);
                insert(&mut state.net, Message::Claim(asked));
            }
            Action::AskAgain(number) => {
                let worker = &mut state.workers[usize::from(number)];
                let Worker::Asking(asked) = *worker else { return None };
                let asked = Asked { again: true, ..asked };
                *worker = Worker::Asking(asked);
                insert(&mut state.net, Message::Claim(asked));
            }
            Action::GiveUp(number) => state.workers[usize::from(number)] = Worker::Idle,
            Action::Send(number, kind) => {
                let Worker::Working(lease) = state.workers[usize::from(number)] else { return None };
                if kind == Kind::Extend {
                    state.extensions -= 1;
                } else {
                    // Whatever the answer is: it is done with it.
                    state.workers[usize::from(number)] = Worker::Idle;
                }
                insert(&mut state.net, Message::Finish { kind, lease });
            }
            Action::Deliver(message, last) => {
                if last {
                    remove(&mut state.net, &message);
                } else {
                    state.copies -= 1;
                }
                match message {
                    Message::Claim(asked) => state.claim_comes(self, asked),
                    Message::Claimed(asked, lease) => {
                        let worker = &mut state.workers[usize::from(lease.token.0)];
                        if *worker == Worker::Asking(asked) {
                            *worker = Worker::Working(lease);
                        }
                    }
                    Message::Finish { kind, lease } => state.finish_comes(self, kind, lease),
                    Message::End { kind, lease, .. } => state.end(kind, lease),
                    Message::Fulfilled(lease) => state.looks_again(self, lease),
                }
            }
            Action::LoseCommit(lease, done) => {
                remove(&mut state.net, &Message::Finish { kind: Kind::Fulfill, lease });
                state.lost_commits -= 1;
                if done {
                    state.end(Kind::Fulfill, lease);
                    state.rows[lease.intent].finishes -= 1;
                }
                insert(&mut state.net, Message::Fulfilled(lease));
            }
            Action::Commit(attempt, heard) => state.commit(self, attempt, heard),
            Action::GiveBack(attempt) => {
                remove(&mut state.tries, &attempt);
                let Try::Unheard(lease) = attempt else { return None };
                let now = state.now;
                let life = &mut state.rows[lease.intent].life;
                if life.is_held_by(&lease.token) {
                    life.give_back(now);
                }
            }
            Action::Tick => state.now += 1,
            Action::Cancel(intent) => {
                state.operations -= 1;
                let row = &mut state.rows[intent];
                row.life.bury();
                row.finishes = 0;
            }
            Action::Retry(intent) => {
                state.operations -= 1;
                let now = state.now;
                let life = &mut state.rows[intent].life;
                if life.seen(now, TIME_TO_LIVE) != Seen::Dead {
                    return None;
                }
                life.retry(now);
            }
            Action::Maintain => {
                for intent in 0..state.rows.len() {
                    if !state.is_locked(intent) {
                        state.rows[intent].life.maintain(state.now, TIME_TO_LIVE);
                    }
                }
            }
        }
        state.tidy(self);
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_HOLDER, |model: &Self, state: &State| {
                let running = |worker: &Worker| match worker {
                    Worker::Working(lease) if lease.until > state.now => Some(lease.intent),
                    _ => None,
                };
                let [one, other] = state.workers.each_ref().map(running);
                one.is_none() || one != other || state.operations < model.operations
            }),
            Property::always(ONE_REQUEST_ONE_INTENT, |_, state: &State| {
                let held = |row: &Row| match row.life.stored {
                    Stored::Claimed { token, until } if until > state.now => Some(token),
                    _ => None,
                };
                let mut held: Vec<Token> = state.rows.iter().filter_map(held).collect();
                held.sort_unstable();
                held.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always(ONE_FINISH, |_, state: &State| state.rows.iter().all(|row| row.finishes <= 1)),
            Property::always(NOT_SUPERSEDED, |_, state: &State| state.rows.iter().all(|row| !row.superseded)),
            Property::always(STAYS_FULFILLED, |_, state: &State| {
                state.rows.iter().all(|row| row.finishes == 0 || row.life.stored == Stored::Fulfilled)
            }),
            Property::always(ATTEMPTS, |model: &Self, state: &State| {
                let within = |row: &Row| i64::from(row.serial) <= model.max_attempts;
                // A claim that went back does not count, and an operator begins anew.
                !model.retryable || model.operations > 0 || state.rows.iter().all(within)
            }),
            Property::always(ENDS, |_, state: &State| state.ends()),
        ];
        if self.max_attempts > 1 {
            properties.extend([
                Property::sometimes("an intent is fulfilled after its lease has ended", |_, state: &State| {
                    state.now > LEASE + 1 && state.rows.iter().any(|row| row.serial == 1 && row.finishes == 1)
                }),
                Property::sometimes("a second attempt is fulfilled", |_, state: &State| {
                    state.rows.iter().any(|row| row.serial == 2 && row.finishes == 1)
                }),
                Property::sometimes("an intent is dead", |_, state: &State| {
                    state.rows.iter().any(|row| row.life.stored == Stored::Dead)
                }),
            ]);
        }
        if !self.retryable {
            properties.push(Property::sometimes(
                "a claim goes back and is claimed again at once",
                |_, state: &State| {
                    state.now == 0 && state.rows.iter().any(|row| row.serial == 2 && row.life.attempts == 1)
                },
            ));
        }
        properties
    }
}

#[test]
fn claims_that_may_be_asked_for_again_keep_all_rules() {
    holds("one intent", Leases { max_attempts: 3, horizon: 7, ..Leases::new() });
}

#[test]
fn claims_that_go_back_when_nobody_takes_them_keep_all_rules() {
    holds("claims go back", Leases { retryable: false, ..Leases::new() });
}

#[test]
fn two_intents_keep_all_rules() {
    holds(
        "two intents",
        Leases { intents: 2, max_attempts: 1, horizon: 3, requests: [1, 1], copies: 0, ..Leases::new() },
    );
}

#[test]
fn longer_leases_keep_all_rules() {
    holds("extensions", Leases { extensions: 1, requests: [1, 1], horizon: 6, copies: 0, ..Leases::new() });
}

#[test]
fn lost_answers_to_commits_break_no_rule() {
    holds("lost commits", Leases { lost_commits: 1, copies: 0, ..Leases::new() });
}

#[test]
fn operators_break_no_rule() {
    holds("operators", Leases { operations: 2, requests: [1, 1], horizon: 4, copies: 0, ..Leases::new() });
}

#[test]
fn without_the_token_predicate_a_lost_claim_can_be_finished() {
    breaks("no token predicate", Leases::without(Without::TokenPredicate), NOT_SUPERSEDED);
}

#[test]
fn without_the_row_lock_two_workers_hold_one_intent() {
    breaks("no row lock", Leases::without(Without::RowLock), ONE_HOLDER);
    breaks("no row lock", Leases::without(Without::RowLock), ATTEMPTS);
}

#[test]
fn a_finish_of_two_statements_is_acknowledged_twice() {
    breaks("look, then end", Leases::without(Without::OneStatement), ONE_FINISH);
}

#[test]
fn asking_again_without_a_look_or_a_unique_index_claims_a_second_intent() {
    let two = |without| Leases { intents: 2, requests: [1, 1], ..Leases::without(without) };
    breaks("no look", two(Without::LookForEarlierTries), ONE_REQUEST_ONE_INTENT);
    breaks("no unique index", two(Without::UniqueRequests), ONE_REQUEST_ONE_INTENT);
}

#[test]
fn a_claim_that_goes_back_although_another_try_has_brought_it_is_held_twice() {
    breaks("given back", Leases::without(Without::KeepingWhatMayBeAskedFor), ONE_HOLDER);
}

#[test]
fn a_lease_that_is_not_waited_for_is_held_twice() {
    breaks("no waiting", Leases::without(Without::WaitingForTheEnd), ONE_HOLDER);
}

#[test]
fn a_lease_without_an_end_keeps_its_intent_for_ever() {
    breaks("no end", Leases::without(Without::EndOfLease), ENDS);
}

#[test]
fn a_lost_commit_that_is_matched_by_tenant_alone_is_acknowledged_beside_another() {
    let guessed = Leases { lost_commits: 1, copies: 0, ..Leases::without(Without::TokenOfTheEnd) };
    breaks("by tenant", guessed, ONE_FINISH);
}

#[test]
fn attempts_that_are_not_counted_have_no_limit() {
    let worn = Leases { horizon: 6, ..Leases::without(Without::CountingAttempts) };
    breaks("no count", worn, ATTEMPTS);
}

/// What the bus does not keep: the token is made of the request's id, so a copy of the request that comes after its lease has ended
/// brings the token back to life, and with it the first holder's finish. It is still the same worker's.
#[test]
fn a_claim_that_comes_once_more_after_its_lease_brings_its_token_back() {
    breaks("an old copy", Leases { old_claims: true, ..Leases::new() }, NOT_SUPERSEDED);
}
