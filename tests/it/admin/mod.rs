//! What operators do.

mod audit;
mod dead;
mod inspect;
mod intents;
mod keys;
mod overview;
mod reach;
mod redrive;
mod search;
mod upkeep;
