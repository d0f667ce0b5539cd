//! A private Postgres that is as durable as a real one, and can be broken like one.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use private_postgres::{Data, Guard, Options, PrivatePostgres, USER};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::binary;

/// The database that the bus uses.
const NAME: &str = "postgres";

/// One server. Its address stays the same however often it is started again.
#[derive(Debug)]
pub struct Database {
    // Dropped first: nothing runs on a folder that is gone.
    server: Option<PrivatePostgres>,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Database {
    /// An empty one, with these settings.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let mut database = Self::unstarted(settings)?;
        database.launch().await?;
        Ok(database)
    }

    /// One that has no data yet: whoever makes it puts it into [`Database::data`].
    pub fn unstarted(settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("torture-").tempdir()?;
        // As root the server runs under another account, which has to get in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Self { server: None, settings, folder })
    }

    /// The folder of its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data/pgdata")
    }

    /// A folder beside it that its account can get into.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it, on the data that there is. Recovers first, if it was killed.
    pub async fn launch(&mut self) -> Result<()> {
        let guard = Guard { program: binary()?, args: vec!["postgres-guard".into()] };
        let data = Data::Kept(self.folder.path().join("data"));
        let options = Options { settings: self.settings.clone(), ..Options::new(data, guard) };
        let server = tokio::task::spawn_blocking(|| PrivatePostgres::start(options)).await??;
        let link = self.folder.path().join("socket");
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink(server.socket_dir(), &link).context("naming the socket")?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends it by a signal: QUIT is an immediate shutdown, with no word to anybody and nothing written.
    pub async fn kill(&mut self, signal: Signal) -> Result<()> {
        let server = self.server.take().ok_or_else(|| anyhow!("there is no server to kill"))?;
        let pid = i32::try_from(server.server_pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or_else(|| anyhow!("no process id"))?, signal)?;
        // Says that the server has died; it was to.
        let _ = tokio::task::spawn_blocking(|| server.stop()).await?;
        Ok(())
    }

    /// What the next start sets.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket/.s.PGSQL.5432")
    }

    /// In libpq's form.
    #[must_use]
    pub fn url(&self) -> String {
        format!("host={} port=5432 user={USER} dbname={NAME}", self.folder.path().join("socket").display())
    }

    /// The same by way of a port that leads to its socket.
    #[must_use]
    pub fn url_by(address: std::net::SocketAddr) -> String {
        let (host, port) = (address.ip(), address.port());
        format!("host={host} port={port} user={USER} dbname={NAME} sslmode=disable")
    }

    /// A session of our own.
    pub async fn session(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The folder with its programs.
    pub fn programs(&self) -> Result<PathBuf> {
        let server = self.server.as_ref().ok_or_else(|| anyhow!("there is no server"))?;
        Ok(server.binaries().dir.clone())
    }
}
