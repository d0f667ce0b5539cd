//! A model that the checker has walked through, and what has to come of it.

use std::{
    fmt::Debug,
    hash::Hash,
    time::{Duration, Instant},
};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

/// The longest that one walk may take: there is room on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Walks through all there is: no rule is broken, and what should be possible is.
#[track_caller]
pub(crate) fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let checker = model.checker().timeout(PATIENCE).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, took) = (checker.unique_state_count(), began.elapsed());
    eprintln!("{name}: {states} states, {} steps deep, in {took:.1?}", checker.max_depth());
    assert!(checker.is_done() && took < PATIENCE, "{name}: not all was walked through");
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match property.expectation {
            Expectation::Sometimes => assert!(found.is_some(), "{name}: never comes to pass: {}", property.name),
            _ => {
                assert!(
                    found.is_none(),
                    "{name}: broken: {}: {}",
                    property.name,
                    found.map_or_else(String::new, steps)
                );
            }
        }
    }
}

/// The checker finds a way to break this rule, in at most so many steps.
#[track_caller]
pub(crate) fn breaks<M>(name: &str, model: M, rule: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let began = Instant::now();
    assert!(model.properties().iter().any(|property| property.name == rule), "{name}: no such rule: {rule}");
    let wanted = HasDiscoveries::AllOf([rule].into());
    let checker = model.checker().timeout(PATIENCE).finish_when(wanted).spawn_bfs().join();
    let found = checker.discovery(rule).unwrap_or_else(|| panic!("{name}: the checker finds no way to break: {rule}"));
    eprintln!("{name}: found in {:.1?}: {}", began.elapsed(), steps(found));
}

/// One line of what was done.
fn steps<S, A: Debug>(path: Path<S, A>) -> String {
    path.into_actions().iter().map(|action| format!("{action:?}")).collect::<Vec<_>>().join(", ")
}
