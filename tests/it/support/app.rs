//! The bus in this process: a server on a port of its own, on a thread of its own, over a database of its own.

use std::{collections::HashMap, net::SocketAddr, thread};

use intent_bus::{
    config::load_from,
    server::{Server, Stop},
};
use tokio::sync::oneshot;

use super::{Client, TestDb};

/// The root key.
pub(crate) const ROOT: &str = "root-key-0f8e7d6c5b4a39281706f5e4d3c2b1a0";
/// The admin token.
pub(crate) const ADMIN: &str = "admin-token-1a2b3c4d5e6f708192a3b4c5d6e7";
/// The password of the dashboard.
pub(crate) const PASSWORD: &str = "dashboard-pass-5d6e7f";
/// The token of the metrics.
pub(crate) const METRICS: &str = "metrics-token-9f8e7d6c5b4a3928";

/// Settings of every server under test. Maintenance runs when a test asks for it.
const SETTINGS: &[(&str, &str)] = &[
    ("BUS_SECRET", ROOT),
    ("BUS_ADMIN_SECRET", ADMIN),
    ("DASHBOARD_PASSWORD", PASSWORD),
    ("BUS_METRICS_TOKEN", METRICS),
    ("BUS_LISTEN", "127.0.0.1:0"),
    ("BUS_METRICS_LISTEN", "off"),
    ("BUS_WORKERS", "1"),
    ("BUS_CLEANUP_INTERVAL_SECONDS", "3600"),
    ("BUS_DRAIN_SECONDS", "0"),
    ("BUS_SHUTDOWN_SECONDS", "1"),
];

/// The environment of a server under test: the database, the settings above, and what a test sets apart from that.
pub(crate) fn environment(db: &TestDb, settings: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = [("DATABASE_URL", db.url.as_str())].into_iter().chain(SETTINGS.iter().copied());
    pairs.chain(settings.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A running bus and its database.
pub(crate) struct TestApp {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<Stop>>,
    // Dropped last: the server is told to stop before its database goes.
    /// Its database.
    pub(crate) db: std::sync::Arc<TestDb>,
}

impl TestApp {
    /// A bus on an empty database.
    pub(crate) async fn spawn() -> Self {
        Self::with(&[]).await
    }

    /// The same with other settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(TestDb::create().await.into(), settings).await
    }

    /// One more replica on the same database.
    pub(crate) async fn replica(&self, settings: &[(&str, &str)]) -> Self {
        Self::on(self.db.clone(), settings).await
    }

    /// A bus on this database.
    pub(crate) async fn on(db: std::sync::Arc<TestDb>, settings: &[(&str, &str)]) -> Self {
        let config = load_from(None, &environment(&db, settings)).expect("the settings of the test");
        let (started, address) = oneshot::channel();
        let (stop, told) = oneshot::channel();
        thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server =
                    Server::start(config).await.unwrap_or_else(|error| panic!("the bus does not start: {error:?}"));
                let _ = started.send(server.address().expect("an address"));
                let told = async { told.await.unwrap_or(Stop::Now) };
                server.run_until(told).await.expect("the bus has failed");
            });
        });
        let address = address.await.expect("the bus did not start");
        let http = super::http().build().expect("an HTTP client");
        Self { address, http, stop: Some(stop), db }
    }

    /// A client without a key.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.http.clone(), format!("http://{}", self.address))
    }

    /// A client with this key.
    pub(crate) fn client(&self, key: &str) -> Client {
        self.nobody().key(key)
    }

    /// The client that holds the root key.
    pub(crate) fn root(&self) -> Client {
        self.client(ROOT)
    }

    /// An operator, by the admin token.
    pub(crate) fn admin(&self) -> Client {
        self.nobody().with("x-admin-token", ADMIN)
    }

    /// A new tenant, with more requests a minute than any test makes.
    pub(crate) async fn tenant(&self, owner: &str) -> Client {
        let key = self.limited_tenant(owner).await;
        let raised = "UPDATE tenants SET rate_limit_per_minute = 1000000 WHERE owner = $1";
        assert_eq!(self.db.execute(raised, &[&owner]).await, 1);
        key
    }

    /// A new tenant with the limits that the settings give it.
    pub(crate) async fn limited_tenant(&self, owner: &str) -> Client {
        let made = self.admin().post("/admin/generate_key", serde_json::json!({"owner": owner})).await;
        self.client(made.expect(201)["api_key"].as_str().expect("a key"))
    }

    /// A minute passes, everything is counted, and the replica has heard of it. A replica counts by itself, too, now and then, and a
    /// pass leaves alone what somebody is at.
    pub(crate) async fn count_all(&self) {
        self.db.pass_a_minute().await;
        self.admin().cleanup().await.expect(200);
        self.db.nobody_counts().await;
        self.admin().cleanup().await.expect(200);
    }

    /// Sends these bytes over a connection of their own, and gives the answer's bytes as text.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_ref()).await.expect("the request is taken");
        let mut answer = Vec::new();
        // A server that answers early and resets the connection may cut the answer's end, not its beginning.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Tells the server to stop as SIGTERM or SIGINT would.
    pub(crate) fn stop(&mut self, how: Stop) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(how);
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop(Stop::Now);
    }
}
