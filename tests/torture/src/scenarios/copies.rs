//! Postgres is replaced by a copy of itself: a standby that takes over, or a backup that is put back.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};
use futures_util::future::join;
use rustix::process::Signal;
use tokio::{process::Command, time::sleep};

use crate::{
    cluster::{Cluster, Database, Setup, send},
    experiment::{Context, Report, Scenario, Verdict, run_on},
    load::Habits,
    log::now,
    proxy::Upstream,
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "failover-sync",
        what: "Postgres is killed; its synchronous standby is promoted",
        passes: "safe: nothing that was acknowledged is lost",
        in_ci: false,
        run: |context| Box::pin(replaced(context, By::SyncStandby)),
    },
    Scenario {
        name: "failover-async",
        what: "Postgres is killed a second after its asynchronous standby has heard the last of it, which is promoted",
        passes: "something is lost, and counted; nothing else happens, and nothing ends twice on one of the two",
        in_ci: false,
        run: |context| Box::pin(replaced(context, By::AsyncStandby)),
    },
    Scenario {
        name: "restore",
        what: "Postgres is lost with its disk; a base backup and the archived WAL are put back",
        passes: "as failover-async",
        in_ci: false,
        run: |context| Box::pin(replaced(context, By::Backup)),
    },
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    SyncStandby,
    AsyncStandby,
    Backup,
}

/// How long a copy may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

async fn replaced(context: Context, by: By) -> Result<Report> {
    let began = std::time::Instant::now();
    let mut primary = Database::unstarted(&[("max_connections", "120")])?;
    let archive = primary.folder().join("archive");
    if by == By::Backup {
        fs::create_dir(&archive)?;
        fs::set_permissions(&archive, fs::Permissions::from_mode(0o777))?;
        primary.set("archive_mode", "on");
        primary.set("archive_timeout", "2");
        primary.set("archive_command", &format!("cp %p {}/%f", archive.display()));
    }
    primary.launch().await?;
    let setup = Setup { between: true, ..Setup::default() };
    let mut cluster = Cluster::on(primary, setup, context.seed).await?;
    let lasts = context.chaos(5, 60);
    let report = run_on(&mut cluster, began, context, Habits::default(), lasts, async |cluster, _, lasts| {
        let mut copy = base_backup(&cluster.database).await?;
        match by {
            By::Backup => sign(&copy.data(), "recovery.signal")?,
            By::SyncStandby | By::AsyncStandby => sign(&copy.data(), "standby.signal")?,
        }
        if by == By::Backup {
            copy.set("restore_command", &format!("cp {}/%f %p", archive.display()));
        } else {
            copy.set("primary_conninfo", &cluster.database.url().replace(" dbname=postgres", ""));
            copy.launch().await?;
            follow(cluster, by == By::SyncStandby).await?;
        }
        sleep(lasts).await;
        if by == By::AsyncStandby {
            fall_behind(cluster).await?;
        } else {
            cluster.database.kill(Signal::QUIT).await?;
        }
        let lost_at = now();
        if by == By::Backup {
            copy.launch().await?;
        } else {
            copy.session().await?.query_one("SELECT pg_promote()", &[]).await?;
        }
        until_writable(&copy).await?;
        if by != By::SyncStandby {
            // What was committed after the last that the copy has heard of is lost.
            let last = "SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::float8";
            let last: Option<f64> = copy.session().await?.query_one(last, &[]).await?.try_get(0)?;
            cluster.lost = Some((last.ok_or_else(|| anyhow!("the copy has heard of nothing"))?, lost_at));
        }
        let old = std::mem::replace(&mut cluster.database, copy);
        for proxy in cluster.places.iter().filter_map(|place| place.between.as_ref()) {
            proxy.lead_to(Upstream::Unix(cluster.database.socket()));
            proxy.close();
        }
        let away = now() - lost_at;
        // Its archive was needed until now.
        drop(old);
        let lost = cluster.lost.map(|(from, to)| format!(", {:.1} s were lost", to - from)).unwrap_or_default();
        Ok(Verdict::told(format!("another one took over after {away:.1} s{lost}")))
    });
    let mut report = report.await?;
    let has_lost = report.findings.as_ref().is_some_and(|found| found.figures.excused > 0);
    report.verdict.holds &= has_lost == (by != By::SyncStandby);
    Ok(report)
}

/// A copy of a database that runs.
async fn base_backup(of: &Database) -> Result<Database> {
    let copy = Database::unstarted(&[("max_connections", "120")])?;
    let owner = fs::metadata(of.data())?;
    let data = copy.data();
    let parent = data.parent().ok_or_else(|| anyhow!("no folder"))?;
    fs::create_dir(parent)?;
    chown(parent, Some(owner.uid()), Some(owner.gid()))?;
    let mut command = Command::new(of.programs()?.join("pg_basebackup"));
    command.arg("-D").arg(&data).args(["-X", "stream", "-c", "fast", "--no-sync", "-d", &of.url()]).current_dir("/");
    if owner.uid() != fs::metadata("/proc/self")?.uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let done = command.output().await?;
    ensure!(done.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&done.stderr));
    Ok(copy)
}

/// Says what a server is to be that starts on this data.
fn sign(data: &Path, name: &str) -> Result<()> {
    let (owner, path) = (fs::metadata(data)?, data.join(name));
    fs::write(&path, "")?;
    Ok(chown(&path, Some(owner.uid()), Some(owner.gid()))?)
}

/// Waits until the standby follows; `sync`: until every COMMIT waits for it.
async fn follow(cluster: &Cluster, sync: bool) -> Result<()> {
    let session = cluster.database.session().await?;
    if sync {
        session.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        session.batch_execute("SELECT pg_reload_conf()").await?;
    }
    let follows =
        "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming' AND (sync_state = 'sync') = $1";
    let waited = async {
        while !session.query_one(follows, &[&sync]).await?.try_get::<_, bool>(0)? {
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, waited).await?
}

/// The standby hears nothing for a second; then its primary is gone, with what it had not sent.
async fn fall_behind(cluster: &mut Cluster) -> Result<()> {
    let sender = "SELECT pid FROM pg_stat_replication";
    let sender = cluster.database.session().await?.query_one(sender, &[]).await?.try_get::<_, i32>(0)?.cast_unsigned();
    send(sender, Signal::STOP)?;
    sleep(Duration::from_secs(1)).await;
    // In this order: the sender must not go while there is somebody to start all again, and the server is not gone before it.
    let (killed, sent) = join(cluster.database.kill(Signal::KILL), async { send(sender, Signal::KILL) }).await;
    killed.and(sent)
}

async fn until_writable(database: &Database) -> Result<()> {
    let waited = async {
        loop {
            if let Ok(session) = database.session().await
                && let Ok(row) = session.query_one("SELECT pg_is_in_recovery()", &[]).await
                && !row.try_get::<_, bool>(0)?
            {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await?
}
