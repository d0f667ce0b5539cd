//! What operators do. Nothing here shows a key (but the one that is just made) or a claim token.

pub mod dashboard;
pub mod dead;
pub mod intents;
pub mod keys;
pub mod upkeep;
