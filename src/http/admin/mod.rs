//! What operators see and do. Nothing here shows a key (but the one that is just made) or a claim token.

pub mod audit;
pub mod dead;
mod fields;
pub mod intents;
pub mod keys;
pub mod overview;
pub mod pauses;
pub mod redrive;
pub mod search;
pub mod tenants;
pub mod upkeep;
pub mod workers;
