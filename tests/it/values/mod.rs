//! The ephemeral key-value store.

mod get;
mod set;
