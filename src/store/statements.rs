//! Every statement that is sent to the database, with the name of its file. A test prepares them all on the migrated schema.
//!
//! Most are files as they stand. Those that let requests in begin with `admission/admit.sql` or `admission/admit_all.sql`, and have
//! several variants that leave out what a flight does not need; claims are also made twice from one text, by goal and for any goal.

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
    BLOCK_RANGES = "totals/block_ranges.sql",
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
    DEAD_ROWS = "vacuum/dead_rows.sql",
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
        ("intents/publish_all.sql, all", &AT_ANY_TIME.all.publish),
        ("intents/fulfill.sql, all", &AT_ANY_TIME.all.fulfill),
        ("intents/claim.sql, one goal, all", &AT_ANY_TIME.all.claim.goal),
        ("intents/claim.sql, any goal, all", &AT_ANY_TIME.all.claim.any),
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
const ADMISSION_OF_ALL: &str = include_str!("admission/admit_all.sql");
/// Requests that a statement leaves out: none.
const NONE: &str = "SELECT NULL::integer WHERE false";
/// Those of workers for which intents may be meant in particular.
const AIMED: &str = "SELECT aimed.request FROM unnest($16::integer[], $17::bigint[]) AS aimed (request, lane), \
     LATERAL (SELECT FROM lane_priorities WHERE lane_priorities.lane = aimed.lane LIMIT 1) AS there";
/// Of the tenant's own lanes that a claim may look into those that are in use, with their priorities; two at most.
const THERE: &str = ", there AS MATERIALIZED (\
     SELECT lane, priority FROM lane_priorities WHERE lane = ANY ($5::bigint[]) LIMIT 2)";
/// Whether a claim has one place to look at most: one of those in `there`, and no other lane that it may look into is in use.
const ONE_LANE: &str = "(SELECT count(*) FROM there) <= 1 \
     AND NOT EXISTS (SELECT FROM lane_priorities WHERE lane = ANY ($6::bigint[] || $17::bigint[]))";
/// Parameters of all publishes that one which lets all in has no use for.
const PUBLISH_GIVEN: &str = ", $22::uuid[], $23::uuid[], $24::bigint[], $25::bigint[], $26::smallint[]";
/// Parameters of all claims that one which lets all in has no use for.
const CLAIM_GIVEN: &str = ", $16::integer[], $21::bigint";

/// The statements that let requests in and do what they ask for.
pub(crate) struct Admitting {
    /// Lets requests in that do nothing else in the same statement.
    pub(crate) admit: String,
    publish: [String; 4],
    fulfill: [String; 2],
    claim: [ByGoal; 2],
    all: AllOrNone,
    /// Whether those may be used: not where nonces are stored in two periods.
    pub(crate) let_all_in: bool,
}

/// Those that let all requests of a flight in, or none, which costs less than to look at each. No request has limits.
struct AllOrNone {
    /// There are neither idempotency keys nor new lanes.
    publish: String,
    fulfill: String,
    /// One lane is in use of those that are looked into, at one priority.
    claim: ByGoal,
}

