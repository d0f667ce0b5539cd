//! Postgres dies, cuts its sessions, has none to give, or is held up.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, process::Stdio, time::Duration};

use anyhow::Result;
use private_postgres::USER;
use rustix::process::Signal;
use tokio::{
    net::TcpListener,
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    cluster::{Cluster, Database, Setup, send},
    experiment::{Context, Report, Scenario, Verdict, run_on, under_load},
    load::Habits,
    log::{now, rate},
};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "postgres-killed",
        what: "Postgres gets an immediate shutdown 3 times (long: 10 times), and recovers",
        passes: "safe",
        in_ci: true,
        run: |context| Box::pin(postgres_killed(context)),
    },
    Scenario {
        name: "sessions-ended",
        what: "pg_terminate_backend, 5 times a second, of any session of the bus",
        passes: "safe, and at least 3 sessions a second were ended",
        in_ci: false,
        run: |context| Box::pin(sessions_ended(context)),
    },
    Scenario {
        name: "connections-exhausted",
        what: "idle sessions of others, up to 300, take every connection that Postgres has, while those of the bus are ended",
        passes: "safe, and Postgres has refused at least one connection",
        in_ci: false,
        run: |context| Box::pin(connections_exhausted(context)),
    },
    Scenario {
        name: "xmin-pinned",
        what: "a transaction that never ends keeps every dead row alive",
        passes: "safe, and there were dead rows",
        in_ci: false,
        run: |context| Box::pin(xmin_pinned(context)),
    },
    Scenario {
        name: "snapshot-readers",
        what: "4 sessions read all tables of the bus, each in one long snapshot after the other",
        passes: "safe, and no reader ended early",
        in_ci: false,
        run: |context| Box::pin(snapshot_readers(context)),
    },
    Scenario {
        name: "pgbouncer",
        what: "replicas reach Postgres through PgBouncer in transaction mode, which is killed and started again",
        passes: "safe, and the pool ran until it was killed",
        in_ci: false,
        run: |context| Box::pin(pooled(context)),
    },
    Scenario {
        name: "listener-blocked",
        what: "the sessions that listen for signals stand still (SIGSTOP of their processes)",
        passes: "safe, and every replica had a listener to stop",
        in_ci: false,
        run: |context| Box::pin(listener_blocked(context)),
    },
];

async fn postgres_killed(context: Context) -> Result<Report> {
    let times = context.pick(3, 10);
    under_load(context, Setup::default(), Habits::default(), context.chaos(3, 10), async |cluster, _, lasts| {
        let mut slowest = Duration::ZERO;
        for _ in 0..times {
            cluster.database.kill(Signal::QUIT).await?;
            let begun = Instant::now();
            cluster.database.launch().await?;
            slowest = slowest.max(begun.elapsed());
            sleep(lasts).await;
        }
        Ok(Verdict::told(format!("{times} times killed; back after {} ms at most", slowest.as_millis())))
    })
    .await
}

async fn sessions_ended(context: Context) -> Result<Report> {
    let lasts = context.chaos(10, 300);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        let (session, until, mut ended) = (cluster.database.session().await?, Instant::now() + lasts, 0);
        while Instant::now() < until {
            ended += session.query_one(END_ONE, &[]).await?.try_get::<_, i64>(0)?;
            sleep(Duration::from_millis(200)).await;
        }
        let enough = 3 * i64::try_from(lasts.as_secs())?;
        Ok(Verdict::of(format!("{ended} sessions ended"), ended >= enough))
    })
    .await
}

/// Ends a session of the bus. One at work first: a session that is idle loses nothing.
const END_ONE: &str = "SELECT count(pg_terminate_backend(pid)) FROM (
         SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'intent-bus%' AND backend_type = 'client backend'
         ORDER BY state = 'active' DESC, random() LIMIT 1
     ) AS one";

async fn connections_exhausted(context: Context) -> Result<Report> {
    let lasts = context.chaos(10, 120);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        let (session, until) = (cluster.database.session().await?, Instant::now() + lasts);
        let (mut idle, mut most, mut ended, mut refused) = (Vec::new(), 0, 0, 0);
        while Instant::now() < until {
            // Whatever becomes free is taken, until there is none.
            while idle.len() < 300 {
                let Ok(one) = cluster.database.session().await else {
                    refused += 1;
                    break;
                };
                idle.push(one);
            }
            most = most.max(idle.len());
            ended += session.query_one(END_ONE, &[]).await?.try_get::<_, i64>(0)?;
            sleep(Duration::from_millis(300)).await;
        }
        let figure = format!("{most} idle sessions, {refused} more refused, {ended} of the bus ended");
        Ok(Verdict::of(figure, refused > 0))
    })
    .await
}

