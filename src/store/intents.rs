//! The intents: published, claimed, finished, looked at, ended by operators and by maintenance.

pub mod claim;
pub mod finish;
pub mod fulfill;
mod late;
mod look;
pub mod operate;
pub mod publish;
pub mod upkeep;
mod waiting;
mod work;
