//! Claims that wait for an intent, by the lanes they look into. A signal of k intents wakes k of them, the longest waiting
//! first; whoever has found something wakes the next, should there be more than anybody knew.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, oneshot};

use crate::domain::lanes::{Aim, Lanes, Reach};

/// The claims that wait on one replica.
#[derive(Default)]
pub(super) struct Waiters {
    waiting: Mutex<Waiting>,
    /// Told when those who have come lately may look.
    look: Notify,
    /// For how many intents those ask who have come lately.
    newcomers: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// Numbered in the order in which they came.
    claims: HashMap<u64, Waiter>,
    lanes: HashMap<Place, BTreeSet<u64>>,
    last: u64,
    /// The replica is about to stop: nobody may wait any more.
    closed: bool,
}

struct Waiter {
    places: Vec<Place>,
    wake: oneshot::Sender<()>,
}

/// A lane, and by which column it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) lane: i64,
    pub(super) one_goal: bool,
    pub(super) public: bool,
}

/// A claim's place among those that wait. It is given up when this is dropped; a wake that came too late goes to the next.
pub(super) struct Waits<'a> {
    waiters: &'a Waiters,
    number: u64,
    places: Vec<Place>,
    woken: oneshot::Receiver<()>,
    used: bool,
}

/// One who has come lately, for as long as this is there.
struct Newcomer<'a> {
    all: &'a AtomicUsize,
    intents: usize,
}

impl Waiters {
    /// Claims that wait.
    pub(super) fn count(&self) -> usize {
        self.lock().claims.len()
    }

    /// Begins to wait. None: nobody may.
    pub(super) fn wait(&self, reach: &Reach) -> Option<Waits<'_>> {
        let places = places(reach);
        let (wake, woken) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.closed {
            return None;
        }
        waiting.last += 1;
        let number = waiting.last;
        for place in &places {
            waiting.lanes.entry(*place).or_default().insert(number);
        }
        waiting.claims.insert(number, Waiter { places: places.clone(), wake });
        Some(Waits { waiters: self, number, places, woken, used: false })
    }

    /// Whether somebody waits already for all that this claim looks for: then there is nothing for it now.
    pub(super) fn has_company(&self, places: &[Place]) -> bool {
        let waiting = self.lock();
        !places.is_empty()
            && places.iter().all(|place| waiting.lanes.get(place).is_some_and(|numbers| !numbers.is_empty()))
    }

    /// Until those who have come lately may look. One of them asks for so many intents.
    pub(super) async fn may_look(&self, intents: usize) {
        let _newcomer = Newcomer::count(&self.newcomers, intents);
        self.look.notified().await;
    }

    /// For how many intents those ask who have come lately.
    pub(super) fn newcomers(&self) -> usize {
        self.newcomers.load(Ordering::Relaxed)
    }

    /// Lets those look who have come lately: all of them at once, so that they share a statement.
    pub(super) fn let_look(&self) {
        self.look.notify_waiters();
    }

    /// Wakes at most `count` claims that these lanes are for, and says how many.
    pub(super) fn wake(&self, lanes: Lanes, count: usize) -> usize {
        let place = |lane, one_goal, public| Place { lane, one_goal, public };
        let places = [
            Some(place(lanes.own_goal, true, false)),
            Some(place(lanes.own, false, false)),
            lanes.public_goal.map(|lane| place(lane, true, true)),
            lanes.public.map(|lane| place(lane, false, true)),
        ];
        self.wake_at(&places.into_iter().flatten().collect::<Vec<_>>(), count)
    }

    /// Wakes at most `count` claims that look into these lanes, and says how many.
    pub(super) fn wake_at(&self, places: &[Place], count: usize) -> usize {
        let mut waiting = self.lock();
        let mut woken = 0;
        while woken < count {
            let first = places.iter().filter_map(|place| waiting.lanes.get(place)?.first()).min().copied();
            let Some(waiter) = first.and_then(|number| waiting.remove(number)) else { break };
            woken += usize::from(waiter.wake.send(()).is_ok());
        }
        woken
    }

    /// Every lane that somebody waits for.
    pub(super) fn places(&self) -> Vec<Place> {
        self.lock().lanes.keys().copied().collect()
    }

    /// Whether nobody may wait any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Wakes everybody, and lets nobody wait any more.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.lanes.clear();
        for (_, waiter) in waiting.claims.drain() {
            let _ = waiter.wake.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn remove(&mut self, number: u64) -> Option<Waiter> {
        let waiter = self.claims.remove(&number)?;
        for place in &waiter.places {
            if let Some(numbers) = self.lanes.get_mut(place) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.lanes.remove(place);
                }
            }
        }
        Some(waiter)
    }
}

