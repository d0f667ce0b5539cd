//! Whether there is a program that could be run: without one, every intent that is claimed would use up an attempt.
//!
//! It is looked for as the system does when it is started, which may still fail later: it may be gone by then.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Where programs are looked for without `PATH`.
const USUAL: &str = "/bin:/usr/bin";

/// Why this program cannot be run, if it cannot.
pub(super) fn check(program: &OsStr) -> Result<(), String> {
    if program.is_empty() {
        return Err("there is no program: its name is empty.".to_owned());
    }
    if program.as_bytes().contains(&b'/') {
        return usable(Path::new(program)).unwrap_or_else(|| Err(format!("there is no {}.", program.display())));
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    let found: Vec<Result<(), String>> =
        env::split_paths(&folders).filter_map(|folder| usable(&in_folder(&folder, program))).collect();
    let fault = found.iter().find_map(|found| found.as_ref().err());
    match fault {
        _ if found.iter().any(Result::is_ok) => Ok(()),
        Some(fault) => Err(fault.clone()),
        None => {
            let name = program.display();
            // As those expect who know a system that looks there, too.
            let here = Path::new(".").join(program).is_file();
            let tip = if here { format!(" The one in this folder is called ./{name}.") } else { String::new() };
            Err(format!("there is no program {name} in PATH.{tip}"))
        }
    }
}

/// An empty folder in `PATH` is the one that one is in.
fn in_folder(folder: &Path, program: &OsStr) -> PathBuf {
    if folder.as_os_str().is_empty() { Path::new(".").join(program) } else { folder.join(program) }
}

/// `None`: there is no such file.
fn usable(path: &Path) -> Option<Result<(), String>> {
    let name = path.display();
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => Some(Err(format!("{name} cannot be looked at: {error}."))),
        Ok(found) if found.is_dir() => Some(Err(format!("{name} is a folder."))),
        Ok(_) => Some(
            access(path, Access::EXEC_OK).map_err(|_| format!("{name} is not executable. Make it so: chmod +x {name}")),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_the_system_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let told = |program: &Path| check(program.as_os_str()).unwrap_err();
        assert!(told(&path).starts_with("there is no /"));
        fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(told(&path).contains("chmod +x"));
        assert!(told(&path.join("below")).starts_with("there is no /"));
        assert!(told(folder.path()).contains("is a folder"));
        assert_eq!(told(Path::new("no-such-program")), "there is no program no-such-program in PATH.");
        // Tests run in the folder of their crate.
        assert!(told(Path::new("Cargo.toml")).ends_with("in this folder is called ./Cargo.toml."));
        assert!(told(Path::new("")).contains("no program"));
        assert_eq!(check(OsStr::new("sh")), Ok(()));
        assert_eq!(check(OsStr::new("/bin/sh")), Ok(()));
    }
}
