//! What an intent is and what may happen to it. Pure: no HTTP, no SQL, no clock.

pub mod hash;
pub mod ids;
pub mod intent;
pub mod keys;
pub mod lanes;
pub mod names;
pub mod retry;
pub mod scopes;
pub mod trace;
pub mod why;
