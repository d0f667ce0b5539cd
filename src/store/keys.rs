//! Tenants' keys: made, found, revoked. Only their hashes are stored.

use crate::{
    error::{Error, Result},
    store::{
        Store,
        admission::Admission,
        session::{Client, Traced},
        statements,
        transaction::in_time,
    },
};

/// What a valid key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Whose it is.
    pub tenant: i64,
    /// Requests a minute, if the tenant has a limit of its own.
    pub rate_limit: Option<i32>,
    /// Unfinished intents, if the tenant has a limit of its own.
    pub max_open: Option<i32>,
}

/// A tenant to be made.
#[derive(Debug)]
pub struct NewTenant<'a> {
    /// Who it is for.
    pub owner: &'a str,
    /// Requests a minute. None: the bus's setting.
    pub rate_limit: Option<i32>,
    /// Unfinished intents. None: the bus's setting.
    pub max_open: Option<i32>,
}

/// A key as operators see it.
#[derive(Debug)]
pub struct ListedKey {
    /// The key's number.
    pub id: i64,
    /// Who it was made for.
    pub owner: String,
    /// Unix seconds.
    pub created_at: f64,
    /// Unix seconds, if it is revoked.
    pub revoked_at: Option<f64>,
}

impl Store {
    /// Makes a tenant with a key of this hash.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn create_key(&self, admission: &Admission, tenant: &NewTenant<'_>, hash: &[u8; 32]) -> Result<()> {
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KEY_CREATE).await?;
            if tx
                .query_opt(&statement, &[&tenant.owner, &&hash[..], &tenant.rate_limit, &tenant.max_open])
                .await?
                .is_none()
                && !tx.maybe_done()
            {
                return Err(Error::fault("a new key is there already"));
            }
            Ok(())
        })
        .await
    }

    /// The key of this hash, unless it is revoked or there is none.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn find_key(&self, hash: &[u8; 32]) -> Result<Option<Key>> {
        in_time(async { find(&self.client().await?, hash).await }).await
    }

    /// Revokes the key of this hash. False: there is none.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn revoke_key(&self, admission: &Admission, hash: &[u8; 32]) -> Result<bool> {
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KEY_REVOKE).await?;
            Ok(tx.query_opt(&statement, &[&&hash[..]]).await?.is_some())
        })
        .await
    }

    /// Hashes of the keys that have changed in the last minute, and what is paused: pairs of namespace and goal.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn changes(&self) -> Result<(Vec<[u8; 32]>, Vec<(String, String)>)> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::KEYS_CHANGED).await?;
        let rows = client.query(&statement, &[]).await?;
        let (mut keys, mut paused) = (Vec::new(), Vec::new());
        for row in rows {
            match row.try_get::<_, Option<&[u8]>>("key_hash")? {
                Some(hash) => keys.push(hash.try_into().map_err(Error::fault)?),
                None => paused.push((row.try_get("namespace")?, row.try_get("goal")?)),
            }
        }
        Ok((keys, paused))
    }

    /// The newest keys.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn list_keys(&self, limit: i64) -> Result<Vec<ListedKey>> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::KEYS_LIST).await?;
        let rows = client.query(&statement, &[&limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(ListedKey {
                    id: row.try_get("id")?,
                    owner: row.try_get("owner")?,
                    created_at: row.try_get("created_at")?,
                    revoked_at: row.try_get("revoked_at")?,
                })
            })
            .collect()
    }
}

async fn find(client: &Traced<impl Client>, hash: &[u8; 32]) -> Result<Option<Key>> {
    let statement = client.prepare_cached(statements::KEY_FIND).await?;
    let row = client.query_opt(&statement, &[&&hash[..]]).await?;
    row.map(|row| {
        Ok(Key {
            tenant: row.try_get("tenant_id")?,
            rate_limit: row.try_get("rate_limit_per_minute")?,
            max_open: row.try_get("max_open_intents")?,
        })
    })
    .transpose()
}
