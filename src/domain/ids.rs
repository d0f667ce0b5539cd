//! Ids of intents and the secrets of claims and keys. All of them unguessable, all made here.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{Rng, TryRng, rngs::SysRng};
use uuid::Uuid;

use super::{
    hash::{hash128, key_hash, mac, mac128},
    lanes::Reach,
};
use crate::error::{Error, Result};

/// The id of an intent: a UUID of version 7, shown as 32 hex digits. It begins with the time, so that keys made together
/// lie together in the index, and ends in 74 random bits. Nothing depends on that time being right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub Uuid);

impl IntentId {
    /// A new id.
    #[must_use]
    pub fn generate() -> Self {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let random: [u8; 10] = random_bytes();
        let millis = u64::try_from(millis).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads an id as clients send it: 32 hex digits. Anything else names no intent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// The secret of one claim, the fencing token of its lease: 128 bits in hex, random, or a MAC where the claim
/// may be asked for again. Only its hash is stored.
pub struct ClaimToken(String);

impl ClaimToken {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        Self(hex::encode(random_bytes::<16>()))
    }

    /// What is stored of this token.
    #[must_use]
    pub fn hash(&self) -> Uuid {
        Self::hash_of(&self.0)
    }

    /// What would be stored of a token that a client presents.
    #[must_use]
    pub fn hash_of(presented: &str) -> Uuid {
        hash128(&[b"claim token", presented.as_bytes()])
    }

    /// The token itself, for the one answer that carries it.
    #[must_use]
    pub fn reveal(self) -> String {
        self.0
    }
}

/// What tokens of claims are made by that may be asked for again.
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The one that goes with the root key and the salt of the database.
    #[must_use]
    pub fn of(root: &str, salt: &[u8]) -> Self {
        Self(mac(&key_hash(root), &[b"claim tokens", salt]))
    }

    /// What stands for one request of a tenant that may come again: the same on every replica, and nobody else can make it.
    #[must_use]
    pub fn request(&self, tenant: i64, id: &str, reach: &Reach) -> RequestKey {
        let worker = reach.worker.as_deref().unwrap_or_default();
        RequestKey(mac(
            &self.0,
            &[id.as_bytes(), &tenant.to_be_bytes(), &reach.kind().to_be_bytes(), worker.as_bytes()],
        ))
    }
}

/// What stands for one request to claim that may come again.
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// What one of its claims is found again by.
    #[must_use]
    pub fn place(&self, number: usize) -> Uuid {
        self.made_of(b"place", number, Uuid::nil())
    }

    /// The token of one of its claims. `salt`: new with each claim, so that no two have the same.
    #[must_use]
    pub fn token(&self, number: usize, salt: Uuid) -> ClaimToken {
        ClaimToken(self.made_of(b"token", number, salt).simple().to_string())
    }

    fn made_of(&self, what: &[u8], number: usize, salt: Uuid) -> Uuid {
        mac128(&self.0, &[what, &(number as u64).to_be_bytes(), salt.as_bytes()])
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey(…)")
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken(…)")
    }
}

/// A new tenant's key: `tk_` and 192 random bits in hex. Shown once, stored as a hash.
///
/// # Errors
/// `internal_error`: the operating system has no random bytes.
pub fn generate_key() -> Result<String> {
    Ok(format!("tk_{}", hex::encode(secret_bytes::<24>()?)))
}

/// Bytes for secrets that outlive a request, each time from the operating system, which knows when a virtual machine was cloned or
/// set back to a snapshot.
///
/// # Errors
/// `internal_error`: the operating system has none.
pub fn secret_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(Error::fault)?;
    Ok(bytes)
}

/// Bytes that nobody can guess: from this thread's `ChaCha` generator, seeded by the operating system, and again after each 64
/// KiB. A call of the system for each id and token was 2 % of a replica's time.
///
/// For ids and the tokens of claims, which are of use for as long as a lease. Two copies of a running virtual machine make the same
/// ones until they are seeded again; of two ids of one millisecond that are the same the database refuses the second.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_hex_digits_and_reads_back() {
        let id = IntentId::generate();
        let text = id.to_string();
        assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(IntentId::parse(&text), Some(id));
    }

    #[test]
    fn what_is_not_32_hex_digits_names_no_intent() {
        for text in ["", "x", "0189dd5e-8d3c-7000-8000-000000000000", "0189dd5e8d3c7000800000000000000g"] {
            assert_eq!(IntentId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_key_is_another() {
        let (one, two) = (generate_key().unwrap(), generate_key().unwrap());
        assert!(one != two && one.len() == 51 && one.starts_with("tk_"));
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        let token = ClaimToken::generate();
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.reveal()));
    }
}
