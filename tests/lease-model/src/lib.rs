//! The rules of leases, small enough to be looked at from every side.
//!
//! - [`machine`]: the life of one intent, in plain values. No HTTP, no SQL, no clock.
//! - [`trace`]: whether what happened to an intent of a real bus is a life that this machine allows.
//! - `tests/it`: models for a checker that walks every order in which messages, replicas and clocks can do what they do: `leases`
//!   (claims and finishes), `nonces` (signed requests), `publishes` (lost answers). Each also in variants that lack one rule,
//!   which the checker has to find out.
//!
//! The random walks of the bus's own tests (`tests/it/model` there) stand on the same machine.

pub mod machine;
pub mod trace;
