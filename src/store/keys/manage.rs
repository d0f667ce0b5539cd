//! What operators do with keys. A change is known to every replica within a second: it is dated, and the caches look for dates.

use serde_json::json;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    domain::scopes::Scope,
    error::{Error, ErrorCode, Result},
    store::{
        Store, Tx,
        admission::Admission,
        operators::audit::{self, By},
        statements,
        transaction::in_time,
    },
};

/// A key to be made.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Whose it is.
    pub holder: Holder<'a>,
    /// What it may be used for. None: everything.
    pub scopes: Option<&'a [Scope]>,
    /// In which namespaces. None: in all.
    pub namespaces: Option<&'a [String]>,
    /// Seconds after which it ends by itself. None: never.
    pub expires_in: Option<f64>,
}

/// Who holds a key.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A tenant to be made.
    New {
        /// Who it is for.
        owner: &'a str,
        /// Requests a minute. None: the bus's setting.
        rate_limit: Option<i32>,
        /// Unfinished intents. None: the bus's setting.
        max_open: Option<i32>,
    },
    /// The tenant of this number, which has a key already.
    Tenant(i64),
}

/// A key that was made.
#[derive(Debug, Clone)]
pub struct MadeKey {
    /// Its number.
    pub id: i64,
    /// Its tenant.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// When it ends by itself, unix seconds.
    pub expires_at: Option<f64>,
}

/// Which key.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one of this hash.
    Hash(&'a [u8; 32]),
    /// The one of this number.
    Number(i64),
}

/// A key as operators see it.
#[derive(Debug)]
pub struct ListedKey {
    /// The key's number.
    pub id: i64,
    /// Its tenant.
    pub tenant: i64,
    /// Who it was made for.
    pub owner: String,
    /// Unix seconds.
    pub created_at: f64,
    /// Unix seconds, if it is revoked.
    pub revoked_at: Option<f64>,
    /// Unix seconds, if it ends or ended by itself.
    pub expires_at: Option<f64>,
    /// It can be used: neither revoked nor over.
    pub valid: bool,
    /// What it may be used for. None: everything.
    pub scopes: Option<Vec<String>>,
    /// In which namespaces. None: in all.
    pub namespaces: Option<Vec<String>>,
    /// Its tenant's requests a minute. None: the bus's setting.
    pub rate_limit: Option<i32>,
    /// Its tenant's unfinished intents allowed. None: the bus's setting.
    pub max_open: Option<i32>,
    /// Its tenant's unfinished intents.
    pub open_intents: i64,
}

impl ListedKey {
    /// When it ends or has ended, by itself or since it was revoked. None: never.
    #[must_use]
    pub fn ends_at(&self) -> Option<f64> {
        match (self.revoked_at, self.expires_at) {
            (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
            (revoked, expires) => revoked.or(expires),
        }
    }
}

/// A page of keys.
#[derive(Debug, Default)]
pub struct KeyPage {
    /// The newest first.
    pub keys: Vec<ListedKey>,
    /// Where the next page begins. None: this was the last.
    pub next: Option<i64>,
}

/// A change of what a key reaches. Outer None: as it was; inner None: everything.
#[derive(Debug, Default)]
pub struct NewReach<'a> {
    /// What it may be used for.
    pub scopes: Option<Option<&'a [Scope]>>,
    /// In which namespaces.
    pub namespaces: Option<Option<&'a [String]>>,
}

/// A change of a tenant's limits. Outer None: as it was; inner None: the bus's setting.
#[derive(Debug, Default, Clone, Copy)]
pub struct NewLimits {
    /// Requests a minute.
    pub rate_limit: Option<Option<i32>>,
    /// Unfinished intents.
    pub max_open: Option<Option<i32>>,
}

/// A tenant's limits. None: the bus's setting.
#[derive(Debug, Clone)]
pub struct TenantLimits {
    /// The tenant.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// Requests a minute.
    pub rate_limit: Option<i32>,
    /// Unfinished intents.
    pub max_open: Option<i32>,
}

