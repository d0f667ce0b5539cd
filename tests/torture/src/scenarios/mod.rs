//! The experiments, by what they break.

mod copies;
mod crowds;
mod database;
mod network;
mod processes;
mod races;

use crate::experiment::Scenario;

/// All of them.
#[must_use]
pub fn all() -> Vec<&'static Scenario> {
    [processes::ALL, database::ALL, network::ALL, races::ALL, crowds::ALL, copies::ALL].into_iter().flatten().collect()
}

/// The one of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}
