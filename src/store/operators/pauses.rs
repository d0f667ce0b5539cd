//! Goals and namespaces that are not handed out for now. Claims know them from `store/pauses.rs`.

use std::time::Instant;

use serde_json::json;

use super::audit::{self, By};
use crate::{
    error::Result,
    store::{Store, admission::Admission, statements, transaction::in_time},
};

/// What is paused.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// In which namespace.
    pub namespace: String,
    /// Which goal. None: all of the namespace.
    pub goal: Option<String>,
    /// Since when, unix seconds.
    pub paused_at: f64,
}

impl Store {
    /// Stops handing out a goal, or all of a namespace. False: it was paused already.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn pause(&self, admission: &Admission, by: &By, namespace: &str, goal: Option<&str>) -> Result<bool> {
        self.change_pause(admission, by, ("pause", statements::PAUSE), namespace, goal).await
    }

    /// Hands it out again. False: it was not paused. A goal stays paused while its namespace is.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn resume(&self, admission: &Admission, by: &By, namespace: &str, goal: Option<&str>) -> Result<bool> {
        self.change_pause(admission, by, ("resume", statements::RESUME), namespace, goal).await
    }

    async fn change_pause(
        &self,
        admission: &Admission,
        by: &By,
        (action, statement): (&str, &str),
        namespace: &str,
        goal: Option<&str>,
    ) -> Result<bool> {
        let changed = self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statement).await?;
            let row = tx.query_opt(&statement, &[&namespace, &goal.unwrap_or_default()]).await?;
            let changed = row.is_some() || tx.maybe_done();
            if changed {
                audit::write(tx, by, action, Some(namespace), json!({"goal": goal})).await?;
            }
            Ok(changed)
        });
        let changed = changed.await?;
        // At once here; other replicas look within a second.
        let began = Instant::now();
        self.learn_pauses(self.changes().await?.1, began);
        Ok(changed)
    }

    /// Everything that is paused, at most 1000 lines.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn pauses(&self) -> Result<Vec<Pause>> {
        let rows = in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::PAUSES).await?;
            Ok(client.query(&statement, &[]).await?)
        })
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Pause {
                    namespace: row.try_get("namespace")?,
                    goal: row.try_get("goal")?,
                    paused_at: row.try_get("paused_at")?,
                })
            })
            .collect()
    }
}
