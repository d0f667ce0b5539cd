//! Vacuums the unfinished intents every few seconds while there is load, so that their table stays small enough for memory.

use std::time::Duration;

use crate::store::{Store, vacuum::Vacuumed};

/// Time between two passes.
const EVERY: Duration = Duration::from_secs(2);
/// Longest time between two. Autovacuum, which comes once a minute by default, finds out before that that it is not in vain any more.
const LONGEST: Duration = Duration::from_secs(600);
/// Dead rows that are worth a pass: 10 MB or so.
const WORTH: u64 = 20_000;

/// Runs pass after pass for as long as the process runs.
pub async fn run(store: &Store) {
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        pause = next(pause, pass(store).await);
    }
}

async fn pass(store: &Store) -> Option<Vacuumed> {
    match store.vacuum(WORTH).await {
        Ok(vacuumed) => vacuumed,
        Err(error) => {
            tracing::debug!(?error, "a vacuum failed; autovacuum goes on by itself");
            Some(Vacuumed { dead: WORTH, left: WORTH })
        }
    }
}

/// Each pass in vain makes the pause longer: somebody still sees the dead rows, or this role may not vacuum.
fn next(pause: Duration, done: Option<Vacuumed>) -> Duration {
    match done {
        Some(Vacuumed { dead, left }) if left > dead / 2 => LONGEST.min(4 * pause),
        Some(_) => EVERY,
        None => pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_in_vain_come_less_often_until_one_is_not() {
        let in_vain = Some(Vacuumed { dead: 100_000, left: 99_000 });
        let mut pause = EVERY;
        for seconds in [8, 32, 128, 512, 600, 600] {
            pause = next(pause, in_vain);
            assert_eq!(pause, Duration::from_secs(seconds));
        }
        assert_eq!(next(pause, None), pause);
        assert_eq!(next(pause, Some(Vacuumed { dead: 100_000, left: 10_000 })), EVERY);
    }
}
