//! Where the key and the address come from when the caller gives none, and a type that does not show the key.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Holds the key.
pub(crate) const KEY_VARIABLE: &str = "INTENT_API_KEY";
/// Holds the address of the bus.
pub(crate) const URL_VARIABLE: &str = "INTENT_BUS_URL";
/// The file in the home folder that holds the key.
const KEY_FILE: &str = ".apikey";
/// No key is longer; what is, is another file.
const LONGEST_KEY: u64 = 4096;

/// An API key. It is not shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The key: the one that was given, else that of the environment, else that of the file.
pub(crate) fn key(given: Option<&str>, file: Option<&Path>) -> Result<Key> {
    if let Some(given) = given {
        return Key::new(given).ok_or_else(|| Error::config("The API key is empty."));
    }
    if let Some(path) = file {
        return read(path)?.ok_or_else(|| Error::config(format!("There is no key file {}.", path.display())));
    }
    if let Some(key) = env::var(KEY_VARIABLE).ok().as_deref().and_then(Key::new) {
        return Ok(key);
    }
    if let Some(key) = home_file().map(|path| read(&path)).transpose()?.flatten() {
        return Ok(key);
    }
    Err(Error::config(format!("There is no API key. None was given, and none is in {KEY_VARIABLE} or ~/{KEY_FILE}.")))
}

/// The address: the one that was given, else that of the environment.
pub(crate) fn base_url(given: Option<&str>) -> Result<reqwest::Url> {
    let text = match given {
        Some(given) => given.to_owned(),
        None => env::var(URL_VARIABLE).map_err(|_| {
            Error::config(format!("There is no address of a bus. None was given, and none is in {URL_VARIABLE}."))
        })?,
    };
    parse_url(&text)
}

fn parse_url(text: &str) -> Result<reqwest::Url> {
    // Without the text: somebody may have put a password into it.
    let wrong = |why: &str| Error::config(format!("The address of the bus {why}. It looks like https://bus.example."));
    let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(wrong("begins with neither https:// nor http://"));
    }
    let url = reqwest::Url::parse(text.trim()).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user in it"));
    }
    // The path is signed: one that a proxy takes off again would make every signature wrong.
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a path or a query"));
    }
    Ok(url)
}

fn home_file() -> Option<PathBuf> {
    Some(env::home_dir()?.join(KEY_FILE))
}

/// The key in this file. `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Key>> {
    let name = path.display();
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_link(&error) => {
            return Err(Error::config(format!("{name} is a symbolic link. The key file has to be a file itself.")));
        }
        Err(error) => return Err(Error::config(format!("{name} cannot be read: {error}"))),
    };
    check(&file, &name)?;
    let mut text = String::new();
    file.take(LONGEST_KEY + 1)
        .read_to_string(&mut text)
        .map_err(|error| Error::config(format!("{name} cannot be read: {error}")))?;
    if text.len() as u64 > LONGEST_KEY {
        return Err(Error::config(format!("{name} is too long for a key.")));
    }
    Key::new(&text).map(Some).ok_or_else(|| Error::config(format!("{name} is empty.")))
}

/// Opens what stands there itself: between a look at it and opening it, it could be exchanged.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Without NONBLOCK a pipe in its place would hang us.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    if path.symlink_metadata()?.is_symlink() {
        return Err(io::ErrorKind::FilesystemLoop.into());
    }
    File::open(path)
}

#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FilesystemLoop
}

/// It has to be a file of this user's; that others can read it is told.
fn check(file: &File, name: &dyn fmt::Display) -> Result<()> {
    let metadata = file.metadata().map_err(|error| Error::config(format!("{name} cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(Error::config(format!("{name} is no file.")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let me = rustix::process::geteuid().as_raw();
        if metadata.uid() != me {
            let owner = metadata.uid();
            return Err(Error::config(format!(
                "{name} belongs to another user ({owner}, not {me}), who may have put any key into it."
            )));
        }
        if metadata.mode() & 0o077 != 0 {
            tracing::warn!("others can read or change the key in {name}: chmod 600 {name}");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_and_nothing_but_a_host_and_a_port() {
        for good in ["http://127.0.0.1:5000", "https://bus.example/", " http://[::1]:5001 "] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        let wrong =
            ["", "bus.example", "ftp://bus.example", "file:///etc/passwd", "https://bus.example/base", "http://a/?b"];
        for text in wrong.into_iter().chain(["https://user:pass@bus.example", "http://", "data:text/plain,a"]) {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let error = parse_url("https://user:s3cr3t@bus.example").unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn what_was_given_goes_before_all_else() {
        assert_eq!(key(Some(" tk_given\n"), None).unwrap().reveal(), "tk_given");
        assert!(key(Some(" "), None).is_err(), "an empty key is a mistake, not a wish for another one");
    }

    #[test]
    fn a_key_file_is_read_without_the_white_space_around_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(KEY_FILE);
        std::fs::write(&path, "tk_file\n").unwrap();
        assert_eq!(key(None, Some(&path)).unwrap().reveal(), "tk_file");
        std::fs::write(&path, "\n").unwrap();
        assert!(key(None, Some(&path)).unwrap_err().to_string().contains("empty"));
        std::fs::write(&path, "k".repeat(5000)).unwrap();
        assert!(key(None, Some(&path)).unwrap_err().to_string().contains("too long"));
        assert!(key(None, Some(&home.path().join("none"))).unwrap_err().to_string().contains("no key file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_a_folder_and_a_pipe_are_no_key_files() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        std::fs::write(&file, "tk_file").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(key(None, Some(&link)).unwrap_err().to_string().contains("symbolic link"));
        assert!(key(None, Some(home.path())).unwrap_err().to_string().contains("no file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(KEY_FILE);
        std::fs::write(&path, "tk_file").unwrap();
        // Only root may give a file away; as anybody else, root's files are somebody else's.
        let path = match std::os::unix::fs::chown(&path, Some(12345), None) {
            Ok(()) => path,
            Err(_) => PathBuf::from("/etc/hostname"),
        };
        assert!(key(None, Some(&path)).unwrap_err().to_string().contains("belongs to another user"));
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key::new("tk_s3cr3t")), "Some([redacted])");
    }
}
