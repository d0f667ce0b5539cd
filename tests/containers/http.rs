//! The one way to an HTTP client here.

use std::sync::Once;

/// An HTTP client to be made. The Rust client brings reqwest's TLS in, which wants a provider of cryptography even for plain HTTP.
pub(crate) fn http() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Installed already: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}
