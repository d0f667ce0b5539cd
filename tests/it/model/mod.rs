//! Random walks through the life of intents: publish, claim, finish with right, old and wrong tokens, operators, maintenance,
//! time. Every answer and every state is compared with a model that fits on a page (`rules`).
//!
//! `recorded` goes the other way: it lets workers loose, and holds what has happened against the machine afterwards.
//!
//! `MODEL_SEED` starts elsewhere, `MODEL_WALKS` walks more often. A walk that fails prints its seed and its steps.

mod recorded;
mod rules;
mod walk;

use std::collections::BTreeMap;

use walk::Walk;

use crate::support::TestApp;

/// Walks of one test.
const WALKS: u64 = 100;
/// Steps of one walk.
const STEPS: usize = 30;
/// What the walks of a test have to come by.
const KINDS: &[&str] = &[
    "publish",
    "publish beyond the cap",
    "claim",
    "claim again",
    "fulfil",
    "fulfil late",
    "fail",
    "fail for good",
    "extend",
    "cancel",
    "retry",
    "retry the unburied",
    "bury",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn walks(first_seed: u64) {
    let cap = rules::MAX_OPEN.to_string();
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", &cap)]).await;
    let (seed, walks) = (number("MODEL_SEED", first_seed), number("MODEL_WALKS", WALKS));
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in seed..seed + walks {
        let mut walk = Walk::begin(&app, seed).await;
        for _ in 0..STEPS {
            walk.step().await;
        }
        for (kind, count) in walk.end().await {
            *done.entry(kind).or_default() += count;
        }
    }
    for kind in KINDS {
        let count = done.get(kind).copied().unwrap_or(0);
        assert!(count > 2 || walks < WALKS, "the walks do not reach {kind:?}: {done:?}");
    }
    eprintln!("{done:?}");
}

#[tokio::test]
async fn the_bus_does_what_the_model_says() {
    walks(1_000).await;
}

#[tokio::test]
async fn the_bus_does_what_the_model_says_again() {
    walks(2_000).await;
}
