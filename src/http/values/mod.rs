//! The ephemeral key-value store.

pub mod get;
pub mod set;
