//! What an operator should look at, from the overview: what is stuck and why, worst first.

use super::words::{count, many, span};
use crate::store::{
    bus::GoalDepth,
    operators::{
        overview::{Overview, STEP},
        workers::Worker,
    },
};

/// Seconds after which an intent that nobody has claimed is worth a word.
const LATE: f64 = 60.0;
/// Steps of the flow that count as of late: ten minutes.
const LATELY: usize = 60;
/// Goals that get a line each.
const LINES: usize = 5;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Work is lost or stands still.
    Bad,
    /// Work is late.
    Warn,
    /// Good to know.
    Plain,
}

impl Weight {
    /// The class of the line.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Plain => "plain",
        }
    }

    /// For those who do not see the colour.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bad => "Problem",
            Self::Warn => "Warning",
            Self::Plain => "Note",
        }
    }
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub weight: Weight,
    pub text: String,
    /// Where to look further.
    pub link: String,
}

/// What an operator should look at. Nothing: all is well.
pub(super) fn notices(overview: &Overview) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut say = |weight, text: String, link: String| notices.push(Notice { weight, text, link });

    let late = longest_waiting(overview);
    for goal in late.iter().take(LINES) {
        let (weight, why) = standing(overview, goal);
        let age = span(goal.oldest_age.unwrap_or_default());
        let (name, place) = (&goal.goal, &goal.namespace);
        let text =
            format!("{} of {name} in {place} can be claimed, the oldest for {age}: {why}", count(goal.claimable));
        say(weight, text, search(goal));
    }
    if let Some(more) = late.len().checked_sub(LINES).filter(|more| *more > 0) {
        let goals = many(i64::try_from(more).unwrap_or(i64::MAX), "more goal");
        let text = format!("{goals}: the oldest intent could have been claimed for more than a minute.");
        say(Weight::Warn, text, "/admin/dashboard#h-goals".to_owned());
    }
    let past_lease: i64 = overview.goals.iter().map(|goal| goal.past_lease).sum();
    if past_lease > 0 {
        let text = format!("{} past its lease: the worker has not answered in time.", many(past_lease, "claim"));
        say(Weight::Warn, text, "/admin/dashboard/intents?state=claimed".to_owned());
    }
    let lately = |steps: &[i64]| steps.iter().rev().take(LATELY).sum::<i64>();
    let minutes = i64::try_from(LATELY).unwrap_or_default() * STEP / 60;
    let dead = lately(&overview.flow.dead);
    if dead > 0 {
        let text = format!("{} died in the last {minutes} minutes.", many(dead, "intent"));
        say(Weight::Bad, text, "/admin/dashboard/dead".to_owned());
    }
    let (failed, fulfilled) = (lately(&overview.flow.failed), lately(&overview.flow.fulfilled));
    if failed >= 5 && failed * 10 >= failed + fulfilled {
        let share = failed * 100 / (failed + fulfilled);
        let text = format!("{share} % of the attempts in the last {minutes} minutes have failed.");
        say(Weight::Warn, text, "/admin/dashboard/intents".to_owned());
    }
    for replica in overview.replicas.iter().filter(|replica| !replica.alive).take(LINES) {
        let text = format!("Replica {} was last seen {} ago.", replica.host, span(overview.at - replica.seen_at));
        say(Weight::Warn, text, "/admin/dashboard#replicas".to_owned());
    }
    if !overview.pauses.is_empty() {
        let number = i64::try_from(overview.pauses.len()).unwrap_or(i64::MAX);
        let text = format!("{} in force: nothing of it is handed out.", many(number, "pause"));
        say(Weight::Plain, text, "/admin/dashboard/pauses".to_owned());
    }
    notices.sort_by_key(|notice| notice.weight);
    notices
}

/// Goals with intents that nobody has claimed in time, those that wait longest first.
fn longest_waiting(overview: &Overview) -> Vec<&GoalDepth> {
    let age = |goal: &GoalDepth| goal.oldest_age.unwrap_or_default();
    let mut late: Vec<_> = overview.goals.iter().filter(|goal| age(goal) >= LATE && !goal.goal.is_empty()).collect();
    late.sort_by(|one, other| age(other).total_cmp(&age(one)));
    late
}

/// Why intents of a goal are not claimed in time.
fn standing(overview: &Overview, goal: &GoalDepth) -> (Weight, &'static str) {
    let paused = |of: &Option<String>| of.as_ref().is_none_or(|paused| *paused == goal.goal);
    if overview.pauses.iter().any(|pause| pause.namespace == goal.namespace && paused(&pause.goal)) {
        return (Weight::Warn, "it is paused.");
    }
    let asks = |worker: &Worker| {
        worker.namespace == goal.namespace && worker.goals.as_ref().is_none_or(|goals| goals.contains(&goal.goal))
    };
    let all_are_listed = usize::try_from(overview.workers_seen).is_ok_and(|seen| seen <= overview.workers.len());
    if all_are_listed && !overview.workers.iter().any(asks) {
        return (Weight::Bad, "no worker has asked for it in the last 5 minutes.");
    }
    (Weight::Warn, "its workers do not keep up, or may not take it.")
}

fn search(goal: &GoalDepth) -> String {
    let encode = |text: &str| super::links::encode(text);
    format!(
        "/admin/dashboard/intents?state=claimable&namespace={}&goal={}",
        encode(&goal.namespace),
        encode(&goal.goal)
    )
}
