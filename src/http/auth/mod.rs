//! Who is asking, and may they: the inputs of handlers, each of which exists only once its request has been authenticated.
//! What may be used once (the nonce, a place in the rate window) is checked by the store, in the request's transaction.

mod admin;
mod client;
mod signature;
mod who;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

pub(super) use self::{admin::same_site, client::IDEMPOTENCY_KEY_MAX};
pub use self::{
    admin::{AdminRequest, MetricsReader},
    client::{Caller, ClientRequest},
    who::Who,
};

/// Whether what was presented is the secret, in a time that does not depend on how much of it is right.
fn is_secret(presented: &str, secret: Option<&SecretString>) -> bool {
    use crate::domain::hash::key_hash;
    // Hashes have one length, so that not even the secret's length shows.
    secret.is_some_and(|secret| bool::from(key_hash(presented).ct_eq(&key_hash(secret.expose_secret()))))
}

/// A header's value, if it is text.
fn header<'a>(request: &'a actix_web::HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}
