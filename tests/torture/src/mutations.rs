//! The check is worth what it notices. Each mutation takes one rule out of the bus: a proxy between it and Postgres changes the
//! text of its statements on their way, so that the bus itself needs no switch for it. A run without any experiment's chaos has
//! to end with the violations that this must bring about.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    check::Kind,
    cluster::Setup,
    experiment::{Context, Report, Verdict, under_load},
    load::Habits,
    proxy::{Proxy, Rewrite},
};

/// A rule that is taken out.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// As it is asked for.
    pub name: &'static str,
    /// Which rule, in words.
    pub what: &'static str,
    /// How.
    rewrites: &'static [Rewrite],
    /// What the check has to say: any of these.
    expected: &'static [Kind],
    /// Postgres is killed meanwhile.
    crash: bool,
}

/// Slows down what follows on the lock of a failure. It breaks nothing by itself, and shows when the two do not belong together.
const SLOW_FAILURE: Rewrite =
    ("SELECT clock_timestamp() AS now\n), retry AS", "SELECT clock_timestamp() AS now FROM pg_sleep(0.1)\n), retry AS");

/// All of them.
pub const ALL: [Mutation; 10] = [
    Mutation {
        name: "none",
        what: "nothing, but a failure takes 0.1 s longer: the same run has to be safe",
        rewrites: &[SLOW_FAILURE],
        expected: &[],
        crash: false,
    },
    Mutation {
        name: "none-crash",
        what: "nothing, but Postgres is killed: the same run has to be safe",
        rewrites: &[],
        expected: &[],
        crash: true,
    },
    Mutation {
        name: "token-predicate",
        what: "a finish is taken whatever its claim token",
        rewrites: &[
            ("(items.token IS NULL OR intents.claim_hash = items.token)", "true"),
            ("(held.token IS NULL OR claim_hash = held.token)", "true"),
        ],
        expected: &[Kind::NotTheHolder],
        crash: false,
    },
    Mutation {
        name: "nonce-check",
        what: "a nonce that was seen before is let in",
        rewrites: &[
            ("IS NOT TRUE THEN 2", "IS NULL THEN 2"),
            ("WHEN allowed IS NOT NULL AND EXISTS (", "WHEN allowed IS NULL AND allowed IS NOT NULL AND EXISTS ("),
        ],
        expected: &[Kind::Replayed],
        crash: false,
    },
    Mutation {
        name: "skip-locked",
        what: "FOR UPDATE SKIP LOCKED is taken out of claims",
        // No other statement has these lines.
        rewrites: &[
            (
                "LIMIT (SELECT count FROM wanted)\n            FOR UPDATE SKIP LOCKED",
                "LIMIT (SELECT count FROM wanted)",
            ),
            (
                "required_capability = ANY ($9::text[]))\n            FOR UPDATE SKIP LOCKED",
                "required_capability = ANY ($9::text[]))",
            ),
        ],
        expected: &[Kind::Repeated],
        crash: false,
    },
    Mutation {
        name: "same-transaction",
        what: "BEGIN is taken out: what belongs together commits one by one, the second 0.1 s after the first",
        rewrites: &[("BEGIN\0", "\0"), ("START TRANSACTION\0", "\0"), SLOW_FAILURE],
        expected: &[Kind::FinishedTwice],
        crash: false,
    },
    Mutation {
        name: "lease-predicate",
        what: "a claim does not ask whether the intent is due",
        rewrites: &[(
            "visible_at <= (SELECT now FROM clock) AND visible_at >",
            "visible_at <> 'infinity' AND visible_at >",
        )],
        expected: &[Kind::Repeated],
        crash: false,
    },
    Mutation {
        name: "idempotency-key",
        what: "an idempotency key that is taken stops nobody",
        rewrites: &[
            ("WHERE items.key IS NOT NULL\n", "WHERE items.key IS NULL\n"),
            ("(key IS NULL OR key IN (SELECT hash FROM taken))", "true"),
        ],
        expected: &[Kind::KeyTwice],
        crash: false,
    },
    Mutation {
        name: "claim-request",
        what: "a claim that is asked for again does not find what it holds, and no index keeps it from two",
        rewrites: &[
            ("AS lasts\nFROM intents\nWHERE ", "AS lasts\nFROM intents\nWHERE false AND "),
            ("CREATE UNIQUE INDEX intents_claim_request ", "CREATE INDEX intents_claim_request "),
        ],
        expected: &[Kind::ClaimedTwice],
        crash: false,
    },
    Mutation {
        name: "durability",
        what: "the bus answers before its COMMIT is on disk, and Postgres is killed",
        rewrites: &[("TimeZone=UTC", "TimeZone=UTC -c synchronous_commit=off")],
        expected: &[Kind::Lost, Kind::FinishLost],
        crash: true,
    },
];

/// Runs it.
pub async fn run(mutation: &Mutation, seed: u64) -> Result<Report> {
    let context = Context { name: mutation.name, seed, seconds: None, peace: None, long: false };
    let setup = Setup { between: true, rewrites: mutation.rewrites.to_vec(), lease: 3, ..Setup::default() };
    let habits = Habits {
        sluggish: 0.03,
        twice: 0.2,
        replays: 0.5,
        hasty: 0.3,
        keyed: 0.6,
        // Nobody waits for work for long: many claims reach for the same intents.
        workers: 6,
        ..Habits::default()
    };
    let report = under_load(context, setup, habits, Duration::from_secs(6), async |cluster, _, lasts| {
        for _ in 0..if mutation.crash { 3 } else { 0 } {
            sleep(lasts / 3).await;
            cluster.database.kill(Signal::QUIT).await?;
            cluster.database.launch().await?;
        }
        if !mutation.crash {
            sleep(lasts).await;
        }
        let proxies: Vec<Vec<usize>> =
            cluster.places.iter().filter_map(|place| place.between.as_ref()).map(Proxy::rewritten).collect();
        let mut rewritten = 0;
        for (number, (text, _)) in mutation.rewrites.iter().enumerate() {
            let times: usize = proxies.iter().filter_map(|counts| counts.get(number)).sum();
            ensure!(times > 0, "no statement has {text:?}");
            rewritten += times;
        }
        Ok(Verdict::told(format!("{rewritten} statements changed")))
    });
    report.await
}

/// What the check said, and whether it is what it had to say.
#[must_use]
pub fn judge(mutation: &Mutation, report: &Report) -> (String, bool) {
    let kinds = report.findings.as_ref().map(crate::check::Findings::kinds).unwrap_or_default();
    let noticed = if mutation.expected.is_empty() {
        kinds.is_empty()
    } else {
        mutation.expected.iter().any(|kind| kinds.contains_key(kind))
    };
    (format!("{}; {kinds:?}", report.verdict.figure), noticed)
}
