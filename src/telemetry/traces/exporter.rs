//! The way to the collector: OTLP by gRPC or HTTP, over TLS where its URL says so.

use std::{collections::HashMap, path::Path, sync::Arc};

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    Compression, Protocol as Otlp, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::ExposeSecret;
use tonic::{
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Certificate, ClientTlsConfig},
};

use crate::{
    config::traces::{Collector, Protocol},
    error::{Error, Result},
};

/// The exporter to a collector. It connects when there is something to send, and not before.
///
/// # Panics
/// Outside a runtime, which its connections live on.
pub(super) fn new(collector: &Collector, resource: &Resource) -> Result<SpanExporter> {
    let mut exporter = match collector.protocol {
        Protocol::Grpc => grpc(collector)?,
        Protocol::Http => http(collector)?,
    };
    exporter.set_resource(resource);
    Ok(exporter)
}

fn grpc(collector: &Collector) -> Result<SpanExporter> {
    let mut headers = MetadataMap::new();
    for (name, value) in &collector.headers {
        let name: AsciiMetadataKey = name.to_ascii_lowercase().parse().map_err(|_| unusable(HEADERS))?;
        let mut value: AsciiMetadataValue = value.expose_secret().parse().map_err(|_| unusable(HEADERS))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&collector.endpoint)
        .with_timeout(collector.timeout)
        .with_metadata(headers);
    if collector.endpoint.starts_with("https:") {
        let mut tls = ClientTlsConfig::new();
        tls = match &collector.certificate {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
            None => tls.with_enabled_roots(),
        };
        builder = builder.with_tls_config(tls);
    }
    if collector.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder.build().map_err(|_| unusable(ENDPOINT))
}

fn http(collector: &Collector) -> Result<SpanExporter> {
    let headers: HashMap<String, String> =
        collector.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(collector.certificate.as_deref())?)
        .https_or_http()
        .enable_http1()
        .build();
    let mut builder = SpanExporter::builder()
        .with_http()
        .with_http_client(HyperClient::new(connector, collector.timeout, None))
        .with_protocol(Otlp::HttpBinary)
        .with_endpoint(&collector.endpoint)
        .with_timeout(collector.timeout)
        .with_headers(headers);
    if collector.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder.build().map_err(|_| unusable(ENDPOINT))
}

fn tls(certificate: Option<&Path>) -> Result<ClientConfig> {
    let mut trusted = RootCertStore::empty();
    match certificate {
        Some(file) => {
            let pem = read(file)?;
            trusted.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(std::result::Result::ok));
            if trusted.is_empty() {
                return Err(unusable(CERTIFICATE));
            }
        }
        None => trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::fault)?;
    Ok(builder.with_root_certificates(trusted).with_no_client_auth())
}

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|_| unusable(CERTIFICATE))
}

/// Says which setting, and not what it is: it may hold a secret.
fn unusable(name: &str) -> Error {
    Error::invalid(format!("{name}, or the same for traces, cannot be used. There are no traces."))
}
