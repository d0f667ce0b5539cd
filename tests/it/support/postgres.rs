//! One Postgres for the whole test process, and one database in it for each test.
//!
//! The server is a private one, which ends with this process, or the one that `TEST_DATABASE_URL` names. A database is a
//! copy of a template that has been migrated once, and it is dropped when its test is over.

use std::{sync::OnceLock, thread};

use intent_bus::{
    store::{Store, connect, connect::Address, migrations},
    telemetry::{flow::Flow, traces::Traces},
};
use private_postgres::{Data, Fetch, Guard, Options, PrivatePostgres};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Config, NoTls, Row, types::ToSql};

/// The advisory lock under which several test processes on one server make the template: "template" in ASCII.
const LOCK: i64 = 0x7465_6d70_6c61_7465;
/// Databases that are made ahead.
const AHEAD: usize = 3;

/// A database of one test's own.
pub(crate) struct TestDb {
    /// As `DATABASE_URL` takes it.
    pub(crate) url: String,
    name: String,
    sql: tokio::sync::OnceCell<tokio_postgres::Client>,
}

impl TestDb {
    /// A migrated, empty database.
    pub(crate) async fn create() -> Self {
        let cluster = Cluster::get();
        let name = cluster.database().await;
        Self { url: cluster.url(&name), name, sql: tokio::sync::OnceCell::new() }
    }

