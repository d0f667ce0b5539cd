//! The ephemeral key-value store, by tenant.

use std::{cell::Cell, time::SystemTime};

use super::{
    Store,
    admission::Admission,
    idempotency::{Idempotency, Reserved},
    statements,
};
use crate::error::Result;

/// A value to be kept for a while.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Whose it is.
    pub tenant: i64,
    /// Its name.
    pub key: &'a str,
    /// A JSON string literal, ready to be sent.
    pub value: &'a [u8],
    /// Seconds.
    pub ttl: f64,
}

impl Store {
    /// Stores a value; does nothing if the same request was done before under the same idempotency key.
    ///
    /// # Errors
    /// What admission refuses; an idempotency clash.
    pub async fn set(&self, admission: &Admission, idempotency: Option<&Idempotency>, entry: &Entry<'_>) -> Result<()> {
        let before = Cell::new(None::<SystemTime>);
        self.transact(admission, async |tx| {
            if let Some(idempotency) = idempotency
                && let Reserved::Before = idempotency.reserve(tx).await?
            {
                return Ok(());
            }
            let statement = tx.prepare_cached(statements::KV_SET).await?;
            let Entry { tenant, key, value, ttl } = entry;
            let row = tx.query_opt(&statement, &[tenant, key, value, ttl, &tx.maybe_done(), &before.get()]).await?;
            before.set(row.map(|row| row.try_get("before")).transpose()?.flatten());
            Ok(())
        })
        .await
    }

    /// The value of a key, a JSON string literal; none when it was never set or has expired.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn get(&self, admission: &Admission, tenant: i64, key: &str) -> Result<Option<Vec<u8>>> {
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::KV_GET).await?;
            let row = tx.query_opt(&statement, &[&tenant, &key]).await?;
            Ok(row.map(|row| row.try_get("value")).transpose()?)
        })
        .await
    }

    /// Deletes expired values, at most `limit` of them.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn drop_expired_values(&self, limit: i64) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::KV_DROP_EXPIRED).await?;
        Ok(client.query(&statement, &[&limit]).await?.len() as u64)
    }
}
