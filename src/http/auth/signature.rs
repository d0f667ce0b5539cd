//! Signatures of strict requests. Verified over the raw bytes, before anything is parsed and before the nonce is stored.

use actix_web::HttpRequest;
use intent_bus_protocol::{
    headers,
    signature::{SignedParts, verify},
};

use super::header;
use crate::{
    app::State,
    domain::hash::hash128,
    error::{Error, Result},
    http::target,
    store::admission::Signed,
};

/// Longest nonce, in bytes.
const NONCE_MAX: usize = 256;

/// Whether the request says that it is signed.
pub(super) fn is_signed(request: &HttpRequest) -> bool {
    request.headers().contains_key(headers::SIGNATURE)
}

/// Checks the signature and gives what of it can be used only once.
pub(super) fn check(state: &State, request: &HttpRequest, body: &[u8], key: &str, tenant: i64) -> Result<Signed> {
    let signed = verified(request, body, key, tenant);
    if signed.is_err() {
        state.store.flow.rejected("bad");
    }
    signed
}

fn verified(request: &HttpRequest, body: &[u8], key: &str, tenant: i64) -> Result<Signed> {
    let part = |name: &str| {
        header(request, name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Error::bad_signature(format!("A signed request needs the header {name}.")))
    };
    let (signature, timestamp, nonce) = (part(headers::SIGNATURE)?, part(headers::TIMESTAMP)?, part(headers::NONCE)?);
    if nonce.len() > NONCE_MAX {
        return Err(Error::bad_signature(format!("A nonce has at most {NONCE_MAX} bytes.")));
    }
    let parts =
        SignedParts { method: request.method().as_str(), path_and_query: target::raw(request), timestamp, nonce, body };
    if !verify(key, &parts, signature) {
        return Err(Error::bad_signature("Bad signature."));
    }
    let timestamp = timestamp.parse().map_err(|_| Error::bad_signature("X-Timestamp must be whole unix seconds."))?;
    Ok(Signed { nonce: hash128(&[b"nonce", &tenant.to_be_bytes(), nonce.as_bytes()]), timestamp })
}
