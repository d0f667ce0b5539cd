//! The HTTP client's TLS. Without a provider of cryptography installed for the whole process: that is the program's choice, not
//! a library's.

use crate::error::Result;

/// A builder that can reach this address.
#[cfg(feature = "rustls")]
pub(crate) fn builder(url: &reqwest::Url) -> Result<reqwest::ClientBuilder> {
    let https = url.scheme() == "https";
    Ok(reqwest::Client::builder().tls_backend_preconfigured(with_rustls(https)?))
}

/// With the system's authorities; where there are none (an image with nothing but a binary), with Mozilla's. For plain HTTP
/// they are not even looked for.
#[cfg(feature = "rustls")]
fn with_rustls(https: bool) -> Result<rustls::ClientConfig> {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use rustls_platform_verifier::Verifier;

    use crate::error::Error;

    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config(format!("TLS: {error}")))?;
    if !https {
        return Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    Ok(match Verifier::new(provider) {
        Ok(verifier) => config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
        Err(error) => {
            tracing::debug!(%error, "no certificate authorities of the system");
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            config.with_root_certificates(roots).with_no_client_auth()
        }
    })
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
#[allow(clippy::unnecessary_wraps, reason = "the other ways to make one can fail")]
pub(crate) fn builder(_: &reqwest::Url) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder().tls_backend_native())
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
pub(crate) fn builder(url: &reqwest::Url) -> Result<reqwest::ClientBuilder> {
    if url.scheme() == "https" {
        return Err(crate::error::Error::config("This client was built without TLS: it speaks plain http only."));
    }
    Ok(reqwest::Client::builder())
}
