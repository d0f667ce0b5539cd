//! What operators do.

mod dashboard;
mod dead;
mod intents;
mod keys;
mod upkeep;
