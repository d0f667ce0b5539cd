//! Canonical paths and signatures, over requests that are written down in random ways.

use hmac::{Hmac, KeyInit, Mac};
use intent_bus_protocol::canonical::{canonical_path, canonical_path_form, is_ambiguous, percent_decode, query_pairs};
use intent_bus_protocol::signature::{SignedParts, sign, verify};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::Sha256;

use crate::Choices;

/// What a target means: the decoded path and the decoded pairs.
#[derive(Debug, Clone, PartialEq)]
struct Meaning {
    path: String,
    pairs: Vec<(String, String)>,
}

/// Characters that are special somewhere in a target, and a few that are not.
fn texts() -> impl Strategy<Value = String> {
    let characters = prop_oneof![
        4 => prop::sample::select(" +%?&=/;#~-._\n\0\u{7f}019aAfFzé🚀".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    vec(characters, 0..6).prop_map(String::from_iter)
}

fn meanings() -> impl Strategy<Value = Meaning> {
    meanings_with_pairs(0..4)
}

fn meanings_with_pairs(count: std::ops::Range<usize>) -> impl Strategy<Value = Meaning> {
    (texts(), vec((texts(), texts()), count)).prop_map(|(path, pairs)| Meaning { path: format!("/{path}"), pairs })
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..40)
}

/// Writes a target with this meaning, each character escaped or not, as chance and the grammar have it.
fn spell(meaning: &Meaning, choices: &[u8]) -> String {
    let mut choices = Choices::from(choices);
    let mut out = String::new();
    spell_text(&meaning.path, "/+&=;~-._", None, &mut choices, &mut out);
    for (nth, (name, value)) in meaning.pairs.iter().enumerate() {
        out.push(if nth == 0 { '?' } else { '&' });
        out.push_str(["", "&"][choices.below(2)]);
        spell_text(name, "/;?~-._", Some('+'), &mut choices, &mut out);
        // A name without a value needs no `=`, unless nothing at all would be left.
        if !value.is_empty() || name.is_empty() || choices.below(2) == 0 {
            out.push('=');
        }
        spell_text(value, "/=;?~-._", Some('+'), &mut choices, &mut out);
    }
    out
}

fn spell_text(text: &str, bare: &str, space: Option<char>, choices: &mut Choices<'_>, out: &mut String) {
    for c in text.chars() {
        match (c, choices.below(3), space) {
            (' ', 0, Some(space)) => out.push(space),
            (c, 0, _) if c.is_ascii_alphanumeric() || bare.contains(c) || !c.is_ascii() => out.push(c),
            (c, choice, _) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let hex = if choice == 1 { format!("{byte:02x}") } else { format!("{byte:02X}") };
                    out.extend(["%", &hex]);
                }
            }
        }
    }
}

/// As [`spell`], with everything escaped that can be.
fn escape_all(meaning: &Meaning) -> String {
    spell(meaning, &[2])
}

fn parts<'a>(target: &'a str, timestamp: &'a str, nonce: &'a str, body: &'a [u8]) -> SignedParts<'a> {
    SignedParts { method: "POST", path_and_query: target, timestamp, nonce, body }
}

/// A signature over any text in the place of the canonical path.
fn sign_text(key: &str, path: &[u8]) -> Result<String, TestCaseError> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mac = mac.chain_update(b"POST\n").chain_update(path).chain_update(b"\n1700000000\nnonce\n{}");
    Ok(hex::encode(mac.finalize().into_bytes()))
}

