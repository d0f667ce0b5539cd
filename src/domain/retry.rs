//! What happens to an intent whose attempt has failed.

use intent_bus_protocol::generation::Generation;

/// Another attempt, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Open again, after its backoff.
    Requeue,
    /// Dead.
    Bury,
}

/// Decides after a reported failure. A request of protocol 1.1 ends an intent at once unless its publisher asked for retries.
#[must_use]
pub fn after_failure(
    generation: Generation,
    has_retry_policy: bool,
    claim_attempts: i16,
    max_attempts: i16,
) -> AfterFailure {
    let given_up = generation.fail_is_terminal_without_policy() && !has_retry_policy;
    if given_up || claim_attempts >= max_attempts { AfterFailure::Bury } else { AfterFailure::Requeue }
}

/// Seconds between a failure or the end of a lease and the next claim, without the jitter of up to 2 s. The statements that
/// requeue compute the same by the database's clock; a test holds them against this.
#[must_use]
pub fn backoff_seconds(backoff_base: f64, claim_attempts: i16) -> f64 {
    backoff_base * 2.0_f64.powi(i32::from(claim_attempts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_1_1_gives_up_at_once_unless_the_publisher_asked_for_retries() {
        assert_eq!(after_failure(Generation::V1, false, 1, 3), AfterFailure::Bury);
        assert_eq!(after_failure(Generation::V1, true, 1, 3), AfterFailure::Requeue);
        assert_eq!(after_failure(Generation::V2, false, 1, 3), AfterFailure::Requeue);
        assert_eq!(after_failure(Generation::V2, true, 3, 3), AfterFailure::Bury);
    }

    #[test]
    fn the_backoff_doubles_with_each_attempt() {
        let seconds: Vec<f64> = (1..=3).map(|attempt| backoff_seconds(5.0, attempt)).collect();
        assert!(
            (seconds[0] - 10.0).abs() < 1e-9 && (seconds[1] - 20.0).abs() < 1e-9 && (seconds[2] - 40.0).abs() < 1e-9
        );
    }
}