impl Store {
    /// Makes a key of this hash, and its tenant if that is a new one.
    ///
    /// # Errors
    /// `not_found`: no such tenant.
    pub async fn create_key(
        &self,
        admission: &Admission,
        by: &By,
        new: &NewKey<'_>,
        hash: &[u8; 32],
    ) -> Result<MadeKey> {
        let (hash, scopes) = (&hash[..], new.scopes.map(names));
        self.transact(admission, async |tx| {
            match new.holder {
                Holder::New { owner, rate_limit, max_open } => {
                    let statement = tx.prepare_cached(statements::KEY_CREATE).await?;
                    let reach: [&(dyn ToSql + Sync); 3] = [&scopes, &new.namespaces, &new.expires_in];
                    let tenant: [&(dyn ToSql + Sync); 4] = [&owner, &hash, &rate_limit, &max_open];
                    tx.execute(&statement, &[&tenant[..], &reach[..]].concat()).await?;
                }
                Holder::Tenant(tenant) => {
                    let statement = tx.prepare_cached(statements::KEY_ADD).await?;
                    tx.execute(&statement, &[&tenant, &hash, &scopes, &new.namespaces, &new.expires_in]).await?;
                }
            }
            let made = made(tx, hash).await?.ok_or_else(no_such_tenant)?;
            let details = json!({
                "tenant": made.tenant, "owner": made.owner, "scopes": scopes, "namespaces": new.namespaces,
                "expires_in": new.expires_in,
            });
            audit::write(tx, by, "generate_key", Some(&made.id.to_string()), details).await?;
            Ok(made)
        })
        .await
    }

    /// Makes a key of this hash that reaches what an older one does, which ends after an overlap (in seconds).
    ///
    /// # Errors
    /// `not_found`; `conflict` when the older one cannot be used any more.
    pub async fn rotate_key(
        &self,
        admission: &Admission,
        by: &By,
        number: i64,
        hash: &[u8; 32],
        overlap: f64,
    ) -> Result<MadeKey> {
        let hash = &hash[..];
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KEY_ROTATE).await?;
            tx.execute(&statement, &[&number, &hash, &overlap]).await?;
            let Some(made) = made(tx, hash).await? else {
                listed(tx, number).await?.ok_or_else(no_such_key)?;
                return Err(Error::new(
                    ErrorCode::Conflict,
                    "This key is revoked or has expired. Make a new one for its tenant with /admin/generate_key.",
                ));
            };
            let details = json!({"new_key": made.id, "tenant": made.tenant, "overlap_seconds": overlap});
            audit::write(tx, by, "rotate_key", Some(&number.to_string()), details).await?;
            Ok(made)
        })
        .await
    }

    /// Revokes a key for ever. Gives its hash, for the cache to forget; None: there is no such key.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn revoke_key(&self, admission: &Admission, by: &By, which: Which<'_>) -> Result<Option<[u8; 32]>> {
        let (hash, number) = match which {
            Which::Hash(hash) => (Some(&hash[..]), None),
            Which::Number(number) => (None, Some(number)),
        };
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KEY_REVOKE).await?;
            let Some(row) = tx.query_opt(&statement, &[&hash, &number]).await? else { return Ok(None) };
            let number: i64 = row.try_get("id")?;
            audit::write(tx, by, "revoke_key", Some(&number.to_string()), json!({})).await?;
            Ok(Some(row.try_get::<_, &[u8]>("key_hash")?.try_into().map_err(Error::fault)?))
        })
        .await
    }

    /// Changes what a key reaches.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_scopes(
        &self,
        admission: &Admission,
        by: &By,
        number: i64,
        new: &NewReach<'_>,
    ) -> Result<ListedKey> {
        let scopes = new.scopes.map(|scopes| scopes.map(names));
        let (scopes_change, namespaces_change) = (scopes.is_some(), new.namespaces.is_some());
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KEY_SET_REACH).await?;
            let (to_scopes, to_namespaces) = (scopes.clone().flatten(), new.namespaces.flatten());
            tx.query_opt(&statement, &[&number, &scopes_change, &to_scopes, &namespaces_change, &to_namespaces])
                .await?
                .ok_or_else(no_such_key)?;
            let changed = listed(tx, number).await?.ok_or_else(no_such_key)?;
            let details = json!({"scopes": changed.scopes, "namespaces": changed.namespaces});
            audit::write(tx, by, "set_scopes", Some(&number.to_string()), details).await?;
            Ok(changed)
        })
        .await
    }

    /// Changes a tenant's limits.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_limits(
        &self,
        admission: &Admission,
        by: &By,
        tenant: i64,
        new: NewLimits,
    ) -> Result<TenantLimits> {
        let NewLimits { rate_limit, max_open } = new;
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::TENANT_SET_LIMITS).await?;
            let row = tx
                .query_opt(
                    &statement,
                    &[&tenant, &rate_limit.is_some(), &rate_limit.flatten(), &max_open.is_some(), &max_open.flatten()],
                )
                .await?
                .ok_or_else(no_such_tenant)?;
            let limits = TenantLimits {
                tenant,
                owner: row.try_get("owner")?,
                rate_limit: row.try_get("rate_limit_per_minute")?,
                max_open: row.try_get("max_open_intents")?,
            };
            let details = json!({"rate_limit_per_minute": limits.rate_limit, "max_open_intents": limits.max_open});
            audit::write(tx, by, "set_limits", Some(&tenant.to_string()), details).await?;
            Ok(limits)
        })
        .await
    }

    /// A page of keys: those with lower numbers than this, at most so many.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn list_keys(&self, before: Option<i64>, limit: i64) -> Result<KeyPage> {
        let rows = in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::KEYS_LIST).await?;
            Ok(client.query(&statement, &[&before, &(limit + 1)]).await?)
        })
        .await?;
        let mut keys = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        let page = usize::try_from(limit).map_err(Error::fault)?;
        let more = keys.len() > page;
        keys.truncate(page);
        Ok(KeyPage { next: keys.last().map(|key| key.id).filter(|_| more), keys })
    }
}

