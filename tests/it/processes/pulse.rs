//! Signs of life over a network that loses them, and to a database that refuses them: each count is told once.

use intent_bus::{domain::lanes::Reach, maintenance::pulse::Pulse, store::Store};

use super::proxy::{Loss, Proxy};
use crate::support::{TestDb, postgres::store_on};

/// Part of the statement that writes a sign of life.
const BEAT: &str = "INTO replicas";

fn publish(store: &Store, goal: &str, count: u64) {
    (0..count).for_each(|_| store.flow.published("default", goal));
}

/// A worker got so many intents.
fn claim(store: &Store, count: usize) {
    let reach = Reach {
        publisher: Some(1),
        public: true,
        namespace: "default".to_owned(),
        goal: Some("mail".to_owned()),
        worker: Some("pi".to_owned()),
        capabilities: Vec::new(),
    };
    store.workers.asked(0, &reach, count);
}

/// Publications and claims, as the dashboard adds them up.
async fn told(db: &TestDb) -> (i64, i64) {
    let published = "SELECT coalesce(sum(published), 0)::bigint FROM activity";
    let claims = "SELECT coalesce(sum(claims), 0)::bigint FROM workers";
    (db.value(published, &[]).await, db.value(claims, &[]).await)
}

#[tokio::test]
async fn a_sign_of_life_whose_answer_is_lost_is_told_once_and_so_is_what_came_since() {
    let db = TestDb::create().await;
    let proxy = Proxy::start_for(&db.url, BEAT).await;
    let store = store_on(&proxy.url);
    let mut pulse = Pulse::default();
    pulse.beat(&store).await.expect("nothing is lost yet");
    for (round, loss) in (1..).zip(Loss::ALL) {
        publish(&store, "mail", 2);
        claim(&store, 3);
        proxy.lose(&[loss]);
        pulse.beat(&store).await.expect_err("it is lost");
        assert_eq!(proxy.still_to_lose(), 0);
        publish(&store, "mail", 5);
        claim(&store, 1);
        pulse.beat(&store).await.expect("what was lost is told again");
        pulse.beat(&store).await.expect("what came since is told");
        assert_eq!(told(&db).await, (7 * round, 4 * round), "{loss:?}");
    }
}

#[tokio::test]
async fn what_the_database_refuses_is_not_told_as_it_is_for_ever() {
    let db = TestDb::create().await;
    let store = db.store();
    let mut pulse = Pulse::default();
    db.batch("ALTER TABLE activity ADD CONSTRAINT refused CHECK (published <> 13)").await;
    publish(&store, "mail", 13);
    claim(&store, 2);
    pulse.beat(&store).await.expect_err("the database refuses it");
    publish(&store, "mail", 1);
    claim(&store, 1);
    pulse.beat(&store).await.expect("it is another one now");
    assert_eq!(told(&db).await, (14, 3));
}

#[tokio::test]
async fn no_place_changes_hands_by_counts_as_old_as_an_outage() {
    let db = TestDb::create().await;
    let proxy = Proxy::start_for(&db.url, BEAT).await;
    let store = store_on(&proxy.url);
    let mut pulse = Pulse::default();
    (0..50).for_each(|number| publish(&store, &format!("goal-{number}"), 1));
    publish(&store, "latecomer", 50);
    let has_place = || store.flow.tallies().iter().any(|tally| tally.goal == "latecomer");
    proxy.lose(&[Loss::AnswerOnceCommitted]);
    pulse.beat(&store).await.expect_err("it is lost");
    pulse.beat(&store).await.expect("it is told again");
    assert!(!has_place());
    pulse.beat(&store).await.expect("all is told as it is now");
    assert!(has_place());
}