/// The rate while something goes on, against that of the 5 s before it.
async fn meanwhile(cluster: &Cluster, lasts: Duration) -> String {
    let begun = now();
    sleep(lasts).await;
    let events = cluster.bus.log.events();
    let (before, during) = (rate(&events, begun - 5.0, begun), rate(&events, begun, now()));
    format!("{before:.0}/s before, {during:.0}/s meanwhile")
}

async fn xmin_pinned(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 600);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        let session = cluster.database.session().await?;
        session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM intents").await?;
        let figure = meanwhile(cluster, lasts).await;
        let dead = "SELECT coalesce(sum(n_dead_tup), 0)::int8 FROM pg_stat_user_tables WHERE relname = 'intents'";
        let dead: i64 = cluster.database.session().await?.query_one(dead, &[]).await?.try_get(0)?;
        session.batch_execute("ROLLBACK").await?;
        Ok(Verdict::of(format!("pinned for {} s, {dead} dead rows; {figure}", lasts.as_secs()), dead > 0))
    })
    .await
}

async fn snapshot_readers(context: Context) -> Result<Report> {
    let lasts = context.chaos(12, 600);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let session = cluster.database.session().await?;
            readers.spawn(async move {
                let read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                     SELECT count(*) FROM intents; SELECT pg_sleep(1);
                     SELECT count(*), sum(length(payload)) FROM payloads; SELECT pg_sleep(1);
                     SELECT count(*) FROM finished; SELECT count(*) FROM nonces; COMMIT";
                while session.batch_execute(read).await.is_ok() {}
            });
        }
        let figure = meanwhile(cluster, lasts).await;
        let mut early = 0;
        while readers.try_join_next().is_some() {
            early += 1;
        }
        readers.abort_all();
        Ok(Verdict::of(format!("{figure}; {early} of 4 readers ended early"), early == 0))
    })
    .await
}

async fn listener_blocked(context: Context) -> Result<Report> {
    let lasts = context.chaos(10, 120);
    under_load(context, Setup::default(), Habits::default(), lasts, async |cluster, _, lasts| {
        // What they said last: that they listen, or a signal of their own.
        let listening = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
             AND (query LIKE '%; LISTEN %' OR query LIKE 'SELECT pg_notify(%')";
        let rows = cluster.database.session().await?.query(listening, &[]).await?;
        let pids: Vec<u32> = rows.iter().map(|row| row.get::<_, i32>(0).cast_unsigned()).collect();
        for pid in &pids {
            send(*pid, Signal::STOP)?;
        }
        let figure = meanwhile(cluster, lasts).await;
        for pid in &pids {
            send(*pid, Signal::CONT)?;
        }
        Ok(Verdict::of(format!("{} listeners stopped; {figure}", pids.len()), pids.len() == cluster.places.len()))
    })
    .await
}

/// The pool: PGBOUNCER names another than the system's.
fn pgbouncer() -> Option<PathBuf> {
    let path = std::env::var_os("PGBOUNCER").map_or_else(|| PathBuf::from("/usr/sbin/pgbouncer"), PathBuf::from);
    let said = std::process::Command::new(&path).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&said.stdout).split_whitespace().nth(1)?.to_owned();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next()? == 1 && numbers.next()? >= 21).then_some(path)
}

async fn pooled(context: Context) -> Result<Report> {
    let Some(program) = pgbouncer() else {
        return Ok(Report::skipped(
            context,
            "PGBOUNCER names no PgBouncer of 1.21 or newer, the first that keeps prepared statements",
        ));
    };
    let began = std::time::Instant::now();
    let database = Database::start(&[("max_connections", "120")]).await?;
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let folder = database.folder().to_owned();
    let settings = folder.join("pgbouncer.ini");
    fs::write(
        &settings,
        format!(
            "[databases]\npostgres = host={} port=5432 user={USER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             max_prepared_statements = 500\ndefault_pool_size = 16\nmax_client_conn = 500\n",
            folder.join("socket").display()
        ),
    )?;
    // It refuses to be root, as Postgres does.
    let owner = fs::metadata(database.data())?;
    let start = || {
        let mut command = Command::new(&program);
        command.arg("-q").arg(&settings).current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if owner.uid() != fs::metadata("/proc/self")?.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        anyhow::Ok(command.spawn()?)
    };
    let mut pool = start()?;
    let by_pool = Database::url_by(([127, 0, 0, 1], port).into());
    let settings = vec![("DATABASE_URL", by_pool), ("DATABASE_DIRECT_URL", database.url())];
    let setup = Setup { settings, ..Setup::default() };
    let mut cluster = Cluster::on(database, setup, context.seed).await?;
    let lasts = context.chaos(10, 120);
    run_on(&mut cluster, began, context, Habits::default(), lasts, async |_, _, lasts| {
        sleep(lasts / 2).await;
        let kills = usize::from(pool.try_wait()?.is_none());
        pool.kill().await?;
        pool = start()?;
        sleep(lasts / 2).await;
        Ok(Verdict::of(format!("the pool was killed {kills} times"), kills > 0))
    })
    .await
}
