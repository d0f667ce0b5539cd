//! The numbers that every bus and every client agree on: ranges and defaults of request fields.
//!
//! What an operator may set (lease length, rate limit, payload size) is configuration and lives in the server.

use std::ops::RangeInclusive;

/// The longest goal, in characters, after white space around it is removed. An empty goal is refused.
pub const GOAL_MAX: usize = 256;

/// Which intents are claimed first: the higher number wins.
pub const PRIORITY: RangeInclusive<i32> = 0..=1000;

/// The priority of an intent published without one.
pub const PRIORITY_DEFAULT: i32 = 100;

/// How often an intent may be claimed before it is dead.
pub const MAX_ATTEMPTS: RangeInclusive<i32> = 1..=20;

/// The attempts of an intent published without a number of them.
pub const MAX_ATTEMPTS_DEFAULT: i32 = 3;

/// The base of the wait before a retry, in seconds; a fraction is allowed (SDK 2.x sends `5.0`).
pub const BACKOFF: RangeInclusive<f64> = 1.0..=3600.0;

/// The backoff of an intent published without one, in seconds.
pub const BACKOFF_DEFAULT: f64 = 5.0;

/// By how much a lease may be extended at once, in seconds.
pub const EXTEND: RangeInclusive<i32> = 10..=3600;

/// How long a stored value lives, in seconds.
pub const TTL: RangeInclusive<i32> = 1..=86_400;

/// The life of a value stored without one, in seconds.
pub const TTL_DEFAULT: i32 = 600;

/// How much of a worker's error text is kept, in characters. The rest is cut off, not refused.
pub const ERROR_MAX: usize = 500;

/// How far a signed request's timestamp may be from the bus's clock, in seconds, to either side.
pub const SIGNATURE_WINDOW: i64 = 300;

/// How deeply a payload or a result may nest: [`crate::json::depth`] of it. `[]` is 1.
pub const MAX_DEPTH: usize = 10;

/// How many intents one request publishes, claims or finishes at most.
pub const BATCH: RangeInclusive<i32> = 1..=1000;

/// How long a claim may wait for an intent, in seconds.
pub const WAIT: RangeInclusive<i32> = 0..=60;

/// The namespace of a request that names none.
pub const NAMESPACE_DEFAULT: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_range() {
        assert!(PRIORITY.contains(&PRIORITY_DEFAULT));
        assert!(MAX_ATTEMPTS.contains(&MAX_ATTEMPTS_DEFAULT));
        assert!(BACKOFF.contains(&BACKOFF_DEFAULT));
        assert!(TTL.contains(&TTL_DEFAULT));
        assert!(crate::names::is_namespace(NAMESPACE_DEFAULT));
    }
}
