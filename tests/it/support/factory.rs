//! Defaults for what tests send, and statements that bring rows into a state, so that no test waits for time to pass.

use serde_json::{Value, json};
use uuid::Uuid;

use super::TestDb;

/// A publish body of this goal with defaults for the rest.
pub(crate) fn intent(goal: &str) -> Value {
    json!({"goal": goal, "payload": {"n": 1}})
}

/// The same with other fields added.
pub(crate) fn intent_with(goal: &str, fields: Value) -> Value {
    let mut body = intent(goal);
    let (Value::Object(body_fields), Value::Object(fields)) = (&mut body, fields) else {
        panic!("fields of an object")
    };
    body_fields.extend(fields);
    body
}

fn uuid(id: &str) -> Uuid {
    Uuid::try_parse(id).expect("an id")
}

impl TestDb {
    /// Ends the lease of a claim, some seconds ago, and leaves its backoff before it.
    pub(crate) async fn end_lease(&self, id: &str) {
        self.pass_time(id, "lease_until - clock_timestamp() + interval '1 millisecond'").await;
    }

    /// Ends the lease of a claim and its backoff.
    pub(crate) async fn end_lease_and_backoff(&self, id: &str) {
        self.pass_time(id, "nullif(visible_at, 'infinity') - clock_timestamp() + interval '1 millisecond'").await;
    }

    /// Makes an intent that waits (for its delay or its backoff) due.
    pub(crate) async fn make_due(&self, id: &str) {
        self.pass_time(id, "visible_at - clock_timestamp() + interval '1 millisecond'").await;
    }

    /// Moves an unfinished intent into the past by so many seconds, as if they had gone by.
    pub(crate) async fn age(&self, id: &str, seconds: f64) {
        self.pass_time(id, &format!("make_interval(secs => {seconds})")).await;
    }

    /// Moves all the times of one unfinished intent by the same interval.
    async fn pass_time(&self, id: &str, by: &str) {
        let sql = format!(
            "WITH step AS (SELECT {by} AS by FROM intents WHERE id = $1)
             UPDATE intents SET created_at = created_at - by, run_at = run_at - by, visible_at = visible_at - by,
                 lease_until = lease_until - by
             FROM step WHERE id = $1"
        );
        assert_eq!(self.execute(&sql, &[&uuid(id)]).await, 1, "{id} is not unfinished");
    }

    /// Waits until nobody counts.
    pub(crate) async fn nobody_counts(&self) {
        self.batch("BEGIN; LOCK TABLE totals_progress, open_totals_progress; COMMIT").await;
    }

    /// Moves what has finished, and how far it has been counted, a minute into the past: the totals leave out the last
    /// seconds.
    pub(crate) async fn pass_a_minute(&self) {
        // Just after midnight that minute leads into yesterday.
        self.day_partition("finished", 1).await;
        self.batch(
            "LOCK TABLE totals_progress, open_totals_progress;
             UPDATE finished SET finished_at = finished_at - interval '1 minute';
             UPDATE totals_progress
             SET finished_until = finished_until - interval '1 minute';
             UPDATE open_totals_progress SET counted_at = counted_at - interval '1 minute'",
        )
        .await;
    }

    /// Makes the partition of a day in the past, if it is missing.
    pub(crate) async fn day_partition(&self, parent: &str, days_ago: i32) {
        self.batch(&format!(
            "DO $$
             DECLARE day date := (clock_timestamp() AT TIME ZONE 'UTC')::date - {days_ago};
             BEGIN
                 EXECUTE format(
                     'CREATE TABLE IF NOT EXISTS {parent}_%s PARTITION OF {parent} FOR VALUES FROM (%L) TO (%L)',
                     to_char(day, 'YYYYMMDD'), day::text || '{zone}', (day + 1)::text || '{zone}'
                 );
             END $$",
            zone = if parent == "finished" { " 00:00+00" } else { "" },
        ))
        .await;
    }

    /// Moves what a ring of slots holds one period back. In the last seconds of a period an entry stands in the next one's slot
    /// too; that one is not what has grown old.
    pub(crate) async fn age_ring(&self, ring: &str, period: u32) {
        self.batch(&format!(
            "DELETE FROM {ring} WHERE slot = (floor(extract(epoch FROM clock_timestamp()) / {period})::bigint + 1) % 4;
             UPDATE {ring} SET slot = (slot + 3) % 4"
        ))
        .await;
    }

    /// Takes a tenant's requests out of its rate window, as if a minute had gone by.
    pub(crate) async fn forget_rates(&self) {
        self.batch("UPDATE rate_windows SET seconds = '{}', hits = '{}'").await;
    }
}
