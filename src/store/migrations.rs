//! The schema: embedded migrations, journalled with checksums, applied once by whoever comes first.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::statements;
use crate::error::{Error, Result};

/// One file of `migrations/`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number, from 1 without gaps.
    pub number: i32,
    /// Its file name, without the ending.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

/// Lists the files of `migrations/`, in order.
macro_rules! migrations {
    ($($number:literal $name:literal),+ $(,)?) => {
        /// Every migration, in order.
        pub const ALL: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../migrations/", $name, ".sql")),
        }),+];
    };
}

migrations! {
    1 "0001_tenants_and_keys",
    2 "0002_intents",
    3 "0003_replay_protection",
    4 "0004_key_value",
    5 "0005_totals",
    6 "0006_lanes_in_use",
    7 "0007_narrow_order",
    8 "0008_sight",
    9 "0009_asked_at",
    10 "0010_claims",
    11 "0011_block_ranges",
}

/// A migration that has been applied.
#[derive(Debug)]
pub struct Applied {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub checksum: String,
    /// Unix seconds by the database's clock.
    pub applied_at: f64,
}

/// The advisory lock of migrations: "intentbu" in ASCII.
const LOCK: i64 = 0x696e_7465_6e74_6275;
/// How long to wait while another replica migrates.
const PATIENCE: Duration = Duration::from_secs(120);

impl Migration {
    /// SHA-256 of the text, in hex.
    #[must_use]
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }
}

/// Applies what is missing. Replicas that start together take turns by an advisory lock, which is polled rather than waited
/// for: a wait in a statement would end by the statement's timeout, and hold a snapshot meanwhile.
///
/// The connection must be a direct one (no transaction pooling in between), since the lock belongs to the session.
///
/// # Errors
/// When the database is away, a migration fails, or one that was applied is not the one we have.
pub async fn apply(client: &Client) -> Result<Vec<&'static str>> {
    let deadline = Instant::now() + PATIENCE;
    while !client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.get::<_, bool>(0) {
        if Instant::now() > deadline {
            return Err(Error::busy("another session has held the migration lock for two minutes"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let applied = apply_locked(client).await;
    // On a connection that has failed the lock is gone with the session.
    let _ = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    applied
}

async fn apply_locked(client: &Client) -> Result<Vec<&'static str>> {
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                 number     integer PRIMARY KEY,
                 name       text NOT NULL,
                 checksum   text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
             )",
        )
        .await?;
    let journal = read(&client.query(statements::MIGRATIONS_JOURNAL, &[]).await?)?;
    let mut done = Vec::new();
    for migration in ALL {
        if let Some(entry) = journal.iter().find(|entry| entry.number == migration.number) {
            if entry.checksum != migration.checksum() {
                return Err(Error::fault(format!(
                    "migration {} was applied with another text; a migration never changes once it has been released",
                    migration.name
                )));
            }
            continue;
        }
        let applied = client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'; {}
                 ;INSERT INTO schema_migrations (number, name, checksum) VALUES ({}, '{}', '{}'); COMMIT",
                migration.sql,
                migration.number,
                migration.name,
                migration.checksum()
            ))
            .await;
        if let Err(error) = applied {
            tracing::error!(migration = migration.name, "a migration failed and was rolled back");
            // Lets go of the transaction, so that the lock can be given back. The connection may be what failed.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(error.into());
        }
        done.push(migration.name);
    }
    Ok(done)
}

/// The migrations that have been applied; none at all on an empty database.
///
/// # Errors
/// `database_busy`.
pub async fn journal(client: &Client) -> Result<Vec<Applied>> {
    let there = client.query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    read(&client.query(statements::MIGRATIONS_JOURNAL, &[]).await?)
}

/// Whether a migration that this binary needs is missing.
///
/// # Errors
/// `database_busy`.
pub async fn pending(client: &Client) -> Result<bool> {
    let journal = journal(client).await?;
    Ok(ALL.iter().any(|migration| !journal.iter().any(|entry| entry.number == migration.number)))
}

fn read(rows: &[tokio_postgres::Row]) -> Result<Vec<Applied>> {
    rows.iter()
        .map(|row| {
            Ok(Applied {
                number: row.try_get("number")?,
                name: row.try_get("name")?,
                checksum: row.try_get("checksum")?,
                applied_at: row.try_get("applied_at")?,
            })
        })
        .collect()
}
