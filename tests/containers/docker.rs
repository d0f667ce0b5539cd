//! The container engine: whether it is there, what it has, and the few commands that the library does not know.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use tokio::sync::{Mutex, MutexGuard};

/// Says something that the test harness must not keep to itself.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What is measured by the clock is not to share the machine: the tests of this program run one after another.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// Runs `docker` and gives what it prints. None: it failed.
pub(crate) fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether there is an engine with these images. If not, says what is left out and why.
pub(crate) fn has(what: &str, images: &[&str]) -> bool {
    if docker(&["version", "--format", "{{.Server.Version}}"]).is_none() {
        say(&format!("SKIPPED: {what}: there is no container engine."));
        return false;
    }
    for image in images {
        if docker(&["image", "inspect", image]).is_none() && docker(&["pull", "--quiet", image]).is_none() {
            say(&format!("SKIPPED: {what}: the image {image} is neither here nor can it be pulled."));
            return false;
        }
    }
    true
}

/// Name and tag of an image.
pub(crate) fn name_and_tag(image: &str) -> (String, String) {
    let (name, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"));
    (name.to_owned(), tag.to_owned())
}

/// A setting of this suite.
pub(crate) fn setting(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// A network that ends with this value.
pub(crate) struct Network(pub(crate) String);

impl Network {
    pub(crate) fn create(name: String) -> Self {
        assert!(docker(&["network", "create", &name]).is_some(), "the network {name} could not be made");
        Self(name)
    }

    pub(crate) fn connect(&self, container: &str, alias: &str) {
        assert!(docker(&["network", "connect", "--alias", alias, &self.0, container]).is_some(), "{container}");
    }

    pub(crate) fn disconnect(&self, container: &str) {
        assert!(docker(&["network", "disconnect", &self.0, container]).is_some(), "{container}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}