impl Admitting {
    /// For one period, naming its partitions; or for any time, by the names of the whole tables.
    pub(crate) fn of(period: Option<Period>) -> Self {
        let in_end = period.is_none_or(|period| period.ending);
        let ending = ("ending", in_end);
        let made = |text: &str, left_out: &str, conditions: &[(&str, bool)]| {
            at(&parts(&admitted(text, left_out), &[conditions, &[ending]].concat()), period)
        };
        let publish = |keys, limits| {
            let conditions = [("limits", limits), ("keys", keys), ("outcomes", limits || keys)];
            made(include_str!("intents/publish.sql"), NONE, &conditions)
        };
        let fulfill = |limits| made(include_str!("intents/fulfill.sql"), NONE, &[("limits", limits)]);
        let claim =
            |limits| ByGoal::of(&made(include_str!("intents/claim.sql"), AIMED, &[("limits", limits), ("gate", true)]));
        // Their nonces are stored in one period only.
        let is_now = match period {
            None => "unix - 600 * floor(unix / 600) < 570",
            Some(period) if period.ending => "false",
            Some(_) => "{is_now}",
        };
        let all = |text: &str, admission: ForAll| {
            let text = admission.admit(text).replace("{is_now}", is_now);
            at(&parts(&text, &[("all", true)]), period)
        };
        Self {
            admit: made("SELECT verdicts FROM verdicts", NONE, &[("limits", true)]),
            publish: [publish(false, false), publish(true, false), publish(false, true), publish(true, true)],
            fulfill: [false, true].map(fulfill),
            claim: [false, true].map(claim),
            let_all_in: !in_end,
            all: AllOrNone {
                publish: all(
                    include_str!("intents/publish_all.sql"),
                    ForAll { given: PUBLISH_GIVEN, ..ForAll::default() },
                ),
                fulfill: all(include_str!("intents/fulfill.sql"), ForAll::default()),
                claim: ByGoal::of(&all(
                    include_str!("intents/claim.sql"),
                    ForAll { also: "|| $22::uuid", before: THERE, holds: ONE_LANE, given: CLAIM_GIVEN },
                )),
            },
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

    pub(crate) fn publish_all(&self) -> &str {
        &self.all.publish
    }

    pub(crate) fn fulfill_all(&self) -> &str {
        &self.all.fulfill
    }

    pub(crate) fn claim_all(&self, one_goal: bool) -> &str {
        self.all.claim.text(one_goal)
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
    let slots = [("{slot}", 0), ("{slot_before}", 3), ("{slot_next}", 1)];
    let Some(period) = period else {
        let text = text.replace("{is_now}", "true");
        let text = slots.iter().fold(text, |text, (name, ahead)| {
            text.replace(name, &format!("((floor(unix / 600)::bigint + {ahead}) % 4)::smallint"))
        });
        let whole = ["nonces", "nonces_before", "nonces_next", "payloads", "finished"];
        return whole
            .iter()
            .fold(text, |text, name| text.replace(&format!("{{{name}}}"), name.split('_').next().unwrap_or(name)));
    };
    let slot = |ahead: i64| (period.nonces + ahead).rem_euclid(4);
    let text = slots
        .iter()
        .fold(without_comments(text), |text, (name, ahead)| text.replace(name, &format!("{}::smallint", slot(*ahead))));
    let day = period.day.strftime("%Y%m%d").to_string();
    let (from, to) = period.bounds();
    text.replace("{is_now}", &format!("unix >= {from} AND unix < {to}"))
        .replace("{nonces}", &format!("nonces_{}", slot(0)))
        .replace("{nonces_before}", &format!("nonces_{}", slot(3)))
        .replace("{nonces_next}", &format!("nonces_{}", slot(1)))
        .replace("{payloads}", &format!("payloads_{day}"))
        .replace("{finished}", &format!("finished_{day}"))
}

/// The text with the first line of its comment only: sessions find a statement by its whole text.
fn without_comments(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let rest = lines.filter(|line| !line.trim_start().starts_with("--")).map(str::trim_start);
    std::iter::once(first).chain(rest).flat_map(|line| [line, "\n"]).collect()
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
    let (comment, work) = after_comment(text);
    format!("{comment}{}{work}", ADMISSION.replace("{left_out}", left_out))
}

/// What is put into `admission/admit_all.sql`, under the names that it has there.
struct ForAll {
    also: &'static str,
    before: &'static str,
    holds: &'static str,
    given: &'static str,
}

impl Default for ForAll {
    fn default() -> Self {
        Self { also: "", before: "", holds: "true", given: "" }
    }
}

impl ForAll {
    /// The statement that lets all requests in or none, and does what they ask for.
    fn admit(&self, text: &str) -> String {
        let (comment, work) = after_comment(text);
        let admission = ADMISSION_OF_ALL
            .replace("{also}", self.also)
            .replace("{before}", self.before)
            .replace("{holds}", self.holds)
            .replace("{given}", self.given);
        format!("{comment}{admission}{work}")
    }
}

fn after_comment(text: &str) -> (&str, &str) {
    let comment: usize = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("-- ") || line.trim_end() == "--")
        .map(str::len)
        .sum();
    text.split_at(comment)
}
