//! What becomes of intents, by goal, as this replica sees it: counted where it happens (in the store), read by `/metrics` and,
//! every ten seconds, by the pulse that writes it down for the dashboards of all replicas.
//!
//! Goals come from clients, so only so many have series of their own, the busiest; what is beyond them is added up as `other`.

mod crowd;
mod told;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, core::Metric, proto::Bucket,
};

use self::crowd::Crowd;
pub use self::told::Told;
use crate::error::{Error, ErrorCode, Result};

/// Upper bounds in seconds of the buckets of latencies. One more holds what is above them.
pub const FLOW_BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Upper bounds of the buckets of what one flight carries.
const FLIGHT_BUCKETS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1000.0];
/// The label of everything that has no series of its own.
pub const OTHER: &str = "other";
/// Pairs of namespace and goal with series of their own.
const GOALS: usize = 50;
/// Time after which an idle pair makes room.
const IDLE: Duration = Duration::from_secs(600);
/// A pair gives its place to one that is so many times as busy: two that are alike would take turns.
const BUSIER: u64 = 2;
/// What a pair did in its busiest time counts for a part less with each time that its place is looked at.
const FADES: u64 = 8;

/// Namespace and goal.
pub type Pair = (String, String);

/// Why an intent is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burial {
    /// Its worker reported a failure, for good or for the last time.
    Failed,
    /// The lease of its last attempt ended.
    Lapsed,
    /// Nobody claimed it in time.
    Expired,
    /// An operator cancelled it.
    Cancelled,
}

impl Burial {
    const ALL: [Self; 4] = [Self::Failed, Self::Lapsed, Self::Expired, Self::Cancelled];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lapsed => "lapsed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The counters of one replica.
pub struct Flow {
    began: Instant,
    places: RwLock<Places>,
    crowd: Crowd,
    others: Arc<Goal>,
    series: Series,
    operations: IntCounterVec,
    rejections: IntCounterVec,
    rate_limited: IntCounter,
    flights: HistogramVec,
    flight_seconds: HistogramVec,
}

/// Pairs with series of their own, by namespace and goal with a zero byte in between.
#[derive(Default)]
struct Places {
    goals: HashMap<String, Arc<Goal>>,
    /// Those that have lost their place. Kept once more, for what was counted since they were last read.
    leaving: HashMap<String, Arc<Goal>>,
}

/// The series by goal.
struct Series {
    published: IntCounterVec,
    claimed: IntCounterVec,
    fulfilled: IntCounterVec,
    failed: IntCounterVec,
    buried: IntCounterVec,
    waited: HistogramVec,
    worked: HistogramVec,
    took: HistogramVec,
}

/// The counters of one namespace and goal.
struct Goal {
    namespace: String,
    name: String,
    published: IntCounter,
    claimed: IntCounter,
    fulfilled: IntCounter,
    reported: IntCounter,
    lapsed: IntCounter,
    buried: [IntCounter; 4],
    waited: Histogram,
    worked: Histogram,
    took: Histogram,
    /// Milliseconds since the replica began.
    used: AtomicU64,
    /// Counted since the places were last looked at.
    lately: AtomicU64,
    /// Counted between two looks, in its busiest time of late.
    busy: AtomicU64,
}

/// What was done with the intents of a goal, from the start or between two moments. Namespace and goal are empty for all others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The namespace.
    pub namespace: String,
    /// The goal.
    pub goal: String,
    /// Intents published.
    pub published: u64,
    /// Claims made.
    pub claimed: u64,
    /// Intents fulfilled.
    pub fulfilled: u64,
    /// Attempts that ended badly.
    pub failed: u64,
    /// Intents that ended as dead.
    pub dead: u64,
    /// By bucket: from the moment at which an intent could be claimed to its claim.
    pub waited: Vec<u64>,
    /// By bucket: from the claim to the fulfilment.
    pub worked: Vec<u64>,
    /// By bucket: from the publication to the fulfilment.
    pub took: Vec<u64>,
}

impl Flow {
    /// Nothing has been counted yet.
    ///
    /// # Errors
    /// When a metric's name or label is not a good one.
    pub fn new() -> Result<Arc<Self>> {
        Self::make().map(Arc::new).map_err(Error::fault)
    }

