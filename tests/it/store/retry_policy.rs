//! The backoff is computed in SQL, by the database's clock, and in `domain::retry`, which the documentation follows. Both
//! must say the same but for the jitter of up to two seconds.

use intent_bus::domain::retry::backoff_seconds;
use serde_json::json;

use crate::support::{TestApp, factory::intent_with};

/// Attempts used before the claim, and bases of the backoff.
const ATTEMPTS: [i16; 5] = [0, 1, 2, 9, 18];
const BASES: [f64; 4] = [1.0, 1.5, 5.0, 3600.0];

/// Seconds between a lease's end and the next claim, and between a failure and the next claim.
async fn backoffs(app: &TestApp, attempts_used: i16, base: f64) -> [f64; 2] {
    let root = app.root();
    let id = root.published(intent_with("greet", json!({"max_attempts": 20, "backoff_base": base}))).await;
    app.db.execute("UPDATE intents SET claim_attempts = $1", &[&attempts_used]).await;
    let claim = root.claimed("greet").await;
    let after_lease: f64 =
        app.db.value("SELECT extract(epoch FROM visible_at - lease_until)::float8 FROM intents", &[]).await;
    let before: f64 = app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await;
    root.fail(&claim, "no").await.expect(200);
    let (visible_at, run_at): (f64, f64) = {
        let rows = app
            .db
            .rows("SELECT extract(epoch FROM visible_at)::float8, extract(epoch FROM run_at)::float8 FROM intents", &[])
            .await;
        (rows[0].get(0), rows[0].get(1))
    };
    assert!((visible_at - run_at).abs() < 1e-6);
    app.admin().cancel(&id).await.expect(200);
    [after_lease, visible_at - before]
}

#[tokio::test]
async fn sql_backs_off_as_the_domain_says() {
    let app = TestApp::spawn().await;
    let mut jitters = Vec::new();
    for attempts_used in ATTEMPTS {
        for base in BASES {
            for (which, seconds) in backoffs(&app, attempts_used, base).await.into_iter().enumerate() {
                let jitter = seconds - backoff_seconds(base, attempts_used + 1);
                // The failure took place a little after the clock was read.
                let slack = if which == 1 { 1.0 } else { 0.001 };
                assert!((-0.001..2.0 + slack).contains(&jitter), "{which}, {attempts_used}, {base}: {seconds}");
                jitters.push(jitter);
            }
        }
    }
    let (least, most) =
        jitters.iter().fold((f64::MAX, f64::MIN), |(least, most), jitter| (least.min(*jitter), most.max(*jitter)));
    assert!(most - least > 0.5, "the jitter does not spread: {least} to {most}");
}
