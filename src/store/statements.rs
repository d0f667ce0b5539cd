//! Every statement that is sent to the database, with the name of its file. A test prepares them all on the migrated schema.
//!
//! Most are files as they stand. Those that let requests in begin with `admission/admit.sql`; claims are made twice from one
//! text, by goal and for any goal.

use std::sync::LazyLock;

use super::calendar::Period;

/// Declares the statements as constants and lists them by name.
macro_rules! statements {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = include_str!($file);)+

        /// Name and text of every statement.
        pub fn all() -> Vec<(&'static str, &'static str)> {
            let mut all = vec![$(($file, $name)),+];
            all.extend(MADE.iter().map(|(name, text)| (*name, text.as_str())));
            all
        }
    };
}

statements! {
    RATE_RETRY_AFTER = "admission/rate_retry_after.sql",
    IDEMPOTENCY_RESERVE = "idempotency/reserve.sql",
    IDEMPOTENCY_FIND = "idempotency/find.sql",
    EXISTS = "intents/exists.sql",
    LOCK_CLAIM = "intents/lock_claim.sql",
    HAS_FULFILLED = "intents/has_fulfilled.sql",
    REQUEUE = "intents/requeue.sql",
    BURY = "intents/bury.sql",
    HAS_FAILED = "intents/has_failed.sql",
    EXTEND = "intents/extend.sql",
    RELEASE = "intents/release.sql",
    FIND_RETRIED = "intents/find_retried.sql",
    FORGET_RETRIED = "intents/forget_retried.sql",
    REPEAT_CLAIMS = "intents/repeat_claims.sql",
    TOKEN_SALT = "intents/token_salt.sql",
    KEEP_LATE = "intents/keep_late.sql",
    DROP_LATE = "intents/drop_late.sql",
    FIND = "intents/find.sql",
    FIND_PAYLOAD = "intents/find_payload.sql",
    FIND_PAYLOADS = "intents/find_payloads.sql",
    LOCK = "intents/lock.sql",
    CANCEL_FINISHED = "intents/cancel_finished.sql",
    RETRY = "intents/retry.sql",
    LOCK_LAPSED = "intents/lock_lapsed.sql",
    SWEEP = "intents/sweep.sql",
    LOCK_EXPIRED = "intents/lock_expired.sql",
    MOVE_PAYLOADS = "intents/move_payloads.sql",
    PURGE = "intents/purge.sql",
    DUE = "intents/due.sql",
    KEY_CREATE = "keys/create.sql",
    KEY_ADD = "keys/add.sql",
    KEY_MADE = "keys/made.sql",
    KEYS_RETIRE = "keys/retire.sql",
    KEY_FIND = "keys/find.sql",
    KEY_REVOKE = "keys/revoke.sql",
    KEY_ROTATE = "keys/rotate.sql",
    KEY_SET_REACH = "keys/set_reach.sql",
    TENANT_SET_LIMITS = "keys/set_limits.sql",
    KEYS_CHANGED = "keys/changed.sql",
    KEYS_LIST = "keys/list.sql",
    AUDIT = "operators/audit.sql",
    AUDIT_LOG = "operators/audit_log.sql",
    SEARCH = "operators/search.sql",
    SEARCH_DEAD = "operators/search_dead.sql",
    INSPECT = "operators/inspect.sql",
    EXCERPT = "operators/excerpt.sql",
    LATE = "operators/late.sql",
    WHY = "operators/why.sql",
    REDRIVE_FIND = "operators/redrive_find.sql",
    REDRIVE_LOCK = "operators/redrive_lock.sql",
    REDRIVE_QUOTAS = "operators/redrive_quotas.sql",
    REDRIVE = "operators/redrive.sql",
    REDRIVEN = "operators/redriven.sql",
    PAUSE = "operators/pause.sql",
    RESUME = "operators/resume.sql",
    PAUSES = "operators/pauses.sql",
    WORKERS = "operators/workers.sql",
    WORKERS_SEEN = "operators/workers_seen.sql",
    REPLICAS = "operators/replicas.sql",
    FLOW = "operators/flow.sql",
    LATENCIES = "operators/latencies.sql",
    NOW = "operators/now.sql",
    LANES_DROP_UNUSED = "lanes_in_use/drop_unused.sql",
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
    BEAT = "pulse/beat.sql",
    LAST_BEAT = "pulse/last.sql",
    SIGN_OFF = "pulse/sign_off.sql",
    PRUNE_PULSE = "pulse/prune.sql",
    BUS_FIGURES = "bus/figures.sql",
    BUS_GOALS = "bus/goals.sql",
    BUS_TABLES = "bus/tables.sql",
    MIGRATIONS_JOURNAL = "migrations/journal.sql",
}

