//! What the tests stand on: databases, servers in this process and in others, a client whose methods are named like the
//! API's verbs, defaults for what is sent, and statements that move time so that no test has to wait for it.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod factory;
pub(crate) mod postgres;
pub(crate) mod process;

use std::sync::Once;

pub(crate) use app::TestApp;
pub(crate) use client::{Answer, Claim, Client};
pub(crate) use collector::Collector;
pub(crate) use postgres::TestDb;

/// An HTTP client to be made. The Rust client brings reqwest's TLS in, which wants a provider of cryptography even for plain HTTP.
pub(crate) fn http() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Installed already: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}
