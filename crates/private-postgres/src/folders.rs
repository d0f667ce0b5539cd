//! The folders on disk, who holds them, and what earlier guards left in them.
//!
//! A kept folder holds `pgdata` (Postgres's own) and `guard.lock`. A run folder below the system's temporary folder
//! holds the socket, the log and, for ephemeral data, `pgdata`; it is itself locked, so that whoever gets the lock
//! knows that its guard is dead and may clear it away.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        process::parent_id,
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use crate::{
    Error,
    account::{self, Account},
    pidfile,
};

/// How a run folder's name starts.
pub(crate) const RUN_PREFIX: &str = "private-postgres-";

/// A socket's path fits 103 bytes on macOS and 107 on Linux; this is left for the temporary folder itself.
const LONGEST_BASE: usize = 103 - "/private-postgres-xxxxxx/.s.PGSQL.5432.".len();

/// How long a guard whose caller is dead may take to stop its server: all of its stages, see `cluster`.
const LAST_RITES: Duration = Duration::from_secs(25);

/// `$variable` when it is absolute, as its specification asks, else `~/below_home`.
pub(crate) fn user_dir(variable: &str, below_home: &str) -> Result<PathBuf, Error> {
    if let Some(dir) = env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Ok(dir);
    }
    let home = env::home_dir().filter(|home| home.is_absolute());
    home.map(|home| home.join(below_home)).ok_or_else(|| {
        Error::io(format!("finding a folder of one's own: set HOME or {variable}"))(io::ErrorKind::NotFound.into())
    })
}

/// Makes `folder` and what is missing above it. What root makes is open to the account that runs Postgres, whatever
/// the umask; what others make is theirs alone.
pub(crate) fn create(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create(parent)?;
    }
    let tell = || Error::io(format!("making the folder {}", folder.display()));
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(tell())?,
    }
    if account::is_root() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(tell())?;
    }
    Ok(())
}

/// A kept folder, held by this process until dropped.
pub(crate) struct Kept {
    folder: PathBuf,
    _lock: File,
}

impl Kept {
    /// Makes the folder if need be and takes it. Waits for a guard that is only still clearing up after a dead caller.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        create(folder)?;
        let tell = || Error::io(format!("using the data folder {}", folder.display()));
        let folder = fs::canonicalize(folder).map_err(tell())?;
        let known = ["guard.lock", "pgdata.new", "lost+found"];
        let foreign = |entry: fs::DirEntry| known.iter().all(|name| entry.file_name() != *name);
        if !folder.join("pgdata").exists() && fs::read_dir(&folder).map_err(tell())?.flatten().any(foreign) {
            return Err(Error::ForeignFolder(folder));
        }
        let path = folder.join("guard.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(tell())?;
        let deadline = Instant::now() + LAST_RITES;
        while let Err(error) = lock.try_lock() {
            let TryLockError::WouldBlock = error else {
                return Err(tell()(error.into()));
            };
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            // Without an id, its holder is about to write it.
            if pid.is_some_and(is_alive) || Instant::now() > deadline {
                let pid = pid.unwrap_or(0);
                return Err(Error::InUse { folder, pid });
            }
            thread::sleep(Duration::from_millis(10));
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", parent_id())).map_err(tell())?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Whether there is a process of that id.
pub(crate) fn is_alive(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// A run folder, removed with all in it when dropped.
pub(crate) struct Run {
    dir: TempDir,
    lock: File,
}

impl Run {
    /// Makes one for `account` and clears away those of dead guards.
    pub(crate) fn create(account: Account) -> Result<Self, Error> {
        let base = base(account);
        sweep(&base, account);
        let tell = || Error::io(format!("making a folder in {}", base.display()));
        loop {
            // tempfile leaves the mode to the umask, and the socket asks for no password.
            let dir = tempfile::Builder::new()
                .prefix(RUN_PREFIX)
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(&base)
                .map_err(tell())?;
            // Another guard's sweep may take the folder before it is locked, as nobody's; then we make another.
            let lock = match File::open(dir.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(tell())?,
            };
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => continue,
                locked => locked.map_err(|error| tell()(error.into()))?,
            }
            if dir.path().exists() {
                account.own(dir.path())?;
                return Ok(Self { dir, lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A server that had to be killed may leave children that write for a moment more.
        for _ in 0..100 {
            if remove(self.path()) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Not before: a sweep would start on the same folder.
        let _ = self.lock.unlock();
    }
}

fn remove(folder: &Path) -> bool {
    !matches!(fs::remove_dir_all(folder), Err(error) if error.kind() != io::ErrorKind::NotFound)
}

/// The temporary folder, or `/tmp` where that is too long for a socket, closed to the account, or has characters that
/// would need quoting in a connection string.
fn base(account: Account) -> PathBuf {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    Some(env::temp_dir())
        .filter(|base| base.is_absolute() && base.as_os_str().len() <= LONGEST_BASE)
        .filter(|base| base.as_os_str().as_bytes().iter().all(plain))
        .filter(|base| base.is_dir() && account.blocked_at(base).is_none())
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Removes the run folders whose guard was killed. Best effort: a folder that resists is left for the next time.
fn sweep(base: &Path, account: Account) {
    let ours = [rustix::process::geteuid().as_raw(), account.uid()];
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(RUN_PREFIX.as_bytes()) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_dir() || !ours.contains(&meta.uid()) {
            continue;
        }
        let folder = entry.path();
        let Ok(lock) = File::open(&folder) else {
            continue;
        };
        if lock.try_lock().is_ok()
            && ["pgdata", "pgdata.new"].iter().all(|data| pidfile::reclaim(&folder.join(data)).is_ok())
        {
            remove(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_of_a_dead_guard_is_cleared_away_and_a_living_ones_is_not() -> Result<(), Box<dyn std::error::Error>>
    {
        let base = tempfile::tempdir()?;
        let (dead, alive, other) = (
            base.path().join("private-postgres-dead"),
            base.path().join("private-postgres-alive"),
            base.path().join("x"),
        );
        for folder in [&dead, &alive, &other] {
            fs::create_dir_all(folder.join("pgdata"))?;
        }
        let lock = File::open(&alive)?;
        lock.try_lock()?;
        sweep(base.path(), Account::Ours);
        assert_eq!((dead.exists(), alive.exists(), other.exists()), (false, true, true));
        Ok(())
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("thesis.tex"), "")?;
        assert!(matches!(Kept::open(folder.path()), Err(Error::ForeignFolder(_))));
        assert!(!folder.path().join("guard.lock").exists());
        Ok(())
    }
}
