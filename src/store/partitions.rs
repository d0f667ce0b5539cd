//! Partitions by day of `payloads` and `finished`: made ahead, dropped when their time is over.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;

use super::{Store, WHOLE_TABLE, session::Session, statements};
use crate::error::{Error, Result};

/// Days for which partitions are made ahead, so that a bus whose maintenance fails for a week still takes intents.
const AHEAD: i32 = 7;
/// A payload of an unfinished intent is moved to today's partition when it is older than this many days.
pub const MOVE_PAYLOADS_AFTER: i32 = 2;
/// So many days longer than the intents themselves their payloads are kept: an intent that ends may have a payload as old as
/// `MOVE_PAYLOADS_AFTER`, found by a sweep that takes up to a day.
const PAYLOADS_LONGER: i32 = MOVE_PAYLOADS_AFTER + 2;

#[derive(Clone, Copy)]
enum Parent {
    Payloads,
    Finished,
}

impl Parent {
    fn name(self) -> &'static str {
        match self {
            Self::Payloads => "payloads",
            Self::Finished => "finished",
        }
    }

    /// The bounds of one day, as the partition key wants them.
    fn bounds(self, day: &Day, next: &Day) -> String {
        match self {
            Self::Payloads => format!("FROM ('{}') TO ('{}')", day.iso(), next.iso()),
            Self::Finished => format!("FROM ('{} 00:00+00') TO ('{} 00:00+00')", day.iso(), next.iso()),
        }
    }

    /// Hot tables of wide rows are appended to only, so vacuum has little to do but freeze.
    const OPTIONS: &'static str = "autovacuum_vacuum_insert_scale_factor = 1";
}

/// A day as the database names it, `YYYYMMDD`. Only digits ever reach a statement's text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Day(String);

impl Day {
    fn parse(text: &str) -> Result<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.len() == 8 { Ok(Self(digits)) } else { Err(Error::fault(format!("not a day: {text:?}"))) }
    }

    fn iso(&self) -> String {
        format!("{}-{}-{}", &self.0[..4], &self.0[4..6], &self.0[6..])
    }
}

/// In the making of a partition: see `migrations/0011_block_ranges.sql`. Its index is found by what it is, not by its name, which
/// Postgres chooses.
const UNSUMMARIZED: &str = "DO $$ DECLARE brin regclass; BEGIN
    FOR brin IN
        SELECT indexrelid
        FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_am ON pg_am.oid = index.relam
        WHERE indrelid = '{table}'::regclass AND amname = 'brin'
    LOOP EXECUTE format('ALTER INDEX %s SET (autosummarize = off)', brin); END LOOP; END $$;";

impl Store {
    /// Makes the partitions of today and the days ahead that are missing. Safe on many replicas at once.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn make_partitions(&self) -> Result<u64> {
        let client = self.client().await?;
        Ok(ensure(&client, Parent::Payloads).await? + ensure(&client, Parent::Finished).await?)
    }

    /// Drops the partitions of finished intents older than `retention_days`, and of payloads that nothing needs any more.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn drop_partitions(&self, retention_days: i32) -> Result<u64> {
        let mut client = self.client().await?;
        let mut dropped = 0;
        for day in older_than(&client, Parent::Finished, retention_days).await? {
            dropped += u64::from(drop_partition(&client, Parent::Finished, &day).await?);
        }
        for day in older_than(&client, Parent::Payloads, retention_days + PAYLOADS_LONGER).await? {
            let tx = client.transaction().await?;
            tx.batch_execute(WHOLE_TABLE).await?;
            let statement = tx.prepare_cached(statements::PAYLOADS_IN_USE).await?;
            let in_use: bool = tx.query_one(&statement, &[&day.iso()]).await?.try_get("in_use")?;
            tx.commit().await?;
            if in_use {
                tracing::warn!(
                    day = day.iso(),
                    "unfinished intents still keep payloads of this day; its partition stays"
                );
                break;
            }
            dropped += u64::from(drop_partition(&client, Parent::Payloads, &day).await?);
        }
        Ok(dropped)
    }
}

async fn ensure(client: &Session, parent: Parent) -> Result<u64> {
    let statement = client.prepare_cached(statements::PARTITION_DAYS).await?;
    let row = client.query_one(&statement, &[&parent.name()]).await?;
    let have: BTreeSet<String> = row.try_get::<_, Vec<String>>("days")?.into_iter().collect();
    let calendar: Vec<String> = row.try_get("calendar")?;
    let days = calendar.iter().map(|day| Day::parse(day)).collect::<Result<Vec<_>>>()?;
    let mut made = 0;
    for pair in days.windows(2).take(usize::try_from(AHEAD).unwrap_or_default() + 1) {
        let [day, next] = pair else { continue };
        if have.contains(&day.0) {
            continue;
        }
        let (name, options) = (parent.name(), Parent::OPTIONS);
        let bounds = parent.bounds(day, next);
        let unsummarized = UNSUMMARIZED.replace("{table}", &format!("{name}_{}", day.0));
        // Built apart and then attached, since that takes a weaker lock on the parent than CREATE … PARTITION OF.
        let made_it = client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL lock_timeout = '2s';
                 CREATE TABLE {name}_{day} (LIKE {name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)
                     WITH ({options});
                 {unsummarized}
                 ALTER TABLE {name} ATTACH PARTITION {name}_{day} FOR VALUES {bounds};
                 COMMIT",
                day = day.0
            ))
            .await;
        match made_it {
            Ok(()) => made += 1,
            Err(error) => {
                client.batch_execute("ROLLBACK").await?;
                // Another replica was faster.
                let there = [
                    SqlState::DUPLICATE_TABLE,
                    // Of the table's row type, which is looked for first.
                    SqlState::DUPLICATE_OBJECT,
                    SqlState::UNIQUE_VIOLATION,
                    SqlState::LOCK_NOT_AVAILABLE,
                ];
                if !error.code().is_some_and(|code| there.contains(code)) {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(made)
}

async fn older_than(client: &Session, parent: Parent, days: i32) -> Result<Vec<Day>> {
    let statement = client.prepare_cached(statements::PARTITION_DAYS).await?;
    let row = client.query_one(&statement, &[&parent.name()]).await?;
    let have: Vec<String> = row.try_get("days")?;
    let limit = client.prepare_cached(statements::DAY_BEFORE).await?;
    let limit = Day::parse(client.query_one(&limit, &[&days]).await?.try_get("day")?)?;
    let have = have.iter().map(|day| Day::parse(day)).collect::<Result<Vec<_>>>()?;
    Ok(have.into_iter().filter(|day| *day < limit).collect())
}

/// False: somebody uses the parent; the next pass tries again.
async fn drop_partition(client: &Session, parent: Parent, day: &Day) -> Result<bool> {
    let name = parent.name();
    let dropped = client
        .batch_execute(&format!(
            "BEGIN; SET LOCAL lock_timeout = '200ms'; DROP TABLE IF EXISTS {name}_{day};
             DELETE FROM finished_totals WHERE '{name}' = 'finished' AND day = '{iso}'; COMMIT",
            day = day.0,
            iso = day.iso()
        ))
        .await;
    match dropped {
        Ok(()) => Ok(true),
        Err(error) => {
            client.batch_execute("ROLLBACK").await?;
            if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) { Ok(false) } else { Err(error.into()) }
        }
    }
}
