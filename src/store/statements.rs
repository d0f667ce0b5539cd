//! Every statement that is sent to the database, with the name of its file. A test prepares them all on the migrated schema.

use std::sync::LazyLock;

/// Declares the statements as constants and lists them by name.
macro_rules! statements {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = include_str!($file);)+

        /// Name and text of every statement.
        pub fn all() -> Vec<(&'static str, &'static str)> {
            let mut all = vec![$(($file, $name)),+];
            all.push(("intents/claim.sql, one goal", CLAIM_GOAL.as_str()));
            all.push(("intents/claim.sql, any goal", CLAIM_ANY.as_str()));
            all
        }
    };
}

statements! {
    ADMIT = "admission/admit.sql",
    RATE_RETRY_AFTER = "admission/rate_retry_after.sql",
    IDEMPOTENCY_RESERVE = "idempotency/reserve.sql",
    IDEMPOTENCY_FIND = "idempotency/find.sql",
    PUBLISH = "intents/publish.sql",
    EXISTS = "intents/exists.sql",
    FULFILL = "intents/fulfill.sql",
    LOCK_CLAIM = "intents/lock_claim.sql",
    HAS_ENDED = "intents/has_ended.sql",
    REQUEUE = "intents/requeue.sql",
    BURY = "intents/bury.sql",
    EXTEND = "intents/extend.sql",
    FIND = "intents/find.sql",
    FIND_PAYLOAD = "intents/find_payload.sql",
    LOCK = "intents/lock.sql",
    CANCEL_FINISHED = "intents/cancel_finished.sql",
    RETRY = "intents/retry.sql",
    LOST_CLAIM = "intents/lost_claim.sql",
    RECENT = "intents/recent.sql",
    LOCK_LAPSED = "intents/lock_lapsed.sql",
    SWEEP = "intents/sweep.sql",
    LOCK_EXPIRED = "intents/lock_expired.sql",
    MOVE_PAYLOADS = "intents/move_payloads.sql",
    PURGE = "intents/purge.sql",
    DEAD = "intents/dead.sql",
    KEY_CREATE = "keys/create.sql",
    KEY_FIND = "keys/find.sql",
    KEY_REVOKE = "keys/revoke.sql",
    KEYS_CHANGED = "keys/changed.sql",
    KEYS_LIST = "keys/list.sql",
    KV_SET = "kv/set.sql",
    KV_GET = "kv/get.sql",
    KV_DROP_EXPIRED = "kv/drop_expired.sql",
    RING_CLAIM_SLOT = "rings/claim_slot.sql",
    PARTITION_DAYS = "partitions/days.sql",
    DAY_BEFORE = "partitions/day_before.sql",
    PAYLOADS_IN_USE = "partitions/payloads_in_use.sql",
    ADD_FINISHED = "totals/add_finished.sql",
    COUNT_OPEN = "totals/count_open.sql",
    FORGET_TOTALS = "totals/forget.sql",
    READ_TOTALS = "totals/read.sql",
    READ_KEYS = "totals/read_keys.sql",
    MIGRATIONS_JOURNAL = "migrations/journal.sql",
}

const CLAIM: &str = include_str!("intents/claim.sql");

/// A claim of one goal.
pub(crate) static CLAIM_GOAL: LazyLock<String> =
    LazyLock::new(|| CLAIM.replace("{own}", "own_goal_lane").replace("{public}", "public_goal_lane"));

/// A claim of any goal.
pub(crate) static CLAIM_ANY: LazyLock<String> =
    LazyLock::new(|| CLAIM.replace("{own}", "own_lane").replace("{public}", "public_lane"));
