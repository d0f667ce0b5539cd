//! What a caller can choose.

use std::{
    env,
    ffi::OsString,
    path::{self, PathBuf},
};

use crate::{Binaries, Error, Fetch, account, folders, guard::Orders};

/// Where the data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In this folder, from one start to the next. It is made if missing, and must otherwise be empty or made by this
    /// crate.
    Kept(PathBuf),
    /// In a temporary folder that goes away with the server.
    Ephemeral,
}

/// The executable that runs [`guard::run`](crate::guard::run) when called with these arguments.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Usually the caller's own.
    pub program: PathBuf,
    /// Usually a hidden subcommand.
    pub args: Vec<OsString>,
}

impl Guard {
    /// This very executable, with `name` as its only argument.
    pub fn subcommand(name: &str) -> Result<Self, Error> {
        let program = env::current_exe().map_err(Error::io("finding this executable"))?;
        Ok(Self { program, args: vec![name.into()] })
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the data lives.
    pub data: Data,
    /// What looks after the server.
    pub guard: Guard,
    /// Whether a server may be downloaded when there is none.
    pub fetch: Fetch,
    /// Server settings, such as `("max_connections", "200")`.
    pub settings: Vec<(String, String)>,
    /// `false` trades the data's safety in a crash of the machine for speed. For tests only.
    pub durable: bool,
}

impl Options {
    /// A durable server with default settings, of a Postgres that is installed.
    #[must_use]
    pub fn new(data: Data, guard: Guard) -> Self {
        Self { data, guard, fetch: Fetch::Never, settings: Vec::new(), durable: true }
    }

    /// The same as the guard understands it.
    pub(crate) fn orders(&self, binaries: &Binaries) -> Result<Orders, Error> {
        let kept = match &self.data {
            Data::Ephemeral => OsString::new(),
            Data::Kept(folder) => path::absolute(folder).map_err(Error::io("finding the data folder"))?.into(),
        };
        let unsafe_but_fast = [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];
        let lasting = if self.durable { &[][..] } else { &unsafe_but_fast[..] };
        let given = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings =
            lasting.iter().copied().chain(given).map(|(name, value)| format!("{name}={value}").into()).collect();
        Ok(Orders { bin: binaries.dir.clone().into(), major: binaries.major, kept, settings })
    }
}

/// The folder for data that is to be kept, when the user names none: below `/var/lib` as root (root's home is closed to
/// the account that runs Postgres), else below `$XDG_DATA_HOME` or `~/.local/share`.
pub fn default_data_dir() -> Result<PathBuf, Error> {
    if account::is_root() {
        return Ok(PathBuf::from("/var/lib/intent-bus/dev"));
    }
    Ok(folders::user_dir("XDG_DATA_HOME", ".local/share")?.join("intent-bus/dev"))
}
