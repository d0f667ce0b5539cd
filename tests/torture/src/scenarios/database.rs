//! Postgres dies, cuts its sessions, has none to give, or is held up.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::{
    cluster::Setup,
    experiment::{Context, Report, Scenario, Verdict, under_load},
    load::Habits,
};

pub(super) const ALL: &[Scenario] = &[Scenario {
    name: "sessions-ended",
    what: "pg_terminate_backend, 5 times a second, of any session of the bus",
    passes: "safe",
    in_ci: true,
    run: |context| Box::pin(sessions_ended(context)),
}];

async fn sessions_ended(context: Context) -> Result<Report> {
    let lasts = context.chaos(10, 300);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        let (session, until, mut ended) = (cluster.database.session().await?, Instant::now() + lasts, 0);
        // Those at work first: a session that is idle loses nothing.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM (
                 SELECT pid FROM pg_stat_activity WHERE application_name = 'intent-bus' AND backend_type = 'client backend'
                 ORDER BY state = 'active' DESC, random() LIMIT 1
             ) AS one";
        while Instant::now() < until {
            ended += session.query_one(end, &[]).await?.try_get::<_, i64>(0)?;
            sleep(Duration::from_millis(200)).await;
        }
        Ok(Verdict::told(format!("{ended} sessions ended")))
    })
    .await
}
