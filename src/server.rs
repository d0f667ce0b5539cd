//! One replica: migrate, bind, run, drain.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    middleware::from_fn,
    rt::task::JoinHandle,
    web::{self, Data},
};
use futures_util::FutureExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{
    app::State,
    config::{Config, Database},
    error::{Error, ErrorCode, Result},
    http::{envelope, meta, routes},
    maintenance,
    store::{Store, connect, connect::keep_session_settings, migrations},
    telemetry::{flow::Flow, traces::Traces},
};

/// Before idle connections are closed, busy ones get so long to be told, by an answer, that it was their last. A client that
/// is about to send its next request would lose it otherwise.
const LAST_ANSWERS: Duration = Duration::from_millis(250);
/// A replica that has served its last request gets so long to say that it stops. Else it is seen as gone.
const LAST_SIGN: Duration = Duration::from_secs(1);

/// A replica that is bound and ready to serve.
pub struct Server {
    state: Data<State>,
    config: Config,
    bus: TcpListener,
    metrics: Option<TcpListener>,
}

/// How a replica is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As by SIGTERM: let the load balancer notice first.
    Gently,
    /// As by SIGINT: finish what is under way.
    Now,
}

impl Server {
    /// Binds the listeners and prepares the database. While that is away the replica starts all the same, and is not ready.
    ///
    /// # Errors
    /// When a port is taken or a migration fails.
    pub async fn start(config: Config) -> Result<Self> {
        let pool = config.database.address.pool(config.database.pool_size)?;
        let traces = start_traces(&config);
        let store = Store::new(pool, config.limits.intent_ttl, Flow::new()?, traces);
        let bus = bind(&config.listen.bus, "BUS_LISTEN (of dev: --listen)")?;
        let metrics =
            config.listen.metrics.as_deref().map(|address| bind(address, "BUS_METRICS_LISTEN")).transpose()?;
        let state = Data::new(State::new(&config, store)?);
        match prepare(&state, &config.database).await {
            Ok(()) => {}
            Err(error) if error.code() == ErrorCode::DatabaseBusy => {
                tracing::warn!(?error, "the database is away or its schema is not there; waiting for it");
            }
            Err(error) => return Err(error),
        }
        Ok(Self { state, config, bus, metrics })
    }

    /// The address of the bus, with the port that was taken if 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn address(&self) -> Result<std::net::SocketAddr> {
        self.bus.local_addr().map_err(Error::fault)
    }

    /// The address of the open metrics, if there are any.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn metrics_address(&self) -> Result<Option<std::net::SocketAddr>> {
        self.metrics.as_ref().map(TcpListener::local_addr).transpose().map_err(Error::fault)
    }

    /// Serves until SIGTERM or SIGINT, then lets requests under way finish.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self) -> Result<()> {
        let (on_term, on_int) = (SignalKind::terminate(), SignalKind::interrupt());
        let (mut term, mut int) = (signal(on_term).map_err(Error::fault)?, signal(on_int).map_err(Error::fault)?);
        self.run_until(async {
            tokio::select! { _ = term.recv() => Stop::Gently, _ = int.recv() => Stop::Now }
        })
        .await
    }

    /// Serves until told to stop, then lets requests under way finish. Signals are the caller's.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, told: impl Future<Output = Stop>) -> Result<()> {
        let Self { state, config, bus, metrics } = self;
        let addresses = (local(&bus), metrics.as_ref().map(local).unwrap_or_default());
        let server = serve_bus(&state, &config, bus)?;
        let metrics = metrics.map(|listener| serve_metrics(&state, listener)).transpose()?;
        let handle = server.handle();
        let mut background = Background::start(&state, &config)?;
        tracing::info!(listen = addresses.0, metrics = addresses.1, version = meta::VERSION, "listening");

        let stop = async {
            drain(&state, &handle, told.await, config.listen.drain).await;
        };
        let metrics_handle = metrics.as_ref().map(actix_web::dev::Server::handle);
        let metrics = metrics.map(actix_web::rt::spawn);
        let (ended, ()) = tokio::join!(server, stop);
        if let (Some(handle), Some(task)) = (metrics_handle, metrics) {
            handle.stop(false).await;
            let _ = task.await;
        }
        tokio::join!(background.sign_off(), state.store.traces.close());
        drop(background);
        tracing::info!("stopped");
        ended.map_err(Error::fault)
    }
}

/// Takes a port. `setting`: what names another.
fn bind(address: &str, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        Error::invalid(format!("Cannot listen on {address}: {error}. {setting} names another address and port."))
    })
}

/// A collector that cannot be used is no reason not to serve.
fn start_traces(config: &Config) -> Traces {
    Traces::start(&config.traces, config.database.address.name()).unwrap_or_else(|error| {
        tracing::warn!(?error, "there are no traces");
        Traces::default()
    })
}

/// Applies what is missing of the schema, and gives the role what sessions need where that cannot be sent with them.
///
/// # Errors
/// `database_busy` when the database is away; a fault when a migration fails.
pub async fn migrate(database: &Database) -> Result<Vec<&'static str>> {
    let client = connect(database.session()).await?;
    let applied = migrations::apply(&client).await?;
    if database.direct.is_some() {
        keep_session_settings(&client).await?;
    }
    Ok(applied)
}