    fn make() -> prometheus::Result<Self> {
        let series = Series::new()?;
        let others = Arc::new(series.of("", ""));
        let flight = |name, help, buckets: &[f64]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &["kind"])
        };
        let rejections = IntCounterVec::new(
            Opts::new("intent_bus_signature_rejections_total", "Signed requests refused, by reason."),
            &["reason"],
        )?;
        // There from the start: an increase is seen only of what was there before, and the first attack counts as well.
        for reason in ["replayed", "stale", "bad"] {
            rejections.with_label_values(&[reason]);
        }
        Ok(Self {
            began: Instant::now(),
            places: RwLock::default(),
            crowd: Crowd::default(),
            others,
            series,
            operations: IntCounterVec::new(
                Opts::new(
                    "intent_bus_operations_total",
                    "Intents and claims by what became of what was asked for them.",
                ),
                &["operation", "outcome"],
            )?,
            rejections,
            rate_limited: IntCounter::new(
                "intent_bus_rate_limited_total",
                "Requests refused because their tenant had used up its minute.",
            )?,
            flights: flight(
                "intent_bus_flight_requests",
                "Requests that one flight carried to Postgres together.",
                &FLIGHT_BUCKETS,
            )?,
            flight_seconds: flight(
                "intent_bus_flight_duration_seconds",
                "Time that a flight took.",
                &FLOW_BUCKETS[..13],
            )?,
        })
    }

    /// Lets a registry read everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let Series { published, claimed, fulfilled, failed, buried, waited, worked, took } = &self.series;
        for counter in [published, claimed, fulfilled, failed, buried, &self.operations, &self.rejections] {
            registry.register(Box::new(counter.clone()))?;
        }
        for histogram in [waited, worked, took, &self.flights, &self.flight_seconds] {
            registry.register(Box::new(histogram.clone()))?;
        }
        registry.register(Box::new(self.rate_limited.clone()))
    }

    /// Counts intents that were published.
    pub fn published(&self, namespace: &str, goal: &str) {
        self.goal(namespace, goal).published.inc();
    }

    /// Counts a claim. `waited`: for how long the intent could have been claimed. `lapsed`: by taking over a claim whose lease had
    /// ended.
    pub fn claimed(&self, namespace: &str, goal: &str, waited: Duration, lapsed: bool) {
        let goal = self.goal(namespace, goal);
        goal.claimed.inc();
        goal.waited.observe(waited.as_secs_f64());
        if lapsed {
            goal.lapsed.inc();
        }
    }

    /// Counts a fulfilment. `worked`: seconds since the claim, if they are known; `took`: since the publication.
    pub fn fulfilled(&self, namespace: &str, goal: &str, worked: Option<f64>, took: f64) {
        let goal = self.goal(namespace, goal);
        goal.fulfilled.inc();
        goal.took.observe(took.max(0.0));
        if let Some(worked) = worked {
            goal.worked.observe(worked.max(0.0));
        }
    }

    /// Counts an attempt that its worker reported as failed, and after which the intent is open again.
    pub fn failed(&self, namespace: &str, goal: &str) {
        self.goal(namespace, goal).reported.inc();
    }

    /// Counts an intent that became a dead letter, with the attempt that ended by it.
    pub fn buried(&self, namespace: &str, goal: &str, why: Burial) {
        let goal = self.goal(namespace, goal);
        goal.buried[why as usize].inc();
        match why {
            Burial::Failed => goal.reported.inc(),
            Burial::Lapsed => goal.lapsed.inc(),
            Burial::Expired | Burial::Cancelled => {}
        }
    }

    /// Counts what became of something that was asked for.
    pub fn outcome(&self, operation: &str, outcome: std::result::Result<(), ErrorCode>, count: usize) {
        let outcome = outcome.err().map_or("done", ErrorCode::as_str);
        self.operations.with_label_values(&[operation, outcome]).inc_by(count as u64);
    }

    /// Counts a claim that found nothing.
    pub fn found_nothing(&self) {
        self.operations.with_label_values(&["claim", "empty"]).inc();
    }

    /// Counts a signed request that was refused: `replayed`, `stale` or `bad`.
    pub fn rejected(&self, reason: &str) {
        self.rejections.with_label_values(&[reason]).inc();
    }

    /// Counts a request whose tenant had used up its minute.
    pub fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// Counts a flight of so many requests.
    pub fn flown(&self, kind: &str, requests: usize, took: Duration) {
        #[allow(clippy::cast_precision_loss, reason = "at most a thousand or so")]
        self.flights.with_label_values(&[kind]).observe(requests as f64);
        self.flight_seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    /// Everything that was counted since the start.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let Places { goals, leaving } = &*places;
        goals.values().chain(leaving.values()).chain([&self.others]).map(|goal| goal.tally()).collect()
    }

    /// Makes room where nothing has happened for ten minutes, and gives the places of the quietest to those that are busier. To
    /// be called every ten seconds, when the tallies have just been told. Gives the pairs that begin anew if they come back.
    pub fn settle(&self) -> Vec<Pair> {
        let now = self.now();
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let Places { goals, leaving } = &mut *places;
        let left = std::mem::take(leaving);
        let mut forgotten: Vec<Arc<Goal>> = left.values().cloned().collect();
        goals.retain(|_, goal| {
            goal.look_back();
            let idle = now.saturating_sub(goal.used.load(Ordering::Relaxed));
            let stays = u128::from(idle) < IDLE.as_millis();
            if !stays {
                forgotten.push(Arc::clone(goal));
            }
            stays
        });
        for goal in &forgotten {
            self.series.forget(&goal.namespace, &goal.name);
        }
        for (pair, lead) in self.crowd.leaders() {
            // Whoever found no place may have got one before the crowd saw it, and even lost it again. What has left lately is
            // still told, under its old counts.
            if [&*goals, &*leaving, &left].iter().any(|pairs| pairs.contains_key(&pair)) {
                continue;
            }
            let Some((namespace, goal)) = pair.split_once('\0') else { continue };
            if goals.len() >= GOALS {
                let busy = |goal: &Goal| goal.busy.load(Ordering::Relaxed);
                let quietest = goals.iter().min_by_key(|(_, goal)| busy(goal));
                let Some(quietest) =
                    quietest.filter(|(_, goal)| lead > BUSIER * busy(goal)).map(|(pair, _)| pair.clone())
                else {
                    break;
                };
                leaving.extend(goals.remove_entry(&quietest));
            }
            let goal = self.series.of(namespace, goal);
            goal.busy.store(lead, Ordering::Relaxed);
            goal.used.store(now, Ordering::Relaxed);
            goals.insert(pair, Arc::new(goal));
        }
        forgotten.iter().map(|goal| (goal.namespace.clone(), goal.name.clone())).collect()
    }

    fn goal(&self, namespace: &str, goal: &str) -> Arc<Goal> {
        // Neither holds a zero byte: no two pairs have one key.
        if (namespace, goal) == (OTHER, OTHER) {
            return Arc::clone(&self.others);
        }
        let key = [namespace, goal].join("\0");
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let (known, has_room) = (places.goals.get(&key).cloned(), places.has_room_for(&key));
        drop(places);
        let found = match known {
            Some(found) => found,
            None if has_room => {
                let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
                if !places.has_room_for(&key) && !places.goals.contains_key(&key) {
                    return Arc::clone(&self.others);
                }
                Arc::clone(places.goals.entry(key).or_insert_with(|| Arc::new(self.series.of(namespace, goal))))
            }
            None => {
                self.crowd.saw(&key);
                return Arc::clone(&self.others);
            }
        };
        found.used.store(self.now(), Ordering::Relaxed);
        found.lately.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Places {
    fn has_room_for(&self, pair: &str) -> bool {
        self.goals.len() < GOALS && !self.leaving.contains_key(pair)
    }
}

impl Series {
    fn new() -> prometheus::Result<Self> {
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let histogram = |name, help| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(FLOW_BUCKETS.to_vec()), &["namespace", "goal"])
        };
        let of_goal = ["namespace", "goal"];
        let with_reason = ["namespace", "goal", "reason"];
        Ok(Self {
            published: counter("intent_bus_published_total", "Intents published.", &of_goal)?,
            claimed: counter("intent_bus_claimed_total", "Claims made.", &of_goal)?,
            fulfilled: counter("intent_bus_fulfilled_total", "Intents fulfilled.", &of_goal)?,
            failed: counter(
                "intent_bus_failed_attempts_total",
                "Claims that ended badly: reported by the worker, or their lease had ended.",
                &with_reason,
            )?,
            buried: counter("intent_bus_buried_total", "Intents that became dead letters, by reason.", &with_reason)?,
            waited: histogram(
                "intent_bus_claim_wait_seconds",
                "From the moment at which an intent could be claimed to its claim.",
            )?,
            worked: histogram("intent_bus_work_seconds", "From the claim to the fulfilment.")?,
            took: histogram("intent_bus_completion_seconds", "From the publication to the fulfilment.")?,
        })
    }

    fn labels<'a>(namespace: &'a str, goal: &'a str) -> [&'a str; 2] {
        if goal.is_empty() { [OTHER, OTHER] } else { [namespace, goal] }
    }

    fn of(&self, namespace: &str, goal: &str) -> Goal {
        let labels = Self::labels(namespace, goal);
        let with = |reason| [labels[0], labels[1], reason];
        Goal {
            namespace: namespace.to_owned(),
            name: goal.to_owned(),
            published: self.published.with_label_values(&labels),
            claimed: self.claimed.with_label_values(&labels),
            fulfilled: self.fulfilled.with_label_values(&labels),
            reported: self.failed.with_label_values(&with("reported")),
            lapsed: self.failed.with_label_values(&with("lapsed")),
            buried: Burial::ALL.map(|why| self.buried.with_label_values(&with(why.as_str()))),
            waited: self.waited.with_label_values(&labels),
            worked: self.worked.with_label_values(&labels),
            took: self.took.with_label_values(&labels),
            used: AtomicU64::default(),
            lately: AtomicU64::default(),
            busy: AtomicU64::default(),
        }
    }

    /// What is not there any more has nothing to be removed.
    fn forget(&self, namespace: &str, goal: &str) {
        let labels = Self::labels(namespace, goal);
        for counter in [&self.published, &self.claimed, &self.fulfilled] {
            let _ = counter.remove_label_values(&labels);
        }
        for reason in ["reported", "lapsed"] {
            let _ = self.failed.remove_label_values(&[labels[0], labels[1], reason]);
        }
        for why in Burial::ALL {
            let _ = self.buried.remove_label_values(&[labels[0], labels[1], why.as_str()]);
        }
        for histogram in [&self.waited, &self.worked, &self.took] {
            let _ = histogram.remove_label_values(&labels);
        }
    }
}