    /// An empty database without a schema.
    pub(crate) async fn create_bare() -> Self {
        let db = Self::create().await;
        db.batch("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
        db
    }

    /// A new session on this database.
    pub(crate) async fn session(&self) -> tokio_postgres::Client {
        session(&self.url).await
    }

    /// What a replica has of it.
    pub(crate) fn store(&self) -> Store {
        store_on(&self.url)
    }

    async fn sql(&self) -> &tokio_postgres::Client {
        self.sql.get_or_init(|| self.session()).await
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> u64 {
        self.sql().await.execute(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Runs several statements.
    pub(crate) async fn batch(&self, sql: &str) {
        self.sql().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The rows of a query.
    pub(crate) async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.sql().await.query(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The one value of a query that has one row of one column.
    pub(crate) async fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> T {
        let rows = self.rows(sql, parameters).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].get(0)
    }

    /// Waits until some session waits for a lock.
    pub(crate) async fn somebody_waits(&self) {
        let sql = "SELECT EXISTS (
                 SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
             )";
        while !self.value::<bool>(sql, &[]).await {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many requests of tenants have been let in, each with what it does committed: they count in the minute.
    pub(crate) async fn have_asked(&self, requests: i64) {
        let sql = "SELECT coalesce(sum(hit), 0)::bigint FROM rate_windows, unnest(hits) AS hit";
        while self.value::<i64>(sql, &[]).await < requests {
            tokio::task::yield_now().await;
        }
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {table}"), &[]).await
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let cluster = Cluster::get();
        let (done, dropped) = std::sync::mpsc::channel();
        let _ = cluster.tasks.send(Task::Drop(std::mem::take(&mut self.name), done));
        // A private server goes with its databases; on another nothing shall be left when this process ends.
        if cluster.private.is_none() {
            let _ = dropped.recv();
        }
    }
}

enum Task {
    Create(oneshot::Sender<String>),
    Drop(String, std::sync::mpsc::Sender<()>),
}

/// The server, and the one thread that makes and drops databases.
struct Cluster {
    private: Option<PrivatePostgres>,
    given: String,
    tasks: mpsc::UnboundedSender<Task>,
}

impl Cluster {
    fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let given = std::env::var("TEST_DATABASE_URL").unwrap_or_default();
        let private = given.is_empty().then(start_private);
        let (tasks, mut incoming) = mpsc::unbounded_channel();
        let cluster = Self { private, given, tasks };
        let (postgres, template) = (cluster.url("postgres"), template_name());
        let template_url = cluster.url(&template);
        // A server that outlives the tests shall not keep databases that none has asked for.
        let ahead = if cluster.private.is_some() { AHEAD } else { 0 };
        thread::spawn(move || {
            runtime().block_on(async move {
                let admin = session(&postgres).await;
                make_template(&admin, &template, &template_url).await;
                let (mut stock, mut made) = (Vec::new(), 0);
                loop {
                    // While nobody asks for anything, a few databases are made ahead.
                    let idle = stock.len() >= ahead;
                    let task = if idle { incoming.recv().await } else { incoming.try_recv().ok() };
                    match task {
                        Some(Task::Drop(name, done)) => {
                            run(&admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                            let _ = done.send(());
                        }
                        Some(Task::Create(asked)) if !stock.is_empty() => drop(asked.send(stock.remove(0))),
                        None if idle => break,
                        task => {
                            made += 1;
                            let name = format!("it_{}_{made}", std::process::id());
                            run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
                                .await;
                            match task {
                                Some(Task::Create(asked)) => drop(asked.send(name)),
                                _ => stock.push(name),
                            }
                        }
                    }
                }
            });
        });
        cluster
    }

    fn url(&self, database: &str) -> String {
        self.private.as_ref().map_or_else(|| with_database(&self.given, database), |private| private.url(database))
    }

    async fn database(&self) -> String {
        let (asked, answer) = oneshot::channel();
        assert!(self.tasks.send(Task::Create(asked)).is_ok(), "the thread that makes databases has ended");
        answer.await.expect("the thread that makes databases has ended")
    }
}

fn start_private() -> PrivatePostgres {
    let bus = env!("CARGO_BIN_EXE_intent-bus");
    let guard = match memory() {
        // The folder is the guard's choice, so it is the guard whose environment says where.
        Some(folder) => Guard {
            program: "/usr/bin/env".into(),
            args: vec![format!("TMPDIR={folder}").into(), bus.into(), "postgres-guard".into()],
        },
        None => Guard { program: bus.into(), args: vec!["postgres-guard".into()] },
    };
    let options = Options {
        fetch: Fetch::Allowed,
        durable: false,
        settings: vec![("max_connections".to_owned(), "400".to_owned())],
        ..Options::new(Data::Ephemeral, guard)
    };
    PrivatePostgres::start(options).unwrap_or_else(|error| panic!("no Postgres to test on: {error}"))
}

/// A folder in memory with room to spare, unless `TMPDIR` names another. A database is some 600 files: where a disk is slow to
/// make them, the tests take five times as long on it.
fn memory() -> Option<&'static str> {
    const FOLDER: &str = "/dev/shm";
    let free = rustix::fs::statvfs(FOLDER).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))?;
    (std::env::var_os("TMPDIR").is_none() && free > 4 << 30).then_some(FOLDER)
}

/// One template for each schema, so that a server that outlives the tests does not fill up with them.
fn template_name() -> String {
    let checksums: String = migrations::ALL.iter().map(migrations::Migration::checksum).collect();
    let hash = intent_bus::domain::hash::hash64(&[checksums.as_bytes()]);
    format!("it_template_{hash:016x}")
}

async fn make_template(admin: &tokio_postgres::Client, name: &str, url: &str) {
    admin.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.expect("no lock");
    let there = admin.query("SELECT FROM pg_database WHERE datname = $1", &[&name]).await.expect("no catalogue");
    if there.is_empty() {
        // Made under another name first: a template that exists is a complete one.
        let unfinished = format!("{name}_new");
        run(admin, &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        run(admin, &format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await;
        migrate(&url.replace(name, &unfinished)).await;
        run(admin, &format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    admin.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.expect("no lock");
}

/// What a replica has of the database at this URL.
pub(crate) fn store_on(url: &str) -> Store {
    let pool = Address::parse(url).expect("a URL").pool(2).expect("a pool");
    Store::new(pool, 86_400.0, Flow::new().expect("metrics"), Traces::default())
}

/// Migrates in a runtime of its own, which ends with every session on the template: nobody may be connected to it.
async fn migrate(url: &str) {
    let url = url.to_owned();
    let migrated = thread::spawn(move || {
        runtime().block_on(async {
            let address = Address::parse(&url).expect("the URL of the template");
            let direct = connect(&address).await.expect("no connection to the template");
            migrations::apply(&direct).await.expect("the migrations failed");
            store_on(&url).make_partitions().await.expect("the partitions could not be made");
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()";
            direct.execute(others, &[]).await.expect("the other sessions would not end");
        });
    });
    tokio::task::spawn_blocking(move || migrated.join().expect("the template could not be migrated"))
        .await
        .expect("no thread");
}

async fn run(admin: &tokio_postgres::Client, sql: &str) {
    admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn session(url: &str) -> tokio_postgres::Client {
    let config: Config = url.parse().expect("a connection string");
    let (client, connection) =
        config.connect(NoTls).await.unwrap_or_else(|error| panic!("no connection to {url}: {error}"));
    tokio::spawn(connection);
    client
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime")
}

/// The URL of another database on the same server.
fn with_database(url: &str, database: &str) -> String {
    let (head, parameters) =
        url.split_once('?').map_or((url, String::new()), |(head, rest)| (head, format!("?{rest}")));
    let server = head.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{server}/{database}{parameters}")
}
