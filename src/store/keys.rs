//! Tenants' keys. Only their hashes are stored. Here is what each replica asks of them; what operators do with them is in
//! `manage`.

pub mod manage;

use std::time::{Duration, Instant};

use crate::{
    domain::scopes::Reaches,
    error::{Error, Result},
    store::{
        Store,
        session::{Client, Traced},
        statements,
        transaction::in_time,
    },
};

/// What a valid key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub tenant: i64,
    /// Requests a minute, if the tenant has a limit of its own.
    pub rate_limit: Option<i32>,
    /// Unfinished intents, if the tenant has a limit of its own.
    pub max_open: Option<i32>,
    /// What it may be used for, and where.
    pub reaches: Reaches,
    /// When it ends by itself: the database's clock said how long it goes on.
    pub ends: Option<Instant>,
}

impl Store {
    /// The key of this hash, unless it is revoked, has ended or there is none.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn find_key(&self, hash: &[u8; 32]) -> Result<Option<Key>> {
        in_time(async { find(&self.client().await?, hash).await }).await
    }

    /// Hashes of the keys that have changed in the last minute, and what is paused: pairs of namespace and goal.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn changes(&self) -> Result<(Vec<[u8; 32]>, Vec<(String, String)>)> {
        let rows = in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::KEYS_CHANGED).await?;
            Ok(client.query(&statement, &[]).await?)
        })
        .await?;
        let (mut keys, mut paused) = (Vec::new(), Vec::new());
        for row in rows {
            match row.try_get::<_, Option<&[u8]>>("key_hash")? {
                Some(hash) => keys.push(hash.try_into().map_err(Error::fault)?),
                None => paused.push((row.try_get("namespace")?, row.try_get("goal")?)),
            }
        }
        Ok((keys, paused))
    }
}

impl Store {
    /// Revokes keys that have ended by themselves, and says how many.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn retire_keys(&self) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::KEYS_RETIRE).await?;
        Ok(client.execute(&statement, &[]).await?)
    }
}

async fn find(client: &Traced<impl Client>, hash: &[u8; 32]) -> Result<Option<Key>> {
    let statement = client.prepare_cached(statements::KEY_FIND).await?;
    // Counted from before the question, so that no key is believed for longer than it lasts.
    let asked = Instant::now();
    let row = client.query_opt(&statement, &[&&hash[..]]).await?;
    row.map(|row| {
        let scopes: Option<Vec<String>> = row.try_get("scopes")?;
        let left: Option<f64> = row.try_get("expires_in")?;
        // What is too long to be counted does not end.
        let left = left.and_then(|left| Duration::try_from_secs_f64(left.max(0.0)).ok());
        Ok(Key {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant_id")?,
            rate_limit: row.try_get("rate_limit_per_minute")?,
            max_open: row.try_get("max_open_intents")?,
            reaches: Reaches::of(scopes.as_deref(), row.try_get("namespaces")?)?,
            ends: left.and_then(|left| asked.checked_add(left)),
        })
    })
    .transpose()
}
