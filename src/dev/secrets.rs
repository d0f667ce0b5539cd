//! The secrets of a bus that `dev` runs: made at the first start, kept beside the data, readable by their owner only.

use std::{
    collections::HashMap,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    domain::ids::secret_bytes,
    error::{Error, Result},
};

/// The settings that are made up.
const NAMES: [&str; 3] = ["BUS_SECRET", "BUS_ADMIN_SECRET", "DASHBOARD_PASSWORD"];

/// The secrets kept beside a data folder, or new ones.
pub(super) fn kept_beside(data: &Path) -> Result<HashMap<String, String>> {
    let file = file_beside(data);
    if let Ok(text) = std::fs::read_to_string(&file) {
        return Ok(read(&text));
    }
    let secrets = make()?;
    let lines = NAMES.map(|name| format!("{name}={}\n", secrets[name])).concat();
    write(&file, &lines).map_err(|error| Error::invalid(format!("Cannot write {}: {error}.", file.display())))?;
    Ok(secrets)
}

/// New secrets.
pub(super) fn make() -> Result<HashMap<String, String>> {
    NAMES.iter().map(|name| Ok(((*name).to_owned(), hex::encode(secret_bytes::<16>()?)))).collect()
}

fn file_beside(data: &Path) -> PathBuf {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    data.with_file_name(format!("{name}-secrets.env"))
}

fn read(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(file)?.write_all(text.as_bytes())
}
