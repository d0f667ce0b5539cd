//! Where `postgres` and `initdb` are. Looks in the usual places, and asks each candidate for its version.
//!
//! The order: `BUS_PG_BIN`, `PATH`, the folders of the packagers (highest version first), a copy fetched earlier.

use std::{
    cmp::Reverse,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Error, account::Account, fetch};

/// The oldest Postgres the bus runs on.
pub const MINIMUM_MAJOR: u32 = 15;

/// Folders in which each packager keeps its versions side by side, and what stands before the version.
const PACKAGED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// A Postgres server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `postgres` and `initdb`, free of symbolic links.
    pub dir: PathBuf,
    /// The version as the server tells it, such as `15.18`.
    pub version: String,
    /// Its first number.
    pub major: u32,
}

impl Binaries {
    /// The programs in `folder`, or why they will not do.
    pub(crate) fn inspect(folder: &Path) -> Result<Self, String> {
        // A link in /usr/local/bin may stand alone: `initdb` and the libraries are beside what it points at.
        let postgres = fs::canonicalize(folder.join("postgres")).map_err(|_| "no `postgres` in it".to_owned())?;
        let dir = postgres.parent().unwrap_or(folder).to_owned();
        if !dir.join("initdb").is_file() {
            return Err(format!("no `initdb` in {}", dir.display()));
        }
        let said = Command::new(&postgres)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", postgres.display()))?;
        let (version, major) = parse_version(&String::from_utf8_lossy(&said.stdout)).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&said.stderr);
            format!("{} does not tell its version: {}", postgres.display(), complaint.trim())
        })?;
        if major < MINIMUM_MAJOR {
            return Err(format!("Postgres {version} in {}", dir.display()));
        }
        Ok(Self { dir, version, major })
    }
}

/// Whether [`PrivatePostgres::start`](crate::PrivatePostgres::start) would have to download a server first: none is
/// installed and none was fetched before. A caller asks before it allows that ([`Fetch`](crate::Fetch)).
#[must_use]
pub fn needs_fetch() -> bool {
    matches!(Search::of_this_machine().run(), Err(Error::NoPostgres { .. }))
}

/// The places to look in.
pub(crate) struct Search {
    named: Option<PathBuf>,
    path: Option<OsString>,
    packaged: Vec<PathBuf>,
    fetched: Option<PathBuf>,
    account: Account,
}

impl Search {
    /// What this machine and this process's environment offer.
    pub(crate) fn of_this_machine() -> Self {
        Self {
            named: env::var_os("BUS_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from),
            path: env::var_os("PATH"),
            packaged: PACKAGED.iter().flat_map(|(parent, prefix)| newest_first(Path::new(parent), prefix)).collect(),
            fetched: fetch::cache_dir().ok().map(|cache| fetch::bin_dir(&cache)),
            account: Account::choose(None).unwrap_or(Account::Ours),
        }
    }

    /// The first that will do. A folder named by the user must do: falling back in silence would hide the mistake.
    pub(crate) fn run(self) -> Result<Binaries, Error> {
        if let Some(folder) = self.named {
            return Binaries::inspect(&folder)
                .and_then(|found| reachable(found, self.account))
                .map_err(|why| Error::NamedBinaries { folder, why });
        }
        let path = self.path.unwrap_or_default();
        let candidates =
            env::split_paths(&path).filter(|folder| folder.is_absolute()).chain(self.packaged).chain(self.fetched);
        let mut refused = Vec::new();
        for folder in candidates.filter(|folder| folder.join("postgres").exists()) {
            match Binaries::inspect(&folder).and_then(|found| reachable(found, self.account)) {
                Ok(found) => return Ok(found),
                Err(why) if refused.contains(&why) => {}
                Err(why) => refused.push(why),
            }
        }
        let found = if refused.is_empty() { String::new() } else { format!(" (found: {})", refused.join("; ")) };
        Err(Error::NoPostgres { found })
    }
}

/// Postgres does not run as root; a build in root's home is no use to the account that runs it.
fn reachable(found: Binaries, account: Account) -> Result<Binaries, String> {
    match account.blocked_at(&found.dir) {
        Some(blocked) => Err(format!(
            "{}, which uid {} cannot reach for {} is closed to it",
            found.dir.display(),
            account.uid(),
            blocked.display()
        )),
        None => Ok(found),
    }
}

/// The `bin` folders under `parent` whose version folder starts with `prefix`.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; a development version has only `19devel`.
fn parse_version(said: &str) -> Option<(String, u32)> {
    let version = said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    let major = version.get(..digits)?.parse().ok()?;
    Some((version.to_owned(), major))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    /// A folder with a `postgres` that only tells a version.
    fn fake(bin: &Path, version: &str) -> io::Result<()> {
        fs::create_dir_all(bin)?;
        fs::write(bin.join("initdb"), "")?;
        let postgres = bin.join("postgres");
        fs::write(&postgres, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Some OS)'\n"))?;
        fs::set_permissions(postgres, fs::Permissions::from_mode(0o755))
    }

    fn search(path: &[&Path], packaged: &Path) -> Search {
        Search {
            named: None,
            path: env::join_paths(path).ok(),
            packaged: newest_first(packaged, ""),
            fetched: None,
            account: Account::Ours,
        }
    }

    #[test]
    fn versions_are_read_in_every_shape_they_come_in() {
        let parse = |said| parse_version(said).map(|(_, major)| major);
        assert_eq!(parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(parse("postgres (EnterpriseDB) x"), None);
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_folder_with_initdb() -> Result<(), Box<dyn std::error::Error>> {
        let base = tempfile::tempdir()?;
        let (real, links) = (base.path().join("real"), base.path().join("links"));
        fake(&real, "16.2")?;
        fs::create_dir(&links)?;
        symlink(real.join("postgres"), links.join("postgres"))?;
        let found = search(&[&links], &base.path().join("none")).run()?;
        assert_eq!((found.dir, found.version.as_str(), found.major), (real.canonicalize()?, "16.2", 16));
        Ok(())
    }

    #[test]
    fn the_newest_package_wins_and_one_too_old_is_passed_over() -> Result<(), Box<dyn std::error::Error>> {
        let base = tempfile::tempdir()?;
        let (old, packaged) = (base.path().join("old"), base.path().join("packaged"));
        fake(&old, "13.4")?;
        for version in ["9.6", "16", "17"] {
            fake(&packaged.join(version).join("bin"), &format!("{version}.1"))?;
        }
        assert_eq!(search(&[&old], &packaged).run()?.version, "17.1");

        let refused = search(&[&old], &base.path().join("none")).run().map_err(|error| error.to_string());
        assert!(refused.as_ref().is_err_and(|text| text.contains("found: Postgres 13.4 in")), "{refused:?}");
        Ok(())
    }

    #[test]
    fn a_folder_named_by_the_user_must_do() -> Result<(), Box<dyn std::error::Error>> {
        let base = tempfile::tempdir()?;
        let (good, named) = (base.path().join("good"), base.path().join("named"));
        fake(&good, "17.0")?;
        fake(&named, "14.9")?;
        let refused = Search { named: Some(named), ..search(&[&good], &good) }.run();
        assert!(matches!(refused, Err(Error::NamedBinaries { .. })), "{refused:?}");
        Ok(())
    }
}
