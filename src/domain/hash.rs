//! Short hashes of several parts, for what is looked up by equality: nonces, idempotency keys, claim tokens, lanes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The first 128 bits of SHA-256 over the parts, each preceded by its length so that no two lists of parts run together.
#[must_use]
pub fn hash128(parts: &[&[u8]]) -> Uuid {
    Uuid::from_bytes(first(&digest(parts)))
}

/// The first 64 bits of the same digest.
#[must_use]
pub fn hash64(parts: &[&[u8]]) -> i64 {
    i64::from_be_bytes(first(&digest(parts)))
}

/// SHA-256 of an API key: what is stored and cached in its place.
#[must_use]
pub fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A MAC by this key. RFC 2104 fills it up with zeros to the block's 64 bytes.
#[must_use]
pub fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

/// HMAC-SHA256 over the parts, each preceded by its length.
#[must_use]
pub fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The first 128 bits of it.
#[must_use]
pub fn mac128(key: &[u8; 32], parts: &[&[u8]]) -> Uuid {
    Uuid::from_bytes(first(&mac(key, parts)))
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().into()
}

fn first<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(hash128(&[b"ab", b"c"]), hash128(&[b"a", b"bc"]));
        assert_ne!(hash64(&[b"ab", b""]), hash64(&[b"", b"ab"]));
    }
}