/// The statements that are made of several texts, or of one in two ways.
static MADE: LazyLock<Vec<(&str, &String)>> = LazyLock::new(|| {
    vec![
        ("admission/admit.sql", &AT_ANY_TIME.admit),
        ("intents/publish.sql", &AT_ANY_TIME.publish[3]),
        ("intents/publish.sql, without limits", &AT_ANY_TIME.publish[1]),
        ("intents/publish.sql, without keys", &AT_ANY_TIME.publish[2]),
        ("intents/publish.sql, without both", &AT_ANY_TIME.publish[0]),
        ("intents/fulfill.sql", &AT_ANY_TIME.fulfill[1]),
        ("intents/fulfill.sql, without limits", &AT_ANY_TIME.fulfill[0]),
        ("intents/claim.sql, one goal", &AT_ANY_TIME.claim[1].goal),
        ("intents/claim.sql, any goal", &AT_ANY_TIME.claim[1].any),
        ("intents/claim.sql, one goal, without limits", &AT_ANY_TIME.claim[0].goal),
        ("intents/claim.sql, any goal, without limits", &AT_ANY_TIME.claim[0].any),
        ("intents/find_claims.sql, one goal", &FIND_CLAIMS.goal),
        ("intents/find_claims.sql, any goal", &FIND_CLAIMS.any),
        ("intents/first_due.sql, one goal", &FIRST_DUE.goal),
        ("intents/first_due.sql, any goal", &FIRST_DUE.any),
    ]
});

/// Finds claims whose answer was lost.
pub(crate) static FIND_CLAIMS: LazyLock<ByGoal> = LazyLock::new(|| ByGoal::of(include_str!("intents/find_claims.sql")));
/// Looks for what low-water marks have passed.
pub(crate) static FIRST_DUE: LazyLock<ByGoal> = LazyLock::new(|| ByGoal::of(include_str!("intents/first_due.sql")));
/// The admitting statements as they work at any time.
pub(crate) static AT_ANY_TIME: LazyLock<Admitting> = LazyLock::new(|| Admitting::of(None));

const ADMISSION: &str = include_str!("admission/admit.sql");
/// Requests that a statement leaves out: none.
const NONE: &str = "SELECT NULL::integer WHERE false";
/// Those of workers for which intents may be meant in particular.
const AIMED: &str = "SELECT aimed.request FROM unnest($16::integer[], $17::bigint[]) AS aimed (request, lane), \
     LATERAL (SELECT FROM lane_priorities WHERE lane_priorities.lane = aimed.lane LIMIT 1) AS there";

/// The statements that let requests in and do what they ask for.
pub(crate) struct Admitting {
    /// Lets requests in that do nothing else in the same statement.
    pub(crate) admit: String,
    publish: [String; 4],
    fulfill: [String; 2],
    claim: [ByGoal; 2],
}

