//! Reading the settings: defaults, then the file that `BUS_CONFIG` or `--config` names, then `NAME_FILE`, then `NAME`.

use std::{
    collections::HashMap,
    fmt::Display,
    net::{IpAddr, ToSocketAddrs},
    path::Path,
    str::FromStr,
    time::Duration,
};

use intent_bus_protocol::generation::Generation;
use ipnet::IpNet;
use secrecy::SecretString;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    Auth, Config, Database, Limits, Listen, Maintenance, Proxy, TraceUrl,
    sections::Trusted,
    table::{SETTINGS, Setting},
    traces,
};
use crate::store::connect::Address;

/// A setting that cannot be used. The message names it and says what would do; it never repeats a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

type Result<T> = std::result::Result<T, ConfigError>;

/// Keys that everybody has read somewhere. Compared in lower case.
const WELL_KNOWN: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "change-me-please",
    "change-this-secret",
    "changemechangeme",
    "default-secret",
    "dev-secret",
    "example",
    "intent-bus",
    "intent-bus-secret",
    "intentbus",
    "letmein",
    "my-secret-key",
    "password",
    "passwordpassword",
    "replace-me",
    "secret",
    "secretsecretsecret",
    "super-secret",
    "super-secret-key",
    "supersecret",
    "supersecretkey",
    "test",
    "test-secret",
    "your-secret-here",
    "your-secret-key",
    "your_secret_key_here",
    "your_key",
];

/// Reads the settings of this process.
///
/// # Errors
/// The first setting that cannot be used.
pub fn load(file: Option<&Path>) -> Result<Config> {
    let environment = environment();
    let named = environment.get("BUS_CONFIG").map(Path::new);
    load_from(file.or(named), &environment)
}

/// Where the database is, by the settings of this process: without the secrets that only a replica needs.
///
/// # Errors
/// When one of its settings cannot be used.
pub fn load_database(file: Option<&Path>) -> Result<Database> {
    let environment = environment();
    let named = environment.get("BUS_CONFIG").map(Path::new);
    database(&Values::read(file.or(named), &environment)?)
}

/// Where a replica with the settings of this process listens.
///
/// # Errors
/// When the settings cannot be read.
pub fn listens_at() -> Result<String> {
    let environment = environment();
    let values = Values::read(environment.get("BUS_CONFIG").map(Path::new), &environment)?;
    Ok(values.text("BUS_LISTEN").to_owned())
}

/// The root key among the settings of this process, if there is one.
///
/// # Errors
/// When the settings cannot be read.
pub fn root_key() -> Result<Option<SecretString>> {
    let environment = environment();
    Values::read(environment.get("BUS_CONFIG").map(Path::new), &environment)?.secret("BUS_SECRET", 1)
}

/// The variables of this process that are text. Others are nobody's settings.
#[must_use]
pub fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads the settings from a file and an environment.
///
/// # Errors
/// The first setting that cannot be used.
#[allow(clippy::implicit_hasher, reason = "there is one caller with one kind of map")]
pub fn load_from(file: Option<&Path>, environment: &HashMap<String, String>) -> Result<Config> {
    let values = Values::read(file, environment)?;
    let config = Config {
        listen: listen(&values)?,
        database: database(&values)?,
        auth: auth(&values)?,
        proxy: proxy(&values)?,
        limits: limits(&values)?,
        maintenance: Maintenance {
            interval: values.seconds("BUS_CLEANUP_INTERVAL_SECONDS", 1, 3600)?,
            retention_days: values.number("BUS_RETENTION_DAYS", 1, 365)?,
        },
        traces: traces::read(environment),
        trace_url: trace_url(&values)?,
        shown: shown(&values, environment),
    };
    Ok(config)
}