/// Brings the schema up to date, or waits for whoever does that apart, and makes the partitions that intents go to.
async fn prepare(state: &State, database: &Database) -> Result<()> {
    if database.migrate {
        let applied = migrate(database).await?;
        if !applied.is_empty() {
            tracing::info!(?applied, "migrated");
        }
    } else {
        state.store.has_schema().await?;
    }
    if database.direct.is_some() {
        state.store.has_session_settings().await?;
    }
    state.store.make_partitions().await?;
    state.set_prepared();
    Ok(())
}

/// Prepares the database as soon as it is there.
async fn prepare_later(state: &State, database: &Database) {
    while !state.is_prepared() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Err(error) = prepare(state, database).await {
            tracing::warn!(?error, "the database is not ready yet");
        }
    }
}

async fn drain(state: &State, handle: &ServerHandle, how: Stop, drain: Duration) {
    tracing::info!(?how, "stopping");
    state.begin_draining();
    tokio::time::sleep(if how == Stop::Gently { drain.max(LAST_ANSWERS) } else { LAST_ANSWERS }).await;
    handle.stop(true).await;
}

fn serve_bus(state: &Data<State>, config: &Config, listener: TcpListener) -> Result<actix_web::dev::Server> {
    let state = state.clone();
    let server = HttpServer::new(move || {
        App::new().app_data(state.clone()).wrap(from_fn(envelope::wrap)).configure(routes::configure)
    })
    .workers(config.listen.workers)
    .disable_signals()
    // Who has hung up does not wait any more: his handler ends, and what it was about to get goes to others. Otherwise a claim
    // that waits would outlive its client by up to a minute and take an intent with it.
    .h1_allow_half_closed(false)
    .keep_alive(config.listen.keep_alive)
    .client_request_timeout(config.limits.request_timeout)
    .shutdown_timeout(config.listen.shutdown.as_secs());
    Ok(server.listen(listener).map_err(Error::fault)?.run())
}

fn serve_metrics(state: &Data<State>, listener: TcpListener) -> Result<actix_web::dev::Server> {
    let state = state.clone();
    let server = HttpServer::new(move || {
        App::new().app_data(state.clone()).route("/metrics", web::get().to(meta::open_metrics))
    })
    .disable_signals()
    .workers(1);
    Ok(server.listen(listener).map_err(Error::fault)?.run())
}

/// What runs beside the requests, and ends with this value.
struct Background {
    tasks: Vec<JoinHandle<()>>,
    /// Which is told of the end, and ends by itself.
    pulse: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Background {
    fn start(state: &Data<State>, config: &Config) -> Result<Self> {
        let (settings, database) = (config.maintenance.clone(), config.database.clone());
        let (for_keys, for_maintenance) = (Arc::clone(state), Arc::clone(state));
        let (for_pulse, for_pages) = (Arc::clone(state), Arc::clone(state));
        let store = || state.store.clone();
        let (for_calendar, for_marks, for_waiting, for_signals, for_vacuum) =
            (store(), store(), store(), store(), store());
        let address = database.session().clone();
        let watcher = Store::new(
            database.address.pool(1)?,
            config.limits.intent_ttl,
            Arc::clone(&state.store.flow),
            Traces::default(),
        );
        let (stop, stopped) = oneshot::channel();
        let pulse = actix_web::rt::spawn(async move {
            let stopped = stopped.map(drop);
            maintenance::pulse::run(&for_pulse, stopped).await;
        });
        let tasks = vec![
            actix_web::rt::spawn(async move { for_keys.keys.watch(&watcher).await }),
            actix_web::rt::spawn(async move { for_calendar.watch_calendar().await }),
            actix_web::rt::spawn(async move { for_marks.watch_marks().await }),
            actix_web::rt::spawn(async move { for_waiting.watch_for_waiting().await }),
            actix_web::rt::spawn(async move { for_signals.signal(&address).await }),
            actix_web::rt::spawn(async move { for_pages.live.run(&for_pages.store).await }),
            actix_web::rt::spawn(async move { maintenance::vacuum::run(&for_vacuum).await }),
            actix_web::rt::spawn(async move {
                prepare_later(&for_maintenance, &database).await;
                maintenance::run(&for_maintenance, &settings).await;
            }),
        ];
        Ok(Self { tasks, pulse: Some((stop, pulse)) })
    }

    /// Says that this replica stops, if that can be done soon.
    async fn sign_off(&mut self) {
        let Some((stop, mut pulse)) = self.pulse.take() else { return };
        let _ = stop.send(());
        if tokio::time::timeout(LAST_SIGN, &mut pulse).await.is_err() {
            pulse.abort();
            tracing::warn!("the database does not answer: this replica is shown as gone for an hour");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in self.tasks.iter().chain(self.pulse.as_ref().map(|(_, pulse)| pulse)) {
            task.abort();
        }
    }
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}