impl Admitting {
    /// For one period, naming its partitions; or for any time, by the names of the whole tables.
    pub(crate) fn of(period: Option<Period>) -> Self {
        let made = |text: &str, left_out: &str, limits: bool, keys: bool| {
            let conditions =
                [("limits", limits), ("keys", keys), ("outcomes", limits || keys), ("gate", left_out == AIMED)];
            at(&parts(&admitted(text, left_out), &conditions), period)
        };
        let publish = |keys, limits| made(include_str!("intents/publish.sql"), NONE, limits, keys);
        let fulfill = |limits| made(include_str!("intents/fulfill.sql"), NONE, limits, true);
        let claim = |limits| ByGoal::of(&made(include_str!("intents/claim.sql"), AIMED, limits, true));
        Self {
            admit: made("SELECT verdicts FROM verdicts", NONE, true, true),
            publish: [publish(false, false), publish(true, false), publish(false, true), publish(true, true)],
            fulfill: [false, true].map(fulfill),
            claim: [false, true].map(claim),
        }
    }

    /// `keys`: some have idempotency keys or new lanes. `limits`: some have limits.
    pub(crate) fn publish(&self, keys: bool, limits: bool) -> &str {
        &self.publish[usize::from(keys) + 2 * usize::from(limits)]
    }

    pub(crate) fn fulfill(&self, limits: bool) -> &str {
        &self.fulfill[usize::from(limits)]
    }

    pub(crate) fn claim(&self, one_goal: bool, limits: bool) -> &str {
        self.claim[usize::from(limits)].text(one_goal)
    }
}

/// Leaves out the parts of a text whose condition does not hold: each part costs its start, also if it has nothing to do.
fn parts(text: &str, conditions: &[(&str, bool)]) -> String {
    let mut kept = String::with_capacity(text.len());
    // Whether each of the parts that are open at this line is in.
    let mut open: Vec<bool> = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.trim_end().strip_prefix("--if ") {
            open.push(conditions.iter().any(|(condition, holds)| *condition == name && *holds));
        } else if line.trim_end() == "--else" {
            if let Some(is_in) = open.last_mut() {
                *is_in = !*is_in;
            }
        } else if line.trim_end() == "--end" {
            open.pop();
        } else if open.iter().all(|is_in| *is_in) {
            kept.push_str(line);
        }
    }
    kept
}

/// Puts in the partitions of a period.
fn at(text: &str, period: Option<Period>) -> String {
    let Some(Period { nonces, day }) = period else {
        let whole = ["nonces", "nonces_before", "nonces_next", "payloads", "finished"];
        let text = whole.iter().fold(text.replace("{is_now}", "true"), |text, name| {
            text.replace(&format!("{{{name}}}"), name.split('_').next().unwrap_or(name))
        });
        return text;
    };
    let slot = |ahead: i64| format!("nonces_{}", (nonces + ahead).rem_euclid(4));
    let (iso, compact) = (day.to_string(), day.strftime("%Y%m%d").to_string());
    let is_now = format!("floor(unix / 600)::bigint = {nonces} AND (now AT TIME ZONE 'UTC')::date = '{iso}'");
    text.replace("{is_now}", &is_now)
        .replace("{nonces}", &slot(0))
        .replace("{nonces_before}", &slot(-1))
        .replace("{nonces_next}", &slot(1))
        .replace("{payloads}", &format!("payloads_{compact}"))
        .replace("{finished}", &format!("finished_{compact}"))
}

/// One text for intents of one goal and of any.
pub(crate) struct ByGoal {
    goal: String,
    any: String,
}

impl ByGoal {
    fn of(text: &str) -> Self {
        let with = |own: &str, public: &str| text.replace("{own}", own).replace("{public}", public);
        Self { goal: with("own_goal_lane", "public_goal_lane"), any: with("own_lane", "public_lane") }
    }

    /// The one for a claim that names a goal, or does not.
    pub(crate) fn text(&self, one_goal: bool) -> &str {
        if one_goal { &self.goal } else { &self.any }
    }
}

/// The statement that lets requests in and does what they ask for: the comment of its file, the admission, the rest.
fn admitted(text: &str, left_out: &str) -> String {
    let comment: usize = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("-- ") || line.trim_end() == "--")
        .map(str::len)
        .sum();
    let (comment, work) = text.split_at(comment);
    format!("{comment}{}{work}", ADMISSION.replace("{left_out}", left_out))
}