fn listen(values: &Values) -> Result<Listen> {
    let format = values.text("BUS_LOG_FORMAT");
    if !["json", "pretty"].contains(&format) {
        return Err(refused("BUS_LOG_FORMAT", "must be json or pretty"));
    }
    let log = values.text("BUS_LOG");
    // A filter takes any single word for the name of a module.
    let says_something = log.split(',').all(|part| part.contains('=') || LevelFilter::from_str(part.trim()).is_ok());
    if !says_something || EnvFilter::try_new(log).is_err() {
        return Err(refused("BUS_LOG", "must be a level, such as info, or a filter by module"));
    }
    let workers: usize = values.number("BUS_WORKERS", 0, 256)?;
    let metrics = values.text("BUS_METRICS_LISTEN");
    for name in ["BUS_LISTEN", "BUS_METRICS_LISTEN"] {
        let listens = values.text(name) != "off" || name == "BUS_LISTEN";
        if listens && values.text(name).to_socket_addrs().is_err() {
            return Err(refused(name, "must be an address and a port, such as 127.0.0.1:5000"));
        }
    }
    Ok(Listen {
        bus: values.text("BUS_LISTEN").to_owned(),
        metrics: (metrics != "off").then(|| metrics.to_owned()),
        workers: if workers > 0 { workers } else { beside_flights() },
        keep_alive: values.seconds("BUS_KEEP_ALIVE_SECONDS", 1, 3600)?,
        drain: values.seconds("BUS_DRAIN_SECONDS", 0, 3600)?,
        shutdown: values.seconds("BUS_SHUTDOWN_SECONDS", 1, 3600)?,
        log: log.to_owned(),
        log_pretty: format == "pretty",
    })
}

/// As many threads as there are cores, less the one that flights keep busy: on two cores one served as much as two, and three
/// replicas that shared them served more.
fn beside_flights() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1).max(1)
}

fn database(values: &Values) -> Result<Database> {
    let (url, direct) = (values.text("DATABASE_URL"), values.text("DATABASE_DIRECT_URL"));
    if url.is_empty() {
        return Err(refused(
            "DATABASE_URL",
            "is required, such as postgresql://user:password@host/database. To try the bus without one: intent-bus dev",
        ));
    }
    let (address, direct) = if direct.is_empty() {
        (Address::parse(url), None)
    } else {
        let name =
            |error: crate::error::Error| ConfigError(error.message().replace("DATABASE_URL", "DATABASE_DIRECT_URL"));
        let past = Address::parse(direct).map_err(name)?;
        (Address::pooled(url), Some(past))
    };
    Ok(Database {
        address: address.map_err(|error| ConfigError(error.message().to_owned()))?,
        direct,
        pool_size: values.number("BUS_DATABASE_POOL_SIZE", 2, 200)?,
        migrate: values.flag("BUS_MIGRATE")?,
    })
}

fn auth(values: &Values) -> Result<Auth> {
    let protocol =
        Generation::from_str(values.text("BUS_PROTOCOL")).map_err(|_| refused("BUS_PROTOCOL", "must be 1.1 or 2.1"))?;
    Ok(Auth {
        root: values.secret("BUS_SECRET", 16)?.ok_or_else(|| {
            refused(
                "BUS_SECRET",
                "is required: the root key, at least 16 characters, such as `openssl rand -hex 32` gives",
            )
        })?,
        admin: values.secret("BUS_ADMIN_SECRET", 16)?,
        dashboard: values.secret("DASHBOARD_PASSWORD", 8)?,
        metrics: values.secret("BUS_METRICS_TOKEN", 16)?,
        require_signatures: values.flag("BUS_REQUIRE_SIGNATURES")?,
        protocol,
    })
}

fn proxy(values: &Values) -> Result<Proxy> {
    let enforce_https = values.flag("BUS_ENFORCE_HTTPS")?;
    let text = values.text("BUS_TRUST_PROXY");
    let trusted = match flag(text) {
        Some(true) => Trusted::Everybody,
        Some(false) => Trusted::Nobody,
        None => Trusted::Networks(networks(text)?),
    };
    if enforce_https && matches!(trusted, Trusted::Nobody) {
        return Err(refused(
            "BUS_ENFORCE_HTTPS",
            "needs BUS_TRUST_PROXY: the bus speaks plain HTTP and can only know of HTTPS from the proxy in front of it",
        ));
    }
    Ok(Proxy { enforce_https, trusted })
}

