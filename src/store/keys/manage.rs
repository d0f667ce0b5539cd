//! What operators do with keys. A change is known to every replica within a second: it is dated, and the caches look for dates.

use crate::{
    domain::scopes::Scope,
    error::{Error, Result},
    store::{Store, admission::Admission, operators::audit::By},
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
    pub async fn create_key(&self, admission: &Admission, by: &By, new: &NewKey<'_>, hash: &[u8; 32]) -> Result<MadeKey> {
        let _ = (admission, by, new, hash);
        Err(Error::fault("not there yet"))
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
        let _ = (admission, by, number, hash, overlap);
        Err(Error::fault("not there yet"))
    }

    /// Revokes a key for ever. Gives its hash, for the cache to forget; None: there is no such key.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn revoke_key(&self, admission: &Admission, by: &By, which: Which<'_>) -> Result<Option<[u8; 32]>> {
        let _ = (admission, by, which);
        Err(Error::fault("not there yet"))
    }

    /// Changes what a key reaches.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_scopes(&self, admission: &Admission, by: &By, number: i64, new: &NewReach<'_>) -> Result<ListedKey> {
        let _ = (admission, by, number, new);
        Err(Error::fault("not there yet"))
    }

    /// Changes a tenant's limits.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_limits(&self, admission: &Admission, by: &By, tenant: i64, new: NewLimits) -> Result<TenantLimits> {
        let _ = (admission, by, tenant, new);
        Err(Error::fault("not there yet"))
    }

    /// A page of keys: those with lower numbers than this, at most so many.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn list_keys(&self, before: Option<i64>, limit: i64) -> Result<KeyPage> {
        let _ = (before, limit);
        Err(Error::fault("not there yet"))
    }
}
