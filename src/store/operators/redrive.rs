//! Dead letters put back by filter: open again, with all their attempts before them, so many a second.

use std::{collections::HashMap, time::SystemTime};

use serde_json::json;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    audit::{self, By},
    search::{Filter, Found, SEARCHING, moment, read_found},
};
use crate::{
    domain::{ids::IntentId, lanes::Lanes},
    error::{Error, Result},
    store::{Store, admission::Admission, statements, transaction::in_time},
    telemetry::events::{Changed, changed},
};

/// Dead letters that one redrive may look at.
const DEAD_LOOKED_AT: i64 = 100_000;
/// Dead letters that one transaction puts back.
const PART: usize = 1000;
/// Dead letters that a dry run shows.
const SAMPLE: usize = 10;

/// What to put back, and how fast.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// Which dead letters: namespace, goal, tenant, error, since, until (when they died). The rest of it is not looked at.
    pub filter: Filter,
    /// At most so many, 1 to 10,000, those that died first.
    pub limit: i64,
    /// How many become due in each second, 1 to 1000.
    pub per_second: i32,
}

/// What would be put back.
#[derive(Debug, Default)]
pub struct Candidates {
    /// How many match, as far as was looked.
    pub count: i64,
    /// The first ten of them.
    pub sample: Vec<Found>,
    /// There may be more: the limit was reached, or as many dead letters were looked at as may be.
    pub more: bool,
    /// Where to go on if there are more, unix seconds: `since` of the next one.
    pub searched_until: Option<f64>,
}

/// What was put back.
#[derive(Debug, Default, Clone, Copy)]
pub struct Redriven {
    /// How many.
    pub count: i64,
    /// There may be more.
    pub more: bool,
    /// Where to go on if there are more.
    pub searched_until: Option<f64>,
    /// When the last one becomes due, unix seconds.
    pub last_due_at: Option<f64>,
}

/// One that is to be put back.
struct Candidate {
    id: Uuid,
    died_at: SystemTime,
    tenant: i64,
    namespace: String,
    goal: String,
    lanes: Lanes,
    /// Seconds from now until it is due.
    due_in: f64,
}

/// How far a look for candidates has come.
struct Looked {
    rows: Vec<Row>,
    more: bool,
    searched_until: Option<f64>,
}