fn networks(text: &str) -> Result<Vec<IpNet>> {
    text.split(',')
        .map(str::trim)
        .map(|item| item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| refused("BUS_TRUST_PROXY", "must be true, false, or a list of addresses and networks"))
}

fn limits(values: &Values) -> Result<Limits> {
    Ok(Limits {
        maintenance_mode: values.flag("BUS_MAINTENANCE_MODE")?,
        claim_timeout: values.number("BUS_CLAIM_TIMEOUT_SECONDS", 1, 86_400)?,
        intent_ttl: f64::from(values.number::<u32>("BUS_INTENT_TTL_SECONDS", 60, 31_536_000)?),
        rate_per_minute: values.number("BUS_RATE_LIMIT_PER_MINUTE", 1, 1_000_000_000)?,
        max_open_intents: values.number("BUS_MAX_OPEN_INTENTS", 1, 1_000_000_000)?,
        max_payload: values.number("BUS_MAX_PAYLOAD_BYTES", 1024, 16_777_216)?,
        request_timeout: values.seconds("BUS_REQUEST_TIMEOUT_SECONDS", 1, 300)?,
    })
}

fn trace_url(values: &Values) -> Result<Option<TraceUrl>> {
    let template = values.text("BUS_TRACE_URL");
    if template.is_empty() {
        return Ok(None);
    }
    let url = TraceUrl::parse(template).ok_or_else(|| {
        refused(
            "BUS_TRACE_URL",
            "must be the URL of a page with {trace_id} in it, such as https://traces.example/{trace_id}",
        )
    })?;
    Ok(Some(url))
}

/// The values in force, without secrets. Of those that are not the bus's own, what is set.
fn shown(values: &Values, environment: &HashMap<String, String>) -> Vec<(&'static str, String)> {
    let set = |name: &&&'static str| environment.get(**name).is_some_and(|text| !text.is_empty());
    let of_traces = traces::NAMES.iter().filter(set).map(|name| {
        let value = environment.get(*name).filter(|_| !traces::is_secret(name));
        (*name, value.map_or_else(|| "(set, not shown)".to_owned(), String::clone))
    });
    values.shown().into_iter().chain(of_traces).collect()
}

/// The settings as text, by name.
struct Values(HashMap<&'static str, String>);

impl Values {
    fn read(file: Option<&Path>, environment: &HashMap<String, String>) -> Result<Self> {
        let from_file = file.map(read_file).transpose()?.unwrap_or_default();
        unknown_names(&from_file, environment)?;
        let mut values = HashMap::new();
        for setting in SETTINGS {
            let mut value = from_file.get(&setting.key()).cloned().unwrap_or_else(|| setting.default.to_owned());
            if let Some(path) = environment.get(&format!("{}_FILE", setting.name)).filter(|path| !path.is_empty()) {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError(format!("{}_FILE: {path} cannot be read: {error}", setting.name)))?;
                text.trim_end_matches(['\n', '\r']).clone_into(&mut value);
            }
            // A variable that is set to nothing counts as not set, as compose files and charts leave them.
            if let Some(text) = environment.get(setting.name).filter(|text| !text.is_empty()) {
                value.clone_from(text);
            }
            values.insert(setting.name, value);
        }
        Ok(Self(values))
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        SETTINGS.iter().map(|setting| (setting.name, self.shown_value(setting))).collect()
    }

    fn shown_value(&self, setting: &Setting) -> String {
        match self.text(setting.name) {
            "" => "(not set)".to_owned(),
            _ if setting.secret => "(set, not shown)".to_owned(),
            value => value.to_owned(),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn flag(&self, name: &str) -> Result<bool> {
        flag(self.text(name)).ok_or_else(|| refused(name, "must be true or false"))
    }

    fn number<T: Copy + FromStr + PartialOrd + Display>(&self, name: &str, least: T, most: T) -> Result<T> {
        self.text(name)
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| refused(name, &format!("must be a whole number from {least} to {most}")))
    }

    fn seconds(&self, name: &str, least: u64, most: u64) -> Result<Duration> {
        self.number(name, least, most).map(Duration::from_secs)
    }

    /// A secret: none if not set, refused if short or well known. What is not visible ASCII cannot travel in a header.
    fn secret(&self, name: &str, shortest: usize) -> Result<Option<SecretString>> {
        let value = self.text(name);
        if value.is_empty() {
            return Ok(None);
        }
        if value.len() < shortest {
            return Err(refused(name, &format!("must have at least {shortest} characters")));
        }
        let first = value.bytes().next();
        if WELL_KNOWN.contains(&value.to_lowercase().as_str()) || value.bytes().all(|byte| Some(byte) == first) {
            return Err(refused(name, "is a value that everybody knows; take one of `openssl rand -hex 32`"));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused(name, "must be visible ASCII without spaces, since it travels in a header"));
        }
        Ok(Some(value.to_owned().into()))
    }
}

