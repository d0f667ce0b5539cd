//! Short hashes of several parts, for what is looked up by equality: nonces, idempotency keys, claim tokens, lanes.

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