impl Store {
    /// What a redrive would put back. Changes nothing.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn redrive_candidates(&self, redrive: &Redrive) -> Result<Candidates> {
        let looked = self.look_for_dead(redrive).await?;
        Ok(Candidates {
            count: i64::try_from(looked.rows.len()).map_err(Error::fault)?,
            sample: looked.rows.iter().take(SAMPLE).map(read_found).collect::<Result<_>>()?,
            more: looked.more,
            searched_until: looked.searched_until,
        })
    }

    /// Puts dead letters back.
    ///
    /// # Errors
    /// What admission refuses; `database_busy`: what was put back until then stays so.
    pub async fn redrive(&self, admission: &Admission, by: &By, redrive: &Redrive) -> Result<Redriven> {
        self.admit(admission).await?;
        let looked = self.look_for_dead(redrive).await?;
        let candidates = looked.rows.iter().enumerate().map(|(number, row)| {
            #[allow(clippy::cast_precision_loss, reason = "at most ten thousand")]
            let due_in = number as f64 / f64::from(redrive.per_second);
            Candidate::read(row, due_in)
        });
        let candidates = candidates.collect::<Result<Vec<_>>>()?;
        let mut redriven = Redriven { more: looked.more, searched_until: looked.searched_until, ..Redriven::default() };
        // Each part has a transaction of its own, so that publishers of the same tenants wait for a short time only.
        for part in candidates.chunks(PART) {
            let (count, last_due_at) = self.redrive_part(by, redrive, part).await?;
            redriven.count += count;
            redriven.last_due_at = last_due_at.or(redriven.last_due_at);
        }
        Ok(redriven)
    }

    async fn look_for_dead(&self, redrive: &Redrive) -> Result<Looked> {
        let Filter { namespace, goal, tenant, error, since, until, .. } = &redrive.filter;
        let (until, since) = (until.map(moment), moment(since.unwrap_or(0.0)));
        let mut rows = in_time(async {
            let mut client = self.client().await?;
            let tx = client.reading().await?;
            tx.batch_execute(SEARCHING).await?;
            let statement = tx.prepare_cached(statements::REDRIVE_FIND).await?;
            let wanted = redrive.limit + 1;
            let rows = tx
                .query(&statement, &[&until, &since, namespace, goal, tenant, error, &DEAD_LOOKED_AT, &wanted])
                .await?;
            tx.rollback().await?;
            Ok(rows)
        })
        .await?;
        let mut looked = Looked { rows: Vec::new(), more: false, searched_until: None };
        let limit = usize::try_from(redrive.limit).map_err(Error::fault)?;
        if let Some(next) = rows.get(limit) {
            // One beyond what is wanted: the next look begins with it.
            (looked.more, looked.searched_until) = (true, Some(next.try_get("completed_at")?));
            rows.truncate(limit);
        } else if let Some(last) = rows.last()
            && last.try_get::<_, i64>("number")? == DEAD_LOOKED_AT
        {
            (looked.more, looked.searched_until) = (true, Some(last.try_get("completed_at")?));
            if !last.try_get::<_, bool>("matches")? {
                rows.pop();
            }
        }
        looked.rows = rows;
        Ok(looked)
    }

    async fn redrive_part(&self, by: &By, redrive: &Redrive, part: &[Candidate]) -> Result<(i64, Option<f64>)> {
        let ids: Vec<Uuid> = part.iter().map(|one| one.id).collect();
        let died_at: Vec<SystemTime> = part.iter().map(|one| one.died_at).collect();
        let own_goal: Vec<i64> = part.iter().map(|one| one.lanes.own_goal).collect();
        let own: Vec<i64> = part.iter().map(|one| one.lanes.own).collect();
        let public_goal: Vec<Option<i64>> = part.iter().map(|one| one.lanes.public_goal).collect();
        let public: Vec<Option<i64>> = part.iter().map(|one| one.lanes.public).collect();
        let due_in: Vec<f64> = part.iter().map(|one| one.due_in).collect();
        let tenants: Vec<i64> = part.iter().map(|one| one.tenant).collect();
        let free = Admission::default();
        let redriven = self.transact(&free, async |tx| {
            tx.query(&tx.prepare_cached(statements::REDRIVE_LOCK).await?, &[]).await?;
            tx.query(&tx.prepare_cached(statements::REDRIVE_QUOTAS).await?, &[&tenants]).await?;
            let statement = tx.prepare_cached(statements::REDRIVE).await?;
            let parameters: [&(dyn ToSql + Sync); 7] =
                [&ids, &died_at, &own_goal, &own, &public_goal, &public, &due_in];
            let mut row = tx.query_one(&statement, &parameters).await?;
            if tx.maybe_done() {
                row = tx.query_one(&tx.prepare_cached(statements::REDRIVEN).await?, &[&ids]).await?;
            }
            let (back, last_due_at): (Vec<Uuid>, Option<f64>) = (row.try_get("ids")?, row.try_get("last_due_at")?);
            if !back.is_empty() {
                let Filter { namespace, goal, tenant, error, since, until, .. } = &redrive.filter;
                let details = json!({
                    "count": back.len(), "first_id": part.first().map(|one| one.id.simple().to_string()),
                    "per_second": redrive.per_second, "namespace": namespace, "goal": goal, "tenant": tenant,
                    "error": error, "since": since, "until": until,
                });
                audit::write(tx, by, "redrive", None, details).await?;
            }
            Ok((back, last_due_at))
        });
        let (back, last_due_at) = redriven.await?;
        let asked: HashMap<Uuid, &Candidate> = part.iter().map(|one| (one.id, one)).collect();
        for one in back.iter().filter_map(|id| asked.get(id)) {
            let (namespace, goal) = (one.namespace.as_str(), one.goal.as_str());
            changed("redriven", IntentId(one.id), Changed { namespace, goal, attempt: None, worker: None });
        }
        Ok((i64::try_from(back.len()).map_err(Error::fault)?, last_due_at))
    }
}

impl Candidate {
    fn read(row: &Row, due_in: f64) -> Result<Self> {
        let tenant = row.try_get("tenant_id")?;
        let (namespace, goal): (&str, &str) = (row.try_get("namespace")?, row.try_get("goal")?);
        let lanes = Lanes::of_intent(
            tenant,
            row.try_get("public")?,
            namespace,
            goal,
            row.try_get("target_worker")?,
            row.try_get("required_capability")?,
        );
        Ok(Self {
            id: row.try_get("id")?,
            died_at: row.try_get("finished_at")?,
            tenant,
            namespace: namespace.to_owned(),
            goal: goal.to_owned(),
            lanes,
            due_in,
        })
    }
}
