//! The subcommands of whoever runs a bus: they start it, look after its schema, measure and probe it. Those of publishers
//! and workers are in `cli`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use crate::{
    bench, check,
    config::{self, Config, Database},
    dev,
    error::{Error, Result},
    server::{self, Server},
    store::{connect, migrations},
    telemetry::logging,
};

/// What can be done with a bus of one's own.
#[derive(Subcommand)]
pub enum Command {
    /// Runs one replica of the bus.
    Serve {
        /// The settings file (TOML). The environment goes before it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only check the settings and print them, without secrets.
        #[arg(long)]
        check: bool,
    },
    /// Runs the bus with a Postgres of its own, to try it or to develop against it.
    Dev(dev::Arguments),
    /// Measures a bus: publishes, claims and fulfils intents as fast as it takes them, or at a rate.
    Bench(bench::Arguments),
    /// Takes one intent through a bus that runs, from its publication to its result. Ends with 1 if anything is wrong.
    Check(check::Check),
    /// Asks a replica whether it is ready. Ends with 1 if it is not.
    Health(check::Health),
    /// Applies what is missing of the schema.
    Migrate {
        /// The settings file (TOML). The environment goes before it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only say what has been applied and what is missing. Ends with 1 if something is.
        #[arg(long)]
        status: bool,
    },
    /// Looks after the private Postgres of `dev`.
    #[command(hide = true)]
    PostgresGuard,
}

/// Does it, and prints what came of it.
#[must_use]
#[allow(clippy::print_stderr, reason = "the last words of a command")]
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        // Has to run before any thread is started.
        Command::PostgresGuard => return private_postgres::guard::run(),
        Command::Serve { config, check: true } => read(config.as_deref()).map(|config| show(&config)),
        Command::Serve { config, check: false } => read(config.as_deref()).and_then(serve),
        Command::Dev(arguments) => dev::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Health(arguments) => check::health(arguments),
        Command::Migrate { config, status } => config::load_database(config.as_deref())
            .map_err(|error| Error::invalid(error.to_string()))
            .and_then(|database| migrate(&database, status)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("intent-bus: {}", error.message());
        if let Some(internal) = error.internal() {
            eprintln!("intent-bus: because: {internal}");
        }
        ExitCode::FAILURE
    })
}

fn read(file: Option<&Path>) -> Result<Config> {
    config::load(file).map_err(|error| Error::invalid(error.to_string()))
}

fn serve(config: Config) -> Result<ExitCode> {
    let _log = logging::init(&config.listen.log, config.listen.log_pretty);
    actix_web::rt::System::new().block_on(async { Server::start(config).await?.run().await })?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "the command's answer")]
fn show(config: &Config) -> ExitCode {
    for (name, value) in config.shown() {
        println!("{name} = {value}");
    }
    ExitCode::SUCCESS
}

#[allow(clippy::print_stdout, reason = "the command's answer")]
fn migrate(database: &Database, status: bool) -> Result<ExitCode> {
    actix_web::rt::System::new().block_on(async {
        if !status {
            let applied = server::migrate(database).await?;
            println!("{} of {} migrations applied now.", applied.len(), migrations::ALL.len());
            return Ok(ExitCode::SUCCESS);
        }
        let client = connect(database.session()).await?;
        let journal = migrations::journal(&client).await?;
        for migration in migrations::ALL {
            let applied = journal.iter().any(|entry| entry.number == migration.number);
            println!("{} {}", if applied { "applied" } else { "missing" }, migration.name);
        }
        Ok(if migrations::pending(&client).await? { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}
