//! The published test vectors, which a client in any language can be checked with.
//!
//! `vectors/signatures.json` is written by `vectors/signatures.py`, from Python's standard library alone. A vector with
//! `form` is signed in the second writing of a space, which a verifier accepts and a signer does not use.
//! `vectors/sdk_requests.json` is what the Python SDKs, 1.1.0 to 2.1.2, put on the wire: recorded by a local HTTP server,
//! sent with the key `tk_vector_key`.

use std::collections::BTreeSet;
use std::error::Error;

use intent_bus_protocol::canonical::{canonical_path, canonical_path_form};
use intent_bus_protocol::generation::{Declared, Generation};
use intent_bus_protocol::signature::{SignedParts, sign, verify};
use serde::Deserialize;

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    method: String,
    target: String,
    timestamp: String,
    nonce: String,
    body_hex: String,
    canonical_path_hex: String,
    form: bool,
    signature: String,
}

fn vectors() -> serde_json::Result<Vec<Vector>> {
    serde_json::from_str(include_str!("vectors/signatures.json"))
}

#[test]
fn every_vector_has_the_canonical_path_that_python_gives_it() -> Outcome {
    for vector in vectors()? {
        let ours = if vector.form { canonical_path_form(&vector.target) } else { Some(canonical_path(&vector.target)) };
        assert_eq!(ours, Some(hex::decode(&vector.canonical_path_hex)?), "{}", vector.name);
    }
    Ok(())
}

#[test]
fn every_vector_has_the_signature_that_python_gives_it() -> Outcome {
    for vector in vectors()? {
        let body = hex::decode(&vector.body_hex)?;
        let parts = SignedParts {
            method: &vector.method,
            path_and_query: &vector.target,
            timestamp: &vector.timestamp,
            nonce: &vector.nonce,
            body: &body,
        };
        assert_eq!(sign(&vector.key, &parts) == vector.signature, !vector.form, "{}", vector.name);
        assert!(verify(&vector.key, &parts, &vector.signature), "{}", vector.name);
    }
    Ok(())
}

#[test]
fn the_vectors_cover_both_writings_and_differ_from_each_other() -> Outcome {
    let vectors = vectors()?;
    assert_eq!(vectors.iter().filter(|vector| vector.form).count(), 2);
    let requests: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(requests.len(), vectors.len(), "two vectors have the same name");
    Ok(())
}

#[derive(Deserialize)]
struct SdkRequest {
    sdk: String,
    method: String,
    target: String,
    timestamp: String,
    nonce: String,
    body: String,
    signature: String,
    intent_version: Option<String>,
}

fn sdk_requests() -> serde_json::Result<Vec<SdkRequest>> {
    serde_json::from_str(include_str!("vectors/sdk_requests.json"))
}

#[test]
fn what_every_published_sdk_signs_is_accepted() -> Outcome {
    for request in sdk_requests()? {
        let parts = SignedParts {
            method: &request.method,
            path_and_query: &request.target,
            timestamp: &request.timestamp,
            nonce: &request.nonce,
            body: request.body.as_bytes(),
        };
        let accepted = verify("tk_vector_key", &parts, &request.signature);
        assert!(accepted, "SDK {}: {} {}", request.sdk, request.method, request.target);
    }
    Ok(())
}

#[test]
fn every_published_sdk_is_met_in_its_own_generation() -> Outcome {
    let mut seen = BTreeSet::new();
    for request in sdk_requests()? {
        let declared = Declared::parse(request.intent_version.as_deref(), Generation::V1);
        let (generation, token) = (declared.generation(), declared.token_required_to_finish());
        let expected = match &request.sdk[..3] {
            "2.0" => (Generation::V2, false),
            "2.1" => (Generation::V2, true),
            _ => (Generation::V1, false),
        };
        assert_eq!((generation, token), expected, "SDK {}", request.sdk);
        // What SDK 2.x compares before it warns of another protocol.
        if let Some(version) = &request.intent_version {
            assert_eq!(version.split('.').next(), declared.answer_version().split('.').next(), "SDK {}", request.sdk);
        }
        seen.insert(request.sdk);
    }
    assert_eq!(seen.len(), 11, "a signing SDK is missing: {seen:?}");
    Ok(())
}
