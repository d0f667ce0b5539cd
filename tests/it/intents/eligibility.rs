//! Who may claim what: every mix of what an intent asks for and what a worker offers, against a plain predicate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, TestApp, factory::intent_with};

/// Where an unfinished intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Due,
    /// Claimed once; the lease and the backoff after it are over.
    DueAgain,
    NotDue,
    Expired,
    Held,
    /// The lease of its last attempt is over.
    UsedUp,
}

const STANDINGS: [Standing; 6] =
    [Standing::Due, Standing::DueAgain, Standing::NotDue, Standing::Expired, Standing::Held, Standing::UsedUp];

#[derive(Debug, Clone, Copy)]
struct Intent {
    own: bool,
    public: bool,
    target: Option<&'static str>,
    capability: Option<&'static str>,
    goal: &'static str,
    namespace: &'static str,
    standing: Standing,
}

#[derive(Debug, Clone, Copy)]
struct Worker {
    own_only: bool,
    goal: Option<&'static str>,
    namespace: Option<&'static str>,
    name: Option<&'static str>,
    capabilities: Option<&'static str>,
}

/// The rule of the protocol, as one would say it.
fn may_claim(worker: &Worker, intent: &Intent) -> bool {
    let reachable = intent.own || (intent.public && !worker.own_only);
    let capable = |wanted: &str| worker.capabilities.is_some_and(|list| list.split(',').any(|one| one == wanted));
    reachable
        && worker.goal.is_none_or(|goal| goal == intent.goal)
        && worker.namespace.unwrap_or("default") == intent.namespace
        && intent.target.is_none_or(|target| worker.name == Some(target))
        && intent.capability.is_none_or(capable)
        && matches!(intent.standing, Standing::Due | Standing::DueAgain)
}

fn every_intent() -> Vec<Intent> {
    let mut all = Vec::new();
    for (own, public) in [(true, true), (true, false), (false, true), (false, false)] {
        for target in [None, Some("pi"), Some("PI")] {
            for capability in [None, Some("gpu"), Some("GPU")] {
                for goal in ["resize", "Resize"] {
                    for namespace in ["default", "Default"] {
                        for standing in STANDINGS {
                            all.push(Intent { own, public, target, capability, goal, namespace, standing });
                        }
                    }
                }
            }
        }
    }
    all
}

fn every_worker() -> Vec<Worker> {
    let mut all = Vec::new();
    for own_only in [false, true] {
        for goal in [None, Some("resize")] {
            for (name, capabilities) in
                [(None, None), (Some("pi"), None), (None, Some("gpu")), (Some("pi"), Some("ocr,gpu"))]
            {
                all.push(Worker { own_only, goal, namespace: None, name, capabilities });
            }
        }
    }
    all.push(Worker {
        own_only: false,
        goal: Some("Resize"),
        namespace: Some("Default"),
        name: Some("PI"),
        capabilities: Some("GPU"),
    });
    all
}

async fn publish_all(own: &Client, other: &Client) -> BTreeMap<String, Intent> {
    let mut published = BTreeMap::new();
    for intent in every_intent() {
        let fields = json!({
            "visibility": if intent.public { "public" } else { "private" }, "namespace": intent.namespace,
            "target_worker": intent.target.map_or(Value::Null, Value::from),
            "required_capability": intent.capability.map_or(Value::Null, Value::from),
        });
        let owner = if intent.own { own } else { other };
        published.insert(owner.published(intent_with(intent.goal, fields)).await, intent);
    }
    published
}

async fn bring_into_standing(app: &TestApp, published: &BTreeMap<String, Intent>) {
    const HELD: &str = "state = 'claimed', claim_hash = id, claimed_by = 0, claim_attempts = 1";
    for standing in STANDINGS {
        let change = match standing {
            Standing::Due => continue,
            Standing::DueAgain => format!(
                "{HELD}, lease_until = clock_timestamp() - interval '2 minutes', visible_at = clock_timestamp() - interval '1 minute'"
            ),
            Standing::NotDue => {
                "run_at = run_at + interval '1 hour', visible_at = visible_at + interval '1 hour'".to_owned()
            }
            Standing::Expired => {
                "run_at = run_at - interval '25 hours', visible_at = visible_at - interval '25 hours'".to_owned()
            }
            Standing::Held => format!(
                "{HELD}, lease_until = clock_timestamp() + interval '1 hour', visible_at = clock_timestamp() + interval '2 hours'"
            ),
            Standing::UsedUp => format!(
                "{HELD}, lease_until = clock_timestamp() - interval '1 minute', visible_at = 'infinity', max_attempts = 1"
            ),
        };
        let standing_so = published.iter().filter(|(_, intent)| intent.standing == standing);
        let ids: Vec<Uuid> = standing_so.map(|(id, _)| Uuid::try_parse(id).unwrap()).collect();
        let changed = app.db.execute(&format!("UPDATE intents SET {change} WHERE id = ANY ($1)"), &[&ids]).await;
        assert_eq!(changed, ids.len() as u64);
    }
    app.db.batch("CREATE TABLE before_claims AS SELECT * FROM intents").await;
}

async fn claim_all(client: &Client, worker: &Worker) -> BTreeSet<String> {
    let mut query: Vec<String> = Vec::new();
    let pairs = [
        ("goal", worker.goal),
        ("namespace", worker.namespace),
        ("worker_id", worker.name),
        ("capabilities", worker.capabilities),
    ];
    for (name, value) in pairs {
        query.extend(value.map(|value| format!("{name}={value}")));
    }
    if worker.own_only {
        query.push(format!("publisher={}", client.api_key()));
    }
    let target = format!("/claim?{}", query.join("&"));
    let mut claimed = BTreeSet::new();
    loop {
        let answer = client.post(&target, "").await;
        if answer.status == 204 {
            return claimed;
        }
        assert!(claimed.insert(answer.claim().id), "claimed twice");
    }
}

#[tokio::test]
async fn a_worker_may_claim_exactly_what_the_rule_says() {
    let app = TestApp::spawn().await;
    let (own, other) = (app.tenant("own").await, app.tenant("other").await);
    let published = publish_all(&own, &other).await;
    bring_into_standing(&app, &published).await;
    for worker in every_worker() {
        let claimed = claim_all(&own, &worker).await;
        let expected: BTreeSet<String> =
            published.iter().filter(|(_, intent)| may_claim(&worker, intent)).map(|(id, _)| id.clone()).collect();
        assert!(!expected.is_empty(), "{worker:?} proves nothing");
        let wrong: Vec<_> = claimed.symmetric_difference(&expected).map(|id| (id, &published[id])).collect();
        assert!(wrong.is_empty(), "{worker:?}: {wrong:#?}");
        app.db.batch("TRUNCATE intents; INSERT INTO intents SELECT * FROM before_claims").await;
    }
}

#[tokio::test]
async fn two_tenants_whose_lanes_have_one_hash_do_not_meet() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let theirs = alice.published(intent_with("greet", json!({}))).await;
    let own = bob.published(intent_with("greet", json!({}))).await;
    let lanes = "SELECT own_goal_lane FROM intents WHERE id = $1::text::uuid";
    let lane_of_bob: i64 = app.db.value(lanes, &[&own]).await;
    app.db.execute("UPDATE intents SET own_goal_lane = $1", &[&lane_of_bob]).await;
    assert_eq!(bob.claimed("greet").await.id, own);
    bob.claim("greet").await.empty();
    alice.status(&theirs).await.expect(200);
}
