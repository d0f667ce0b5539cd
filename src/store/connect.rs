//! Connections: the pool of a replica, and direct ones for what needs a session of its own.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{
    Client, Config, Connection, Socket,
    config::{Host, SslMode},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    error::{Error, Result},
    telemetry::traces::DatabaseName,
};

/// Waiting for a connection of the pool, or for a new one, in seconds. After that the request is answered `database_busy`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time of a statement, as Postgres shows it.
pub(super) const STATEMENT_TIMEOUT: &str = "5s";

/// What every session of the pool sets. The timeouts bound how long a request can hold a lock, and are shorter than the
/// slack that the rings and the totals leave for transactions under way. Plans: each statement is written for one index, but
/// a table that was empty when its statistics were taken makes the planner prefer to read it whole, and go on doing so.
/// Likewise a hash or merge join would read a whole index where a nested loop looks up a few rows. Memory: a flight of large
/// payloads is held once more by its statement.
const SESSION: [(&str, &str); 11] = [
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "8s"),
    ("TimeZone", "UTC"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("work_mem", "32MB"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];
/// Of those who give a role these settings one does at a time: "settings" in ASCII.
const SETTINGS_LOCK: i64 = 0x7365_7474_696e_6773;

/// The encrypted side of a connection.
type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Where the database is and how it is spoken to.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a connection string in either of libpq's forms. `sslmode` means what it means to libpq: `prefer` and `require`
    /// encrypt, `verify-ca` and `verify-full` also check the certificate, against `sslrootcert` or the public authorities.
    ///
    /// # Errors
    /// When it is not a connection string; the text, which may hold a password, is not repeated.
    pub fn parse(url: &str) -> Result<Self> {
        let mut address = Self::pooled(url)?;
        let mut options = SESSION.map(|(name, value)| format!("-c {name}={value}")).join(" ");
        if let Some(own) = address.config.get_options() {
            options = format!("{options} {own}");
        }
        address.config.options(options);
        Ok(address)
    }

    /// The same through a pool in transaction mode, which does not hand on what a session wants to be set: what
    /// [`keep_session_settings`] gives the role has to do.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn pooled(url: &str) -> Result<Self> {
        let unreadable = || Error::invalid("DATABASE_URL is not a connection string.");
        let (url, mode) = take_parameter(url, "sslmode");
        let (url, roots) = take_parameter(&url, "sslrootcert");
        let mut config: Config = url.parse().map_err(|_| unreadable())?;
        let (mode, verify) = match mode.as_deref() {
            Some("disable") => (SslMode::Disable, false),
            None | Some("allow" | "prefer") => (SslMode::Prefer, false),
            Some("require") => (SslMode::Require, false),
            Some("verify-ca" | "verify-full") => (SslMode::Require, true),
            Some(_) => return Err(unreadable()),
        };
        config.ssl_mode(mode);
        config.connect_timeout(PATIENCE);
        // A server that is gone without a word, its machine or the network with it, is noticed within half a minute; by
        // default the system would try for a quarter of an hour.
        config
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        if config.get_application_name().is_none() {
            config.application_name("intent-bus");
        }
        let tls = MakeRustlsConnect::new(tls(verify, roots.as_deref())?);
        Ok(Self { config, tls })
    }

    /// As spans name it.
    #[must_use]
    pub fn name(&self) -> DatabaseName {
        let host = self.config.get_hosts().first().map(|host| match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        DatabaseName {
            name: self.config.get_dbname().map(str::to_owned),
            host,
            port: self.config.get_ports().first().copied(),
        }
    }

    /// A connection that the caller drives.
    ///
    /// # Errors
    /// `database_busy` when the database is away.
    pub async fn connect_raw(&self) -> Result<(Client, Connection<Socket, Stream>)> {
        self.config.connect(self.tls.clone()).await.map_err(Error::busy)
    }

    /// A pool of at most `size` connections, driven by the runtime that calls this.
    ///
    /// # Errors
    /// When the pool cannot be built.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn pool(&self, size: usize) -> Result<Pool> {
        let connect = OnThisRuntime { runtime: Handle::current(), tls: self.tls.clone() };
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(self.config.clone(), connect, settings);
        Pool::builder(manager)
            .max_size(size)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .build()
            .map_err(Error::fault)
    }
}

