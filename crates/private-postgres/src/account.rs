//! As whom Postgres runs. It refuses root, so root steps down to an account that owns nothing else of worth.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

/// Where root steps down to, the first that exists. `_postgres` is what macOS calls it.
const ACCOUNTS: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The account Postgres runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Whoever runs us, when that is not root.
    Ours,
    /// Another one, because we are root.
    Other { uid: u32, gid: u32 },
}

/// Whether this process may become somebody else, and must.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Account {
    /// The account for a data folder: as root the owner of `pgdata` where there is one already, else by name.
    pub(crate) fn choose(pgdata: Option<&Path>) -> Result<Self, Error> {
        let owner = pgdata.and_then(|folder| fs::metadata(folder).ok().map(|meta| (folder, meta.uid(), meta.gid())));
        if !is_root() {
            let us = rustix::process::geteuid().as_raw();
            return match owner {
                Some((folder, owner, _)) if owner != us => Err(Error::OtherOwner { folder: folder.to_owned(), owner }),
                _ => Ok(Self::Ours),
            };
        }
        if let Some((_, uid, gid)) = owner.filter(|(_, uid, _)| *uid != 0) {
            return Ok(Self::Other { uid, gid });
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("reading /etc/passwd"))?;
        in_passwd(&passwd).ok_or(Error::NoAccount)
    }

    /// Makes `command` run as this account. std drops root's supplementary groups by itself when only a uid is set.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives `path` to this account.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(Error::io(format!("chown {}", path.display())))
            }
        }
    }

    /// The uid as the file system shows it.
    pub(crate) fn uid(self) -> u32 {
        match self {
            Self::Ours => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => uid,
        }
    }

    /// Fails when this account cannot get into `folder`, which exists. Only asked as root: anybody else is told by the
    /// system itself. Goes by the mode bits, so an access list that would allow it is not seen.
    pub(crate) fn check_reach(self, folder: &Path) -> Result<(), Error> {
        match self.blocked_at(folder) {
            Some(blocked) => Err(Error::Blocked { uid: self.uid(), folder: folder.to_owned(), blocked }),
            None => Ok(()),
        }
    }

    /// The topmost folder on the way to `folder` (itself included) that this account may not enter.
    pub(crate) fn blocked_at(self, folder: &Path) -> Option<PathBuf> {
        let Self::Other { uid, gid } = self else {
            return None;
        };
        let folder = fs::canonicalize(folder).ok()?;
        let mut way: Vec<_> = folder.ancestors().collect();
        way.reverse();
        way.into_iter()
            .find(|step| {
                fs::metadata(step).is_ok_and(|meta| {
                    let enter = match () {
                        () if meta.uid() == uid => 0o100,
                        () if meta.gid() == gid => 0o010,
                        () => 0o001,
                    };
                    meta.mode() & enter == 0
                })
            })
            .map(Path::to_owned)
    }
}

fn in_passwd(passwd: &str) -> Option<Account> {
    ACCOUNTS.iter().find_map(|name| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let named = fields.next() == Some(name);
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (named && uid != 0).then_some(Account::Other { uid, gid })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_steps_down_to_postgres_or_else_nobody() {
        let nobody = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533:n:/:/x";
        assert_eq!(in_passwd(nobody), Some(Account::Other { uid: 65534, gid: 65533 }));
        let both = format!("{nobody}\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        assert_eq!(in_passwd(&both), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(in_passwd("root:x:0:0::/root:/bin/sh\nbroken\n"), None);
    }

    #[test]
    fn the_first_closed_folder_on_the_way_is_named() -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir_in("/tmp")?;
        let deep = base.path().join("closed/open");
        fs::create_dir_all(&deep)?;
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755))?;
        let stranger = Account::Other { uid: 54321, gid: 54321 };
        assert_eq!(stranger.blocked_at(&deep), None);
        fs::set_permissions(base.path().join("closed"), fs::Permissions::from_mode(0o700))?;
        assert_eq!(stranger.blocked_at(&deep), Some(base.path().canonicalize()?.join("closed")));
        Ok(())
    }
}
