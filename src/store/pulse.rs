//! Signs of life: every replica writes down, every ten seconds, that it runs, what it has done and which workers it has seen.
//! However often one is sent, it is written once: it names the one before.

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::{
    Failure, Store, statements,
    transaction::PATIENCE,
    workers::{CAPABILITIES, GOALS, Worker},
};
use crate::{
    error::{Error, Result},
    telemetry::flow::Tally,
};

/// Who a replica is.
#[derive(Debug, Clone)]
pub struct Replica {
    /// New with each start.
    pub id: Uuid,
    /// The name of its host.
    pub host: String,
    /// The version of the server.
    pub version: &'static str,
}

/// A sign of life that was written, now or by an earlier try.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    /// The database's clock when it was asked, in unix seconds.
    pub now: f64,
    /// When the replica's last sign of life was given. The next one has to name it.
    pub seen_at: SystemTime,
}

impl Store {
    /// Writes down the sign of life that follows the one of `before`, unless that has been done.
    ///
    /// # Errors
    /// [`Failure::Lost`]: nobody knows whether it was written, so the very same is to be sent again. With any other nothing was
    /// written by this try.
    pub async fn beat(
        &self,
        replica: &Replica,
        before: Option<SystemTime>,
        done: &[Tally],
        workers: &[Worker],
    ) -> std::result::Result<Beat, Failure> {
        let count = |of: fn(&Tally) -> u64| -> Vec<i64> { done.iter().map(|tally| signed(of(tally))).collect() };
        let buckets =
            |of: fn(&Tally) -> &[u64]| -> Vec<String> { done.iter().map(|tally| literal(of(tally))).collect() };
        let namespaces: Vec<&str> = done.iter().map(|tally| tally.namespace.as_str()).collect();
        let goals: Vec<&str> = done.iter().map(|tally| tally.goal.as_str()).collect();
        let tenants: Vec<i64> = workers.iter().map(|worker| worker.tenant).collect();
        let places: Vec<&str> = workers.iter().map(|worker| worker.namespace.as_str()).collect();
        let names: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
        let wanted = workers
            .iter()
            .map(|worker| worker.goals.as_ref().map(json).transpose())
            .collect::<Result<Vec<Option<String>>>>()?;
        let able = workers.iter().map(|worker| json(&worker.capabilities)).collect::<Result<Vec<String>>>()?;
        let claims: Vec<i64> = workers.iter().map(|worker| signed(worker.claims)).collect();
        let apart = i64::try_from(GOALS).map_err(Error::fault)?;
        let remembered = i64::try_from(CAPABILITIES).map_err(Error::fault)?;
        let client = self.client().await.map_err(Failure::Away)?;
        let written = async {
            let statement = client.prepare_cached(statements::BEAT).await?;
            let row = client
                .query_one(
                    &statement,
                    &[
                        &replica.id,
                        &replica.host,
                        &replica.version,
                        &namespaces,
                        &goals,
                        &count(|tally| tally.published),
                        &count(|tally| tally.claimed),
                        &count(|tally| tally.fulfilled),
                        &count(|tally| tally.failed),
                        &count(|tally| tally.dead),
                        &buckets(|tally| &tally.waited),
                        &buckets(|tally| &tally.worked),
                        &buckets(|tally| &tally.took),
                        &tenants,
                        &places,
                        &names,
                        &wanted,
                        &able,
                        &claims,
                        &before,
                        &apart,
                        &remembered,
                    ],
                )
                .await?;
            let now = row.try_get("now")?;
            if let Some(seen_at) = row.try_get("seen_at")? {
                return Ok(Beat { now, seen_at });
            }
            // By a statement of its own: the one above did not see what it had to wait for.
            let statement = client.prepare_cached(statements::LAST_BEAT).await?;
            let seen_at = client.query_one(&statement, &[&replica.id]).await?.try_get("seen_at")?;
            Ok(Beat { now, seen_at })
        };
        tokio::time::timeout(PATIENCE, written).await.unwrap_or(Err(Failure::Lost))
    }

    /// Takes a replica off the list of those that run or are missed.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn sign_off(&self, replica: &Replica) -> Result<()> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::SIGN_OFF).await?;
        client.execute(&statement, &[&replica.id]).await?;
        Ok(())
    }

    /// Forgets signs of life that are too old to be shown, and says how many rows that were.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn prune_pulse(&self) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::PRUNE_PULSE).await?;
        let count: i64 = client.query_one(&statement, &[]).await?.try_get("count")?;
        Ok(count.unsigned_abs())
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An array of numbers as Postgres reads it.
fn literal(counts: &[u64]) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", counts.join(","))
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::fault)
}
