//! What must hold for every input, however hostile. `tests/fuzz` of the repository looks for inputs for which it does not; `main` here
//! replays those from which it begins.

use std::collections::BTreeSet;

use intent_bus_protocol::{
    canonical::{canonical_path, canonical_path_form, is_ambiguous, percent_decode, query_pairs},
    generation::{Declared, Generation},
    json::{canonical, compact, depth, is_object},
    names::{is_label, is_namespace, is_request_id},
    signature::{SignedParts, sign, verify},
};
use serde_json::value::RawValue;

/// Fields of an input, one to a line; the last one has what is left.
fn fields<const COUNT: usize>(input: &[u8]) -> Option<[&[u8]; COUNT]> {
    let fields: Vec<&[u8]> = input.splitn(COUNT, |byte| *byte == b'\n').collect();
    fields.try_into().ok()
}

/// What could stand on a request line.
fn target(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (text.starts_with('/') && text.bytes().all(|byte| byte > b' ' && byte != 0x7f)).then_some(text)
}

/// Lines: method, target, timestamp, nonce, and then the body. A signature vouches for one request, read in one way.
pub(crate) fn signing(input: &[u8]) {
    let Some([method, path_and_query, timestamp, nonce, body]) = fields(input) else { return };
    let (Some(path_and_query), Ok(nonce)) = (target(path_and_query), str::from_utf8(nonce)) else { return };
    let Some(timestamp) = str::from_utf8(timestamp).ok().filter(|text| text.parse::<i64>().is_ok()) else { return };
    let method = if method.len() % 2 == 0 { "GET" } else { "POST" };
    let parts = SignedParts { method, path_and_query, timestamp, nonce, body };
    let signature = sign("key", &parts);
    let ambiguous = is_ambiguous(path_and_query);
    assert_eq!(verify("key", &parts, &signature), !ambiguous);
    assert!(!verify("another key", &parts, &signature));
    assert!(!verify("key", &SignedParts { method: "PUT", ..parts }, &signature));
    assert!(!verify("key", &SignedParts { body: &[body, b"a"].concat(), ..parts }, &signature));
    assert!(!verify("key", &parts, str::from_utf8(body).unwrap_or_default()));
    for path in [Some(canonical_path(path_and_query)), canonical_path_form(path_and_query)].into_iter().flatten() {
        let text = [&path, b"\n".as_slice(), timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body].concat();
        let readings = readings(&text);
        // One that is refused may be written like another that is not.
        assert!(readings == 1 || (ambiguous && readings == 0), "{path_and_query}: {readings}");
    }
}

/// In how many ways a signed text, from its path on, can be read as path, timestamp, nonce and body, so that a verifier would take it.
fn readings(text: &[u8]) -> usize {
    let ends: Vec<usize> = (0..text.len()).filter(|&place| text[place] == b'\n').collect();
    let is_timestamp = |line: &[u8]| str::from_utf8(line).is_ok_and(|line| line.parse::<i64>().is_ok());
    ends.windows(3)
        .filter(|ends| is_timestamp(&text[ends[0] + 1..ends[1]]))
        .map(|ends| spellings(&text[..ends[0]]).len())
        .sum()
}

/// Targets that mean different things, are written like this and are not refused.
fn spellings(path: &[u8]) -> BTreeSet<String> {
    let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
    // With a query behind any of its question marks, or without one.
    let marks = (0..path.len()).filter(|&place| path[place] == b'?');
    let with_query = marks.filter_map(|mark| {
        let query =
            str::from_utf8(&path[mark + 1..]).ok().filter(|query| !query.is_empty() && !query.contains('\n'))?;
        Some(format!("/{}?{query}", escaped(path[..mark].strip_prefix(b"/")?)))
    });
    let without = path.strip_prefix(b"/").map(|path| format!("/{}", escaped(path)));
    with_query
        .chain(without)
        .filter(|target| canonical_path(target) == path || canonical_path_form(target).is_some_and(|form| form == path))
        .filter(|target| !is_ambiguous(target))
        .collect()
}

/// Lines: two targets. They are written alike exactly if they mean the same.
pub(crate) fn canonical_request(input: &[u8]) {
    let Some([one, other]) = fields(input) else { return };
    let (Some(one), Some(other)) = (target(one), target(other)) else { return };
    for target in [one, other] {
        if let Ok(pairs) = query_pairs(target) {
            assert!(pairs.len() <= target.len());
        }
        assert!(percent_decode(target).len() <= target.len());
    }
    if is_ambiguous(one) || is_ambiguous(other) {
        return;
    }
    let meaning = |target: &str| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut pairs = query_pairs(&format!("?{query}")).ok()?;
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some((percent_decode(path).into_owned(), pairs))
    };
    if let (Some(one_means), Some(other_means)) = (meaning(one), meaning(other)) {
        assert_eq!(canonical_path(one) == canonical_path(other), one_means == other_means, "{one} and {other}");
    }
}

/// A text that is JSON, or is not: nothing panics, and what is JSON stays the same JSON.
pub(crate) fn json(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (deep, short, one) = (depth(text), compact(text), canonical(text));
    assert!(deep <= text.len() && short.len() <= text.len());
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    let text = raw.get();
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    assert!(is_json(&short) && compact(&short) == short && depth(&short) == deep);
    assert_eq!(is_object(text), short.starts_with('{'));
    let Ok(one) = one else { return };
    assert!(is_json(&one) && depth(&one) == deep);
    assert_eq!(canonical(&one).as_ref(), Ok(&one));
    assert_eq!(canonical(&short), Ok(one));
}

/// Lines: the value of a header, a name, a query.
pub(crate) fn headers(input: &[u8]) {
    let Some([header, name, query]) = fields(input) else { return };
    let header = str::from_utf8(header).ok();
    for default in [Generation::V1, Generation::V2] {
        let declared = Declared::parse(header, default);
        assert!(!declared.answer_version().is_empty());
        assert!(declared.generation() == Generation::V2 || !declared.token_required_to_finish());
    }
    if let Ok(name) = str::from_utf8(name) {
        let is_plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        for (valid, most) in [(is_namespace(name), 64), (is_label(name), 64), (is_request_id(name), 128)] {
            assert!(!valid || (is_plain(name) && name.len() <= most), "{name:?}");
        }
    }
    if let Some(target) = target(&[b"/claim?", query].concat())
        && let Ok(pairs) = query_pairs(target)
    {
        // Written down once more, they are the same.
        let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        assert_eq!(query_pairs(&format!("/claim?{}", query.join("&"))), Ok(pairs));
    }
}
