//! Inputs that somebody thought of, or that a fuzzer has found, replayed: `tests/fuzz` of the repository begins from the same ones.

#![allow(
    clippy::format_collect,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and may spend an allocation"
)]

mod checks;

use std::{fs, path::Path};

/// Runs a check over each seed; how many there are.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).collect();
    assert!(seeds.len() > 5, "{target} has {} seeds", seeds.len());
    for seed in seeds {
        let path = seed.unwrap().path();
        let input = fs::read(&path).unwrap();
        std::panic::catch_unwind(|| check(&input)).unwrap_or_else(|_| panic!("that was {}", path.display()));
    }
}

#[test]
fn a_signature_vouches_for_one_request() {
    replay("signing", checks::signing);
}

#[test]
fn targets_are_written_alike_exactly_if_they_mean_the_same() {
    replay("canonical", checks::canonical_request);
}

#[test]
fn json_stays_the_same_json() {
    replay("json", checks::json);
}

#[test]
fn headers_and_queries_are_read_without_surprise() {
    replay("headers", checks::headers);
}
