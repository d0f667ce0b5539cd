//! Signing a request, and telling whether a signature is right.
//!
//! Whether the timestamp is fresh and the nonce unused needs a clock and a store, so the server asks that itself: after
//! [`verify`], lest a forged request burn a nonce.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::canonical::{canonical_path, canonical_path_form, is_ambiguous};

type HmacSha256 = Hmac<Sha256>;

/// What of a request is signed.
#[derive(Clone, Copy)]
pub struct SignedParts<'a> {
    /// The method as on the request line, in capitals.
    pub method: &'a str,
    /// The request target as on the request line, `/claim?goal=my+goal`.
    pub path_and_query: &'a str,
    /// The value of `X-Timestamp`: whole unix seconds.
    pub timestamp: &'a str,
    /// The value of `X-Nonce`.
    pub nonce: &'a str,
    /// The body as sent, empty if there is none.
    pub body: &'a [u8],
}

/// The signature of a request: HMAC-SHA256 in 64 lowercase hex digits, keyed with the API key, over the method, the
/// canonical path, the timestamp, the nonce and the body, with a line feed between each two.
#[must_use]
pub fn sign(key: &str, parts: &SignedParts<'_>) -> String {
    hex::encode(mac(key, parts, &canonical_path(parts.path_and_query)).finalize().into_bytes())
}

/// Whether `signature_hex` (64 lowercase hex digits, nothing else) is the signature of these parts, in either writing of
/// a space in the query. The digests are compared in constant time.
#[must_use]
pub fn verify(key: &str, parts: &SignedParts<'_>, signature_hex: &str) -> bool {
    let Some(digest) = parse(signature_hex) else {
        return false;
    };
    if is_ambiguous(parts.path_and_query) {
        return false;
    }
    let signs = |path: Vec<u8>| mac(key, parts, &path).verify_slice(&digest).is_ok();
    signs(canonical_path(parts.path_and_query)) || canonical_path_form(parts.path_and_query).is_some_and(signs)
}

fn mac(key: &str, parts: &SignedParts<'_>, path: &[u8]) -> HmacSha256 {
    let mut mac = keyed(key.as_bytes());
    for field in [parts.method.as_bytes(), path, parts.timestamp.as_bytes(), parts.nonce.as_bytes()] {
        mac.update(field);
        mac.update(b"\n");
    }
    mac.update(parts.body);
    mac
}

/// A MAC keyed by one block, as RFC 2104 makes it of a key: zeros are added, and what is longer is hashed first. hmac
/// does the same for a slice, but with an error to handle that never comes.
fn keyed(key: &[u8]) -> HmacSha256 {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    HmacSha256::new(&block.into())
}

fn parse(signature_hex: &str) -> Option<[u8; 32]> {
    // hex takes capitals as well; a signature has one writing only.
    if !signature_hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(signature_hex, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: SignedParts<'_> = SignedParts {
        method: "POST",
        path_and_query: "/claim?goal=send",
        timestamp: "1700000000",
        nonce: "n-1",
        body: b"{}",
    };

    #[test]
    fn the_mac_is_the_one_of_rfc_4231() {
        // Test cases 2 and 6: a key shorter than a block, and one longer.
        let digest = |key: &[u8], text: &[u8]| hex::encode(keyed(key).chain_update(text).finalize().into_bytes());
        assert_eq!(
            digest(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            digest(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_key_of_one_whole_block_is_used_as_it_is() {
        for length in [0, 63, 64, 65] {
            let key = "k".repeat(length);
            assert_eq!(
                Some(keyed(key.as_bytes()).finalize().into_bytes()),
                HmacSha256::new_from_slice(key.as_bytes()).ok().map(|mac| mac.finalize().into_bytes()),
                "a key of {length} bytes"
            );
        }
    }

    #[test]
    fn a_signature_has_one_writing_only() {
        let signature = sign("tk_one", &PARTS);
        assert!(verify("tk_one", &PARTS, &signature));
        assert!(signature.contains(|digit: char| digit.is_ascii_lowercase()), "else the next line proves nothing");
        let no_signatures = [
            signature.to_uppercase(),
            format!(" {signature}"),
            format!("{signature}\n"),
            format!("{signature}00"),
            format!("0x{signature}"),
            signature[..62].to_owned(),
            signature[..63].to_owned(),
            "g".repeat(64),
            "é".repeat(32),
            String::new(),
        ];
        for text in no_signatures {
            assert!(!verify("tk_one", &PARTS, &text), "{text:?}");
        }
    }

    #[test]
    fn another_key_does_not_verify() {
        let signature = sign("tk_one", &PARTS);
        for key in ["tk_two", "tk_one ", "TK_ONE", ""] {
            assert!(!verify(key, &PARTS, &signature), "{key:?}");
        }
    }

    #[test]
    fn a_signature_cannot_be_moved_to_a_target_that_is_written_alike() {
        let signed = SignedParts { path_and_query: "/set/a?b=c", ..PARTS };
        let moved = SignedParts { path_and_query: "/set/a%3Fb=c", ..PARTS };
        assert_eq!(sign("tk_one", &signed), sign("tk_one", &moved), "else this test is not about anything");
        assert!(verify("tk_one", &signed, &sign("tk_one", &signed)));
        assert!(!verify("tk_one", &moved, &sign("tk_one", &signed)));
    }

    #[test]
    fn fields_cannot_shift_into_the_path() {
        let signed = SignedParts { path_and_query: "/set/a", timestamp: "1", nonce: "2", body: b"3\n4\n{}", ..PARTS };
        let shifted =
            SignedParts { path_and_query: "/set/a%0A1%0A2", timestamp: "3", nonce: "4", body: b"{}", ..PARTS };
        assert_eq!(sign("tk_one", &signed), sign("tk_one", &shifted), "else this test is not about anything");
        assert!(!verify("tk_one", &shifted, &sign("tk_one", &signed)));
    }
}