fn names(scopes: &[Scope]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

async fn made(tx: &Tx<'_>, hash: &[u8]) -> Result<Option<MadeKey>> {
    let statement = tx.prepare_cached(statements::KEY_MADE).await?;
    let row = tx.query_opt(&statement, &[&hash]).await?;
    row.map(|row| {
        Ok(MadeKey {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant_id")?,
            owner: row.try_get("owner")?,
            expires_at: row.try_get("expires_at")?,
        })
    })
    .transpose()
}

/// The key of this number.
async fn listed(tx: &Tx<'_>, number: i64) -> Result<Option<ListedKey>> {
    let statement = tx.prepare_cached(statements::KEYS_LIST).await?;
    let row = tx.query_opt(&statement, &[&number.saturating_add(1), &1_i64]).await?;
    Ok(row.map(|row| read(&row)).transpose()?.filter(|key| key.id == number))
}

fn read(row: &Row) -> Result<ListedKey> {
    Ok(ListedKey {
        id: row.try_get("id")?,
        tenant: row.try_get("tenant_id")?,
        owner: row.try_get("owner")?,
        created_at: row.try_get("created_at")?,
        revoked_at: row.try_get("revoked_at")?,
        expires_at: row.try_get("expires_at")?,
        valid: row.try_get("valid")?,
        scopes: row.try_get("scopes")?,
        namespaces: row.try_get("namespaces")?,
        rate_limit: row.try_get("rate_limit_per_minute")?,
        max_open: row.try_get("max_open_intents")?,
        open_intents: row.try_get("open_intents")?,
    })
}

fn no_such_key() -> Error {
    Error::not_found("No such key. The list of keys says which there are.")
}

fn no_such_tenant() -> Error {
    Error::not_found("No such tenant. The list of keys says which there are.")
}
