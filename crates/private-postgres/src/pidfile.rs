//! Postgres's own `postmaster.pid`: whether a server is ready, and whether one that its guard left behind still runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, kill_process};

use crate::{Error, cluster::STOP_SERVER, folders};

/// How long the children of a dead server may take to notice.
const ORPHANS: Duration = Duration::from_secs(5);

/// What the file says. Later lines are missing while the server starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) ready: bool,
    socket_dir: PathBuf,
    /// Key and id of the System V shared memory by which two servers on one folder notice each other.
    shared_memory: Option<(String, String)>,
}

impl PidFile {
    /// The file in `pgdata`, if there is one and it makes sense.
    pub(crate) fn read(pgdata: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(pgdata.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // `initdb`'s single-user server writes its id negated.
        let pid = lines.next()?.trim().parse::<i32>().ok()?.checked_abs()?;
        let socket_dir = PathBuf::from(lines.nth(3).unwrap_or_default());
        let shared_memory = lines.nth(1).and_then(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            words.next().zip(words.next())
        });
        let ready = lines.next().is_some_and(|line| line.trim() == "ready");
        Some(Self { pid, ready, socket_dir, shared_memory })
    }

    /// Whether the server that wrote this runs. The process id alone will not do: after a crash, and in containers
    /// always, it may be somebody else's by now.
    fn is_running(&self) -> bool {
        folders::is_alive(self.pid)
            && match self.segment() {
                Segment::Attached(count) => count > 0,
                Segment::Gone => false,
                Segment::Unknown => says_postgres(self.pid),
            }
    }

    fn segment(&self) -> Segment {
        let Ok(table) = fs::read_to_string("/proc/sysvipc/shm") else {
            return Segment::Unknown;
        };
        let Some((key, id)) = &self.shared_memory else {
            return Segment::Gone;
        };
        let count = table.lines().find_map(|line| {
            // key shmid perms size cpid lpid nattch …
            let words: Vec<_> = line.split_whitespace().collect();
            let ours = words.first() == Some(&key.as_str())
                && words.get(1) == Some(&id.as_str())
                && words.get(4).and_then(|word| word.parse().ok()) == Some(self.pid);
            if ours { words.get(6)?.parse().ok() } else { None }
        });
        count.map_or(Segment::Gone, Segment::Attached)
    }

    /// Once the server is dead without having cleared up: waits for its children to go, and frees its shared memory,
    /// which would otherwise stay until the machine restarts.
    pub(crate) fn release_shared_memory(&self) {
        let deadline = Instant::now() + ORPHANS;
        while let (Segment::Attached(count), Some((_, id))) = (self.segment(), &self.shared_memory) {
            if count == 0 || Instant::now() > deadline {
                let mut removal = Command::new("ipcrm");
                removal.args(["-m", id]).stdout(Stdio::null()).stderr(Stdio::null());
                // Without ipcrm 56 bytes stay; a kept folder's next server frees them itself.
                let _ = removal.status();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The server's shared memory, as the system lists it.
enum Segment {
    /// The system has no such list (no `/proc`).
    Unknown,
    Gone,
    /// By so many processes: the server and its children.
    Attached(u32),
}

fn says_postgres(pid: i32) -> bool {
    Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

/// Makes `pgdata` free for a new server. Only called by whoever holds the folder's lock, so a server that still runs
/// there has lost its guard and is stopped; one that somebody started by hand is theirs and left alone.
pub(crate) fn reclaim(pgdata: &Path) -> Result<(), Error> {
    let Some(file) = PidFile::read(pgdata) else {
        return Ok(());
    };
    let in_use = || Error::InUse { folder: pgdata.to_owned(), pid: file.pid };
    if file.is_running() {
        let run = file.socket_dir.file_name().unwrap_or_default();
        if !run.as_encoded_bytes().starts_with(folders::RUN_PREFIX.as_bytes()) {
            return Err(in_use());
        }
        stop(&file);
        if file.is_running() {
            return Err(in_use());
        }
    }
    file.release_shared_memory();
    match fs::remove_file(pgdata.join("postmaster.pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("clearing up {}", pgdata.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Polls, for it is no child of ours.
fn stop(file: &PidFile) {
    let Some(pid) = Pid::from_raw(file.pid) else {
        return;
    };
    for &(signal, patience) in STOP_SERVER {
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !file.is_running() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "12947\n/d\n1795367662\n5432\n/tmp/private-postgres-x\n\n 10010693         8\n";

    #[test]
    fn only_the_last_line_makes_a_server_ready() {
        let parse = |text: String| PidFile::parse(&text).map(|file| (file.pid, file.ready));
        assert_eq!(parse(format!("{FILE}ready   \n")), Some((12947, true)));
        assert_eq!(parse(format!("{FILE}starting\n")), Some((12947, false)));
        assert_eq!(parse(FILE.to_owned()), Some((12947, false)));
        assert_eq!(parse("-77\n".to_owned()), Some((77, false)));
        assert_eq!(parse(String::new()), None);
    }

    #[test]
    fn a_process_id_reused_by_another_program_is_no_server() -> Result<(), Box<dyn std::error::Error>> {
        let pgdata = tempfile::tempdir()?;
        let own = std::process::id();
        fs::write(pgdata.path().join("postmaster.pid"), FILE.replace("12947", &own.to_string()))?;
        reclaim(pgdata.path())?;
        assert!(!pgdata.path().join("postmaster.pid").exists());
        Ok(())
    }
}