fn read_file(path: &Path) -> Result<HashMap<String, String>> {
    config::Config::builder()
        .add_source(config::File::from(path).format(config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| ConfigError(format!("The settings file {} cannot be used: {error}", path.display())))
}

/// A name that is misspelt must not go unnoticed: the setting would keep its default.
fn unknown_names(file: &HashMap<String, String>, environment: &HashMap<String, String>) -> Result<()> {
    if let Some(key) = file.keys().find(|key| !SETTINGS.iter().any(|setting| setting.key() == **key)) {
        return Err(ConfigError(format!("The settings file has an unknown setting {key}. See docs/configuration.md.")));
    }
    let known = |name: &str| {
        let setting = name.strip_suffix("_FILE").unwrap_or(name);
        ["BUS_CONFIG", "BUS_PG_BIN"].contains(&name)
            || SETTINGS.iter().any(|known| known.name == setting)
            || is_service_link(name)
    };
    match environment.keys().find(|name| name.starts_with("BUS_") && !known(name)) {
        Some(name) => {
            Err(ConfigError(format!("There is no setting {name}. See docs/configuration.md for their names.")))
        }
        None => Ok(()),
    }
}

/// What Kubernetes puts into the environment of every pod beside a service whose name begins with "bus".
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].iter().any(|end| name.ends_with(end))
        || name.contains("_SERVICE_PORT_")
        || name.contains("_PORT_")
}

fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn refused(name: &str, why: &str) -> ConfigError {
    ConfigError(format!("{name} {why}."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Config> {
        let mut environment = HashMap::from([
            ("DATABASE_URL".to_owned(), "postgresql://user:hunter2@localhost/bus".to_owned()),
            ("BUS_SECRET".to_owned(), "0123456789abcdef0123".to_owned()),
        ]);
        environment.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        load_from(None, &environment)
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        with(pairs).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let config = with(&[]).unwrap();
        assert_eq!(config.listen.bus, "0.0.0.0:5000");
        assert_eq!(config.limits.claim_timeout, 60);
        assert_eq!(config.limits.rate_per_minute, 60);
        assert!(config.auth.admin.is_none() && !config.auth.require_signatures);
    }

    #[test]
    fn secrets_that_are_short_well_known_or_missing_are_refused() {
        for value in
            ["", "short", "aaaaaaaaaaaaaaaaaaaaaa", "changemechangeme", "SuperSecretKey", "a b c d e f g h i j k"]
        {
            assert!(refusal(&[("BUS_SECRET", value)]).starts_with("BUS_SECRET "), "{value}");
        }
        assert!(refusal(&[("BUS_ADMIN_SECRET", "short")]).contains("16 characters"));
    }

    #[test]
    fn the_page_of_a_trace_is_a_url_that_names_the_trace() {
        for value in
            ["https://traces.example/", "traces.example/{trace_id}", "javascript:{trace_id}", "http://a/{trace_id} b"]
        {
            assert!(refusal(&[("BUS_TRACE_URL", value)]).starts_with("BUS_TRACE_URL "), "{value}");
        }
        let url = with(&[("BUS_TRACE_URL", "http://a/{trace_id}?again={trace_id}")]).unwrap().trace_url.unwrap();
        assert_eq!(url.of("12"), "http://a/12?again=12");
        assert_eq!(with(&[]).unwrap().trace_url, None);
    }

    #[test]
    fn no_secret_is_shown() {
        let config = with(&[("BUS_ADMIN_SECRET", "canary-canary-canary")]).unwrap();
        let shown = format!("{config:?} {:?}", config.auth);
        for canary in ["hunter2", "0123456789abcdef0123", "canary-canary"] {
            assert!(!shown.contains(canary), "{shown}");
        }
    }

    #[test]
    fn a_setting_that_does_not_exist_or_cannot_be_read_is_named() {
        assert!(refusal(&[("BUS_RATE_LIMIT", "5")]).contains("no setting BUS_RATE_LIMIT"));
        assert!(refusal(&[("BUS_CLAIM_TIMEOUT_SECONDS", "0")]).contains("from 1 to 86400"));
        for log in ["loud", "info,loud", "a=b=c", "intent_bus=loud"] {
            assert!(refusal(&[("BUS_LOG", log)]).starts_with("BUS_LOG "), "{log}");
        }
        assert!(with(&[("BUS_LOG", "info,intent_bus::store=debug")]).is_ok());
        assert!(refusal(&[("BUS_LISTEN", "foo")]).contains("127.0.0.1:5000"));
        assert!(with(&[("BUS_PORT_5000_TCP_ADDR", "10.0.0.1"), ("BUS_METRICS_LISTEN", "off")]).is_ok());
        assert!(refusal(&[("BUS_PROTOCOL", "3")]).contains("1.1 or 2.1"));
        assert!(refusal(&[("BUS_ENFORCE_HTTPS", "1")]).contains("BUS_TRUST_PROXY"));
    }

    #[test]
    fn a_file_gives_way_to_the_environment_and_secrets_may_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("bus.toml");
        std::fs::write(&settings, "claim_timeout_seconds = 30\nrate_limit_per_minute = 7\nlisten = \"127.0.0.1:1\"\n")
            .unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a-secret-from-a-file-1\n").unwrap();
        let environment = HashMap::from([
            ("DATABASE_URL".to_owned(), "host=/tmp dbname=bus".to_owned()),
            ("BUS_SECRET_FILE".to_owned(), secret.display().to_string()),
            ("BUS_RATE_LIMIT_PER_MINUTE".to_owned(), "9".to_owned()),
        ]);
        let config = load_from(Some(&settings), &environment).unwrap();
        assert_eq!((config.limits.claim_timeout, config.limits.rate_per_minute), (30, 9));
        assert_eq!(config.listen.bus, "127.0.0.1:1");
        std::fs::write(&settings, "claim_timeout = 30\n").unwrap();
        assert!(load_from(Some(&settings), &environment).is_err());
    }

    #[test]
    fn networks_of_trusted_proxies_hold_their_addresses_and_no_others() {
        let config = with(&[("BUS_TRUST_PROXY", "10.0.0.0/8, 192.168.1.7")]).unwrap();
        let trusts = |peer: &str| config.proxy.trusted.trusts(peer.parse().ok());
        assert!(trusts("10.1.2.3") && trusts("192.168.1.7") && trusts("::ffff:10.1.2.3"));
        assert!(!trusts("192.168.1.8") && !config.proxy.trusted.trusts(None));
    }
}
