//! Under load a replica vacuums the unfinished intents by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn what_jobs_leave_dead_is_vacuumed_within_seconds() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Each leaves two dead rows. Postgres counts them a second late, and one pass needs 20,000.
    while app.db.value::<i64>("SELECT pg_stat_get_vacuum_count('intents'::regclass)", &[]).await == 0 {
        assert!(Instant::now() < deadline, "nobody has vacuumed");
        root.published_many(&vec![intent("greet"); 1000]).await;
        let claims = root.claim_many("greet", 1000).await;
        root.fulfill_many(&claims, json!(1)).await.outcomes();
    }
}