proptest! {
    #[test]
    fn a_target_has_one_canonical_path_however_it_is_written(meaning in meanings(), choices in choices()) {
        let (one, other) = (spell(&meaning, &choices), escape_all(&meaning));
        prop_assert_eq!(canonical_path(&one), canonical_path(&other), "{} and {}", one, other);
        prop_assert_eq!(canonical_path_form(&one), canonical_path_form(&other));
        prop_assert_eq!(is_ambiguous(&one), is_ambiguous(&other));
    }

    #[test]
    fn a_target_means_what_was_written_into_it(meaning in meanings(), choices in choices()) {
        let target = spell(&meaning, &choices);
        prop_assert_eq!(query_pairs(&target), Ok(meaning.pairs));
        let path = target.split('?').next().unwrap_or_default();
        prop_assert_eq!(percent_decode(path), meaning.path.as_bytes());
    }

    #[test]
    fn a_canonical_path_that_is_encoded_and_canonicalised_again_is_the_same(meaning in meanings()) {
        let canonical = canonical_path(&escape_all(&meaning));
        let query = String::from_utf8_lossy(&canonical[meaning.path.len()..]);
        let path = escape_all(&Meaning { path: meaning.path, pairs: vec![] });
        prop_assert_eq!(canonical_path(&format!("{path}{query}")), canonical);
    }

    #[test]
    fn a_signed_request_verifies_however_its_target_is_written(
        meaning in meanings(),
        choices in choices(),
        key in ".{0,80}",
        timestamp in "[0-9]{10}",
        nonce in "[!-~]{1,40}",
        body in vec(any::<u8>(), 0..60),
    ) {
        let (sent, received) = (spell(&meaning, &choices), escape_all(&meaning));
        prop_assume!(!is_ambiguous(&sent));
        let signature = sign(&key, &parts(&sent, &timestamp, &nonce, &body));
        prop_assert!(verify(&key, &parts(&received, &timestamp, &nonce, &body), &signature));
    }

    #[test]
    fn one_changed_byte_of_any_field_is_noticed(
        meaning in meanings(),
        timestamp in "[0-9]{10}",
        nonce in "[a-z]{1,40}",
        body in vec(any::<u8>(), 1..60),
        place in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let target = escape_all(&meaning);
        prop_assume!(!is_ambiguous(&target));
        let signature = sign("key", &parts(&target, &timestamp, &nonce, &body));
        prop_assert!(verify("key", &parts(&target, &timestamp, &nonce, &body), &signature));

        let mut changed = body.clone();
        changed[place.index(body.len())] ^= change;
        prop_assert!(!verify("key", &parts(&target, &timestamp, &nonce, &changed), &signature), "body");
        changed = body.clone();
        changed.remove(place.index(body.len()));
        prop_assert!(!verify("key", &parts(&target, &timestamp, &nonce, &changed), &signature), "shorter body");

        let changed = replace(&nonce, place.index(nonce.len()), "A");
        prop_assert!(!verify("key", &parts(&target, &timestamp, &changed, &body), &signature), "nonce");
        let changed = replace(&timestamp, place.index(timestamp.len()), "-");
        prop_assert!(!verify("key", &parts(&target, &changed, &nonce, &body), &signature), "timestamp");

        // Every byte of this target counts: it is an escape's, or it divides the pairs.
        let digit = place.index(target.len());
        let other = if &target[digit..=digit] == "7" { "6" } else { "7" };
        let changed = replace(&target, digit, other);
        prop_assert!(!verify("key", &parts(&changed, &timestamp, &nonce, &body), &signature), "{} for {}", changed, target);

        let get = SignedParts { method: "GET", ..parts(&target, &timestamp, &nonce, &body) };
        prop_assert!(!verify("key", &get, &signature), "method");
    }

    #[test]
    fn a_changed_bit_of_the_signature_is_noticed(place in 0_usize..64, bit in 0_u32..4) {
        let parts = parts("/claim?goal=my+goal", "1700000000", "nonce", b"{}");
        let signature = sign("key", &parts);
        let digit = signature[place..=place].chars().next().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
        let changed = replace(&signature, place, &format!("{:x}", digit ^ 1 << bit));
        prop_assert!(!verify("key", &parts, &changed));
    }

    #[test]
    fn the_form_writing_is_accepted_exactly_for_a_space(meaning in meanings(), choices in choices()) {
        let target = spell(&meaning, &choices);
        prop_assume!(!is_ambiguous(&target));
        let has_space = meaning.pairs.iter().any(|(name, value)| name.contains(' ') || value.contains(' '));
        prop_assert_eq!(canonical_path_form(&target).is_some(), has_space);

        let canonical = canonical_path(&target);
        let (path, query) = canonical.split_at(meaning.path.len());
        let query = String::from_utf8_lossy(query);
        let accepts = |query: String| -> Result<bool, TestCaseError> {
            let signature = sign_text("key", &[path, query.as_bytes()].concat())?;
            Ok(verify("key", &parts(&target, "1700000000", "nonce", b"{}"), &signature))
        };
        prop_assert!(accepts(query.clone().into_owned())?);
        prop_assert!(accepts(query.replace("%20", "+"))?);
        // A plus that is written like a space must not pass for one, nor one writing be mixed with the other.
        if query.contains("%2B") {
            prop_assert!(!accepts(query.replace("%2B", "+"))?);
        }
        if query.matches("%20").count() > 1 {
            prop_assert!(!accepts(query.replacen("%20", "+", 1))?);
        }
    }

    #[test]
    fn of_two_targets_that_are_written_alike_only_one_is_accepted(meaning in meanings_with_pairs(1..4)) {
        let target = escape_all(&meaning);
        for canonical in [Some(canonical_path(&target)), canonical_path_form(&target)].into_iter().flatten() {
            // The whole of it, query included, as a path.
            let path = String::from_utf8_lossy(&canonical).into_owned();
            let twin = escape_all(&Meaning { path, pairs: vec![] });
            prop_assert_eq!(canonical_path(&twin), canonical);
            prop_assert!(is_ambiguous(&twin), "{}", twin);
        }
    }

    #[test]
    fn no_target_is_too_strange(target in ".{0,40}") {
        let _ = (canonical_path(&target), canonical_path_form(&target), query_pairs(&target));
        let _ = is_ambiguous(&target);
    }
}

fn replace(text: &str, index: usize, with: &str) -> String {
    format!("{}{with}{}", &text[..index], &text[index + 1..])
}