impl Goal {
    /// Notes how busy it was since the last look.
    fn look_back(&self) {
        let (lately, busy) = (self.lately.swap(0, Ordering::Relaxed), self.busy.load(Ordering::Relaxed));
        self.busy.store(lately.max(busy - busy.div_ceil(FADES)), Ordering::Relaxed);
    }

    fn tally(&self) -> Tally {
        Tally {
            namespace: self.namespace.clone(),
            goal: self.name.clone(),
            published: self.published.get(),
            claimed: self.claimed.get(),
            fulfilled: self.fulfilled.get(),
            failed: self.reported.get() + self.lapsed.get(),
            dead: self.buried.iter().map(IntCounter::get).sum(),
            waited: buckets(&self.waited),
            worked: buckets(&self.worked),
            took: buckets(&self.took),
        }
    }
}

/// Counts by bucket, each for itself; the last one for what is above all bounds.
fn buckets(histogram: &Histogram) -> Vec<u64> {
    let metric = histogram.metric();
    let read = metric.get_histogram();
    let up_to: Vec<u64> = read.get_bucket().iter().map(Bucket::cumulative_count).collect();
    let ends = up_to.iter().copied().chain([read.get_sample_count()]);
    let begins = [0].into_iter().chain(up_to.iter().copied());
    ends.zip(begins).map(|(end, begin)| end.saturating_sub(begin)).collect()
}