impl<'a> Newcomer<'a> {
    fn count(all: &'a AtomicUsize, intents: usize) -> Self {
        all.fetch_add(intents, Ordering::Relaxed);
        Self { all, intents }
    }
}

impl Drop for Newcomer<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.intents, Ordering::Relaxed);
    }
}

impl Waits<'_> {
    /// Until it is woken.
    pub(super) async fn woken(&mut self) {
        if !self.used {
            let _ = (&mut self.woken).await;
            self.used = true;
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let still_waiting = self.waiters.lock().remove(self.number).is_some();
        if !still_waiting && !self.used {
            self.waiters.wake_at(&self.places, 1);
        }
    }
}

/// The lanes that a claim looks into.
pub(super) fn places(reach: &Reach) -> Vec<Place> {
    let one_goal = reach.goal.is_some();
    let own = reach.own_lanes(Aim::Either).into_iter().map(|lane| Place { lane, one_goal, public: false });
    let public = reach.public_lanes(Aim::Either).into_iter().map(|lane| Place { lane, one_goal, public: true });
    own.chain(public).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn reach(goal: Option<&str>) -> Reach {
        Reach {
            publisher: Some(7),
            public: true,
            namespace: "default".to_owned(),
            goal: goal.map(str::to_owned),
            worker: None,
            capabilities: Vec::new(),
        }
    }

    fn published(goal: &str, public: bool) -> Lanes {
        Lanes::of_intent(7, public, "default", goal, None, None)
    }

    fn is_woken(waits: &mut Waits<'_>) -> bool {
        waits.woken.try_recv().is_ok()
    }

    #[test]
    fn as_many_are_woken_as_there_are_intents_and_those_first_who_came_first() {
        let waiters = Waiters::default();
        let mut waits: Vec<_> = (0..3).map(|_| waiters.wait(&reach(Some("a"))).unwrap()).collect();
        assert_eq!(waiters.wake(published("b", true), 2), 0);
        assert_eq!(waiters.wake(published("a", true), 2), 2);
        let woken: Vec<bool> = waits.iter_mut().map(is_woken).collect();
        assert_eq!(woken, [true, true, false]);
        assert_eq!(waiters.wake(published("a", false), 5), 1);
    }

    #[test]
    fn who_takes_any_goal_is_woken_by_each() {
        let waiters = Waiters::default();
        let mut any = waiters.wait(&reach(None)).unwrap();
        assert_eq!(waiters.wake(published("a", false), 1), 1);
        assert!(is_woken(&mut any));
    }

    #[test]
    fn who_has_gone_is_not_woken_and_a_wake_that_came_too_late_goes_on() {
        let waiters = Waiters::default();
        drop(waiters.wait(&reach(Some("a"))));
        assert_eq!(waiters.wake(published("a", false), 1), 0);
        let first = waiters.wait(&reach(Some("a"))).unwrap();
        let mut second = waiters.wait(&reach(Some("a"))).unwrap();
        assert_eq!(waiters.wake(published("a", false), 1), 1);
        drop(first);
        assert!(is_woken(&mut second));
        drop(second);
        assert!(waiters.places().is_empty());
    }

    #[test]
    fn nobody_waits_on_a_replica_that_stops() {
        let waiters = Waiters::default();
        let mut waits = waiters.wait(&reach(Some("a"))).unwrap();
        waiters.close();
        assert!(is_woken(&mut waits));
        assert!(waiters.wait(&reach(Some("a"))).is_none());
    }
}