/// Makes connections on one runtime, whoever asks. Each thread that serves requests has a runtime of its own, which ends
/// when that thread has drained; a connection made there would end too, under requests that others still serve.
struct OnThisRuntime {
    runtime: Handle,
    tls: MakeRustlsConnect,
}

impl Connect for OnThisRuntime {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, std::result::Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let (config, tls, runtime) = (config.clone(), self.tls.clone(), self.runtime.clone());
        Box::pin(async move {
            let (client, connection) = match runtime.spawn(async move { config.connect(tls).await }).await {
                Ok(connected) => connected?,
                // The runtime is ending, and with it the process. The pool gives up on this by its own timeout.
                Err(_) => std::future::pending().await,
            };
            let driver = runtime.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(%error, "a connection to the database ended");
                }
            });
            Ok((client, driver))
        })
    }
}

/// A direct connection, for migrations.
///
/// # Errors
/// `database_busy` when the database is away.
pub async fn connect(address: &Address) -> Result<Client> {
    let (client, connection) = address.connect_raw().await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a direct connection to the database ended");
        }
    });
    Ok(client)
}

/// Gives the role of this session the settings that every session of the bus needs, for all its sessions in this database.
///
/// # Errors
/// `database_busy` when the database is away.
pub async fn keep_session_settings(client: &Client) -> Result<()> {
    let database: String = client.query_one("SELECT quote_ident(current_database())", &[]).await?.try_get(0)?;
    let set = SESSION
        .map(|(name, value)| format!("ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = '{value}';"))
        .concat();
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({SETTINGS_LOCK}); {set} COMMIT")).await?;
    Ok(())
}

/// Takes one parameter out of a connection string, since the driver does not know it, or not all of its values.
fn take_parameter(url: &str, name: &str) -> (String, Option<String>) {
    let start = ['?', '&', ' ']
        .iter()
        .find_map(|before| url.find(&format!("{before}{name}=")).map(|at| at + 1))
        .or_else(|| url.starts_with(&format!("{name}=")).then_some(0));
    let Some(start) = start else { return (url.to_owned(), None) };
    let value = &url[start + name.len() + 1..];
    let value = &value[..value.find(['&', ' ']).unwrap_or(value.len())];
    let rest = &url[start + name.len() + 1 + value.len()..];
    let joined = format!("{}{}", &url[..start], rest.strip_prefix(['&', ' ']).unwrap_or(rest));
    (joined.trim_end_matches(['&', '?', ' ']).to_owned(), Some(value.to_owned()))
}

fn tls(verify: bool, roots: Option<&str>) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::fault)?;
    if !verify && roots.is_none() {
        let anybody = Arc::new(Unverified(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth());
    }
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(file) => {
            let unreadable =
                || Error::invalid(format!("The file that sslrootcert names, {file}, holds no certificates."));
            let certificates = CertificateDer::pem_file_iter(file).map_err(|_| unreadable())?;
            trusted.add_parsable_certificates(certificates.filter_map(std::result::Result::ok));
            if trusted.is_empty() {
                return Err(unreadable());
            }
        }
        None => trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    Ok(builder.with_root_certificates(trusted).with_no_client_auth())
}

/// Encrypts without asking whom one speaks to, as `sslmode=prefer` and `require` do for libpq.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_that_the_driver_does_not_know_are_taken_out() {
        for (url, name, without, value) in [
            ("postgresql://h/d?sslmode=verify-full&x=1", "sslmode", "postgresql://h/d?x=1", Some("verify-full")),
            ("host=h sslmode=disable dbname=d", "sslmode", "host=h dbname=d", Some("disable")),
            ("sslmode=disable host=h", "sslmode", "host=h", Some("disable")),
            ("postgresql://h/d?x=1&sslrootcert=/ca.pem", "sslrootcert", "postgresql://h/d?x=1", Some("/ca.pem")),
            ("postgresql://h/d?sslrootcert=/ca.pem", "sslrootcert", "postgresql://h/d", Some("/ca.pem")),
            ("postgresql://h/d", "sslmode", "postgresql://h/d", None),
        ] {
            assert_eq!(take_parameter(url, name), (without.to_owned(), value.map(str::to_owned)), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        let error = Address::parse("postgresql://user:hunter2@:x/").err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