impl Tally {
    /// What was done since an earlier tally of the same goal, which was not forgotten in between. None: nothing.
    fn since(&self, before: Option<&Self>) -> Option<Self> {
        let Some(before) = before else { return (*self != self.nothing()).then(|| self.clone()) };
        let less =
            |now: &[u64], then: &[u64]| now.iter().zip(then).map(|(now, then)| now.saturating_sub(*then)).collect();
        let done = Self {
            published: self.published.saturating_sub(before.published),
            claimed: self.claimed.saturating_sub(before.claimed),
            fulfilled: self.fulfilled.saturating_sub(before.fulfilled),
            failed: self.failed.saturating_sub(before.failed),
            dead: self.dead.saturating_sub(before.dead),
            waited: less(&self.waited, &before.waited),
            worked: less(&self.worked, &before.worked),
            took: less(&self.took, &before.took),
            ..self.clone()
        };
        (done != self.nothing()).then_some(done)
    }

    fn nothing(&self) -> Self {
        let none = vec![0; FLOW_BUCKETS.len() + 1];
        Self {
            namespace: self.namespace.clone(),
            goal: self.goal.clone(),
            waited: none.clone(),
            worked: none.clone(),
            took: none,
            ..Self::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_between_two_moments_is_the_difference() {
        let flow = Flow::new().unwrap();
        flow.published("default", "mail");
        let first = flow.tallies();
        let mail = |tallies: &[Tally]| tallies.iter().find(|tally| tally.goal == "mail").cloned().unwrap();
        flow.claimed("default", "mail", Duration::from_millis(4), true);
        flow.buried("default", "mail", Burial::Failed);
        let done = mail(&flow.tallies()).since(Some(&mail(&first))).unwrap();
        assert_eq!((done.published, done.claimed, done.failed, done.dead), (0, 1, 2, 1));
        assert_eq!((done.waited[2], done.waited.iter().sum::<u64>()), (1, 1));
        assert_eq!(mail(&first).since(Some(&mail(&first))), None);
        assert_eq!(mail(&first).since(None).unwrap().published, 1);
    }

    #[test]
    fn latencies_above_all_bounds_are_in_the_last_bucket() {
        let flow = Flow::new().unwrap();
        flow.fulfilled("default", "slow", Some(301.0), 0.0);
        let tallies = flow.tallies();
        let slow = tallies.iter().find(|tally| tally.goal == "slow").unwrap();
        assert_eq!((slow.worked[16], slow.worked.len(), slow.took[0]), (1, 17, 1));
    }

    /// Every place is taken by a goal of which so many were published.
    fn full(each: usize) -> Arc<Flow> {
        let flow = Flow::new().unwrap();
        for number in (0..GOALS).flat_map(|number| std::iter::repeat_n(number, each)) {
            flow.published("default", &format!("goal-{number}"));
        }
        flow
    }

    fn publish(flow: &Flow, goal: &str, count: usize) {
        (0..count).for_each(|_| flow.published("default", goal));
    }

    fn has_place(flow: &Flow, goal: &str) -> bool {
        flow.tallies().iter().any(|tally| tally.goal == goal)
    }

    #[test]
    fn the_busiest_have_the_places_whoever_was_first() {
        let flow = full(3);
        publish(&flow, "goal-7", 100);
        publish(&flow, "latecomer", 50);
        publish(&flow, "quiet", 1);
        flow.settle();
        assert!(has_place(&flow, "latecomer") && has_place(&flow, "goal-7") && !has_place(&flow, "quiet"));
        publish(&flow, "latecomer", 5);
        let tally = flow.tallies().into_iter().find(|tally| tally.goal == "latecomer").unwrap();
        assert_eq!(tally.published, 5);
        flow.settle();
        assert_eq!(flow.tallies().len(), GOALS + 1);
    }

    #[test]
    fn a_place_is_not_lost_to_one_as_busy_nor_by_a_moment_of_rest() {
        let flow = full(20);
        publish(&flow, "as-busy", 40);
        flow.settle();
        assert!(!has_place(&flow, "as-busy"));
        publish(&flow, "as-busy", 34);
        flow.settle();
        assert!(!has_place(&flow, "as-busy"), "what was done before the last look counts no more");
        for _ in 0..10 {
            publish(&flow, "as-busy", 20);
            flow.settle();
        }
        assert!(has_place(&flow, "as-busy"), "places are kept by who does nothing any more");
    }

    #[test]
    fn whoever_loses_a_place_is_told_to_the_end_and_comes_back_anew() {
        let flow = full(1);
        let told = flow.tallies();
        publish(&flow, "latecomer", 50);
        flow.settle();
        let lost = |told: &[Tally]| {
            let gone = |tally: &&Tally| !flow.places.read().unwrap().goals.values().any(|goal| goal.name == tally.goal);
            told.iter().filter(|tally| !tally.goal.is_empty()).find(gone).cloned()
        };
        let lost = lost(&told).unwrap();
        assert!(has_place(&flow, &lost.goal), "what it did since it was told is in the next tallies");
        // As other, since what it did before has not been told to its end.
        publish(&flow, &lost.goal, 500);
        flow.settle();
        assert!(!has_place(&flow, &lost.goal));
        publish(&flow, &lost.goal, 500);
        flow.settle();
        let back = flow.tallies().into_iter().find(|tally| tally.goal == lost.goal).unwrap();
        assert_eq!(back, back.nothing());
        assert_eq!(flow.others.published.get(), 50 + 500 + 500);
    }

    #[test]
    fn whoever_has_a_place_gets_no_second_one_for_what_was_seen_of_it_late() {
        let flow = full(3);
        let all = || {
            let mut pairs: Vec<String> = flow.tallies().into_iter().map(|tally| tally.goal).collect();
            pairs.sort();
            pairs
        };
        let before = all();
        (0..10).for_each(|_| flow.crowd.saw("default\0goal-7"));
        flow.settle();
        assert!(flow.places.read().unwrap().leaving.is_empty(), "nobody has lost a place to it");
        assert_eq!(all(), before);
    }

    #[test]
    fn whoever_loses_its_place_does_not_get_it_back_while_it_is_told() {
        let flow = full(20);
        for (_, goal) in flow.places.read().unwrap().goals.iter().filter(|(pair, _)| pair.ends_with("\0goal-7")) {
            goal.lately.store(1, Ordering::Relaxed);
        }
        publish(&flow, "latecomer", 100);
        (0..50).for_each(|_| flow.crowd.saw("default\0goal-7"));
        flow.settle();
        let twice = |tally: &Tally| flow.tallies().iter().filter(|other| other.goal == tally.goal).count() > 1;
        assert!(!flow.tallies().iter().any(twice), "a sign of life with a pair in it twice cannot be written");
        assert!(flow.places.read().unwrap().leaving.contains_key("default\0goal-7"));
    }

    #[test]
    fn whoever_is_forgotten_and_comes_back_at_once_is_told_all_that_it_does() {
        let mut flow = Flow::make().unwrap();
        let mut told = Told::default();
        let tell = |flow: &Flow, told: &mut Told| {
            let tallies = flow.tallies();
            let published: u64 = told.since(&tallies).iter().map(|tally| tally.published).sum();
            told.keep(tallies);
            told.forget(&flow.settle());
            published
        };
        publish(&flow, "mail", 3);
        assert_eq!(tell(&flow, &mut told), 3);
        flow.began -= IDLE;
        assert_eq!(tell(&flow, &mut told), 0);
        assert!(!has_place(&flow, "mail"));
        publish(&flow, "mail", 5);
        assert_eq!(tell(&flow, &mut told), 5);
    }

    #[test]
    fn goals_beyond_the_bound_are_added_up_and_none_is_lost() {
        let flow = Flow::new().unwrap();
        for number in 0..GOALS + 10 {
            flow.published("default", &format!("goal-{number}"));
        }
        let tallies = flow.tallies();
        assert_eq!(tallies.len(), GOALS + 1);
        assert_eq!(tallies.iter().map(|tally| tally.published).sum::<u64>(), GOALS as u64 + 10);
        assert_eq!(tallies.iter().find(|tally| tally.goal.is_empty()).unwrap().published, 10);
    }
}
