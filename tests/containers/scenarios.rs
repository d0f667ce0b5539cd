//! What is done to a cluster under load, and what has to hold: nothing acknowledged is lost, nothing runs twice without a lease
//! that had ended, nothing ends twice.

use std::time::Duration;

use crate::{
    books::Load,
    cluster::Cluster,
    docker::{alone, say},
};

/// Longer than a lease, and than a replica takes to notice.
const A_WHILE: Duration = Duration::from_secs(8);
/// Intents after which there is load.
const SOME: usize = 200;

#[tokio::test]
async fn a_replica_that_is_killed_takes_nothing_with_it() {
    let _alone = alone().await;
    let Some(cluster) = Cluster::start("killed").await else { return };
    let load = Load::start(&cluster.url);
    load.flows(SOME).await;
    cluster.replicas[0].stop_with_timeout(Some(0)).await.expect("it is killed");
    load.flows(SOME).await;
    cluster.replicas[0].start().await.expect("it starts again");
    load.flows(SOME).await;
    load.settle().await.is_safe("a replica killed");
}

#[tokio::test]
async fn a_replica_that_is_cut_off_from_the_database_loses_nothing() {
    let _alone = alone().await;
    let Some(cluster) = Cluster::start("cut-off").await else { return };
    let load = Load::start(&cluster.url);
    load.flows(SOME).await;
    cluster.cut_off(1);
    tokio::time::sleep(A_WHILE).await;
    cluster.connect(1);
    load.flows(SOME).await;
    load.settle().await.is_safe("a replica cut off from Postgres");
}

#[tokio::test]
async fn a_replica_that_stands_still_and_wakes_up_does_no_harm() {
    let _alone = alone().await;
    let Some(cluster) = Cluster::start("paused").await else { return };
    let load = Load::start(&cluster.url);
    load.flows(SOME).await;
    cluster.replicas[2].pause().await.expect("it stands still");
    tokio::time::sleep(A_WHILE).await;
    cluster.replicas[2].unpause().await.expect("it wakes up");
    load.flows(SOME).await;
    load.settle().await.is_safe("a replica paused");
}

#[tokio::test]
async fn a_postgres_that_is_restarted_loses_nothing_that_was_acknowledged() {
    let _alone = alone().await;
    let Some(cluster) = Cluster::start("restarted").await else { return };
    let load = Load::start(&cluster.url);
    load.flows(SOME).await;
    cluster.postgres.stop_with_timeout(Some(20)).await.expect("it stops");
    cluster.postgres.start().await.expect("it starts again");
    load.flows(SOME).await;
    load.settle().await.is_safe("Postgres restarted");
}

#[tokio::test]
async fn a_rolling_upgrade_fails_no_request() {
    let _alone = alone().await;
    let Some(mut cluster) = Cluster::start("upgraded").await else { return };
    let name = format!("intent-bus-upgraded-{}", std::process::id());
    let before = cluster.sql("SELECT max(number) FROM schema_migrations");
    let load = Load::start(&cluster.url);
    load.flows(SOME).await;
    for number in 0..cluster.replicas.len() {
        cluster.upgrade(number, &name).await;
        load.flows(SOME).await;
    }
    let after = cluster.sql("SELECT max(number) FROM schema_migrations");
    if before == after {
        say("SKIPPED: no migration in the rolling upgrade: TEST_PREVIOUS_IMAGE names none that has an older schema.");
    }
    let outcome = load.settle().await;
    outcome.is_safe(&format!("a rolling upgrade, from migration {before} to {after}"));
    assert_eq!(outcome.failures(), 0, "{outcome:?}");
}
