//! The request target as both sides sign it, and as the bus understands it.
//!
//! Proxies and HTTP libraries rewrite a target on its way: they encode more or less, in capitals or not, and a space in
//! the query travels as `+` or as `%20`. So the target is decoded first and signed in one canonical writing. The pairs
//! that the bus acts on come out of the same decoding ([`query_pairs`], [`percent_decode`]): what was signed is what is
//! done. The signature itself is in [`crate::signature`].
//!
//! A target here is the origin form on the request line, `/claim?goal=my+goal`.

use std::borrow::Cow;

/// A name or a value in the query, once decoded, is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query is not UTF-8 after percent-decoding")]
pub struct InvalidUtf8;

/// The canonical writing of a target, which is what gets signed.
///
/// The percent-decoded path, then, if there is a pair in the query, `?` and the pairs sorted by name (a stable sort over
/// the decoded bytes), each name and value percent-encoded with nothing but RFC 3986's unreserved characters left bare.
/// Bytes, since an escape in the path may stand for one that is not UTF-8.
#[must_use]
pub fn canonical_path(target: &str) -> Vec<u8> {
    write(target, "%20")
}

/// The second writing that a verifier accepts: as [`canonical_path`], but with a space in the query as `+`. `None` if the
/// query holds no space, for then there is only one writing.
///
/// SDK 1.1.x signs Python's `urlencode`, hence this form; all later SDKs sign `%20`. Accepting both is safe: a bare `+`
/// occurs in neither for anything but a space (a plus is always `%2B`), so each text of either form decodes to exactly
/// one list of pairs. A signature over one form therefore vouches for the same request as one over the other.
#[must_use]
pub fn canonical_path_form(target: &str) -> Option<Vec<u8>> {
    let (_, query) = split(target);
    let has_space = pairs(query).any(|(name, value)| name.contains(&b' ') || value.contains(&b' '));
    has_space.then(|| write(target, "+"))
}

/// Whether the signature of another request, which asks for something else, would also fit this target. A verifier
/// refuses such a target.
///
/// Decoding the path lets two characters through that also divide the signed text. `/set/a%3Fb=c` (the key `a?b=c`) is
/// written like `/set/a?b=c` (the key `a`, with a query). And a path with line feeds can swallow the fields after it, if
/// one of its lines would do as the timestamp. Other keys with a `?` or a line feed in them stay possible.
#[must_use]
pub fn is_ambiguous(target: &str) -> bool {
    let (path, query) = split(target);
    let path = percent_decode(path);
    let is_number = |line: &[u8]| str::from_utf8(line).is_ok_and(|line| line.trim().parse::<f64>().is_ok());
    if path.split(|&byte| byte == b'\n').skip(1).any(is_number) {
        return true;
    }
    // A canonical query contains no `?`: the last one decides, and a target that has a query ends in its own.
    let has_query = pairs(query).next().is_some();
    let last_mark = path.iter().rposition(|&byte| byte == b'?').filter(|_| !has_query);
    let tail = last_mark.and_then(|mark| str::from_utf8(&path[mark + 1..]).ok()).unwrap_or("");
    !tail.is_empty() && ["%20", "+"].iter().any(|space| canonical_query(tail, space) == tail.as_bytes())
}

/// The pairs of the target's query, decoded, in the order in which they were sent. Repeated names stay.
pub fn query_pairs(target: &str) -> Result<Vec<(String, String)>, InvalidUtf8> {
    let (_, query) = split(target);
    pairs(query).map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
}

/// Decodes the escapes of a path or of a segment of one. What is no escape (`%zz`, a `%` at the end) is left as it is,
/// and so is a `+`.
#[must_use]
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('%') { Cow::Owned(decode(text.bytes())) } else { Cow::Borrowed(text.as_bytes()) }
}

fn write(target: &str, space: &str) -> Vec<u8> {
    let (path, query) = split(target);
    let mut out = percent_decode(path).into_owned();
    let query = canonical_query(query, space);
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(&query);
    }
    out
}

fn canonical_query(query: &str, space: &str) -> Vec<u8> {
    let mut sorted: Vec<_> = pairs(query).collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut out = Vec::with_capacity(query.len() + 1);
    for (name, value) in sorted {
        if !out.is_empty() {
            out.push(b'&');
        }
        encode(&name, space, &mut out);
        out.push(b'=');
        encode(&value, space, &mut out);
    }
    out
}

fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// The decoded pairs of a raw query: `a` is `a=`, and nothing between two `&` is nothing.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(name), decode_form(value))
    })
}

fn decode_form(text: &str) -> Cow<'_, [u8]> {
    if text.contains(['%', '+']) {
        // Spaces first: a plus that is meant as one is still hidden in its escape.
        Cow::Owned(decode(text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte })))
    } else {
        Cow::Borrowed(text.as_bytes())
    }
}

fn decode(mut bytes: impl Iterator<Item = u8> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.size_hint().0);
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut ahead = bytes.clone();
            if let (Some(high), Some(low)) = (ahead.next().and_then(nibble), ahead.next().and_then(nibble)) {
                out.push(high << 4 | low);
                bytes = ahead;
                continue;
            }
        }
        out.push(byte);
    }
    out
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn encode(bytes: &[u8], space: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b' ' => out.extend_from_slice(space.as_bytes()),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

fn text(bytes: Cow<'_, [u8]>) -> Result<String, InvalidUtf8> {
    String::from_utf8(bytes.into_owned()).map_err(|_| InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(target: &str) -> String {
        canonical_path(target).escape_ascii().to_string()
    }

    #[test]
    fn the_path_is_decoded_and_what_is_no_escape_stays() {
        assert_eq!(canonical("/set/my%20key"), "/set/my key");
        assert_eq!(canonical("/set/a+b"), "/set/a+b");
        assert_eq!(canonical("/set/%zz%"), "/set/%zz%");
        assert_eq!(canonical("/set/%4"), "/set/%4");
        assert_eq!(canonical("/set/%%41"), "/set/%A");
        assert_eq!(canonical("/set/%2541"), "/set/%41", "one layer of escapes, not two");
        assert_eq!(canonical("/set/%FF%c3%A9"), r"/set/\xff\xc3\xa9");
    }

    #[test]
    fn pairs_are_sorted_by_name_and_repeats_keep_their_order() {
        assert_eq!(canonical("/claim?b=2&a=9&b=1&a=1"), "/claim?a=9&a=1&b=2&b=1");
        assert_eq!(canonical("/claim?%62=2&a=1"), "/claim?a=1&b=2");
        assert_eq!(canonical("/claim?a.b=1&a=2&a-b=3"), "/claim?a=2&a-b=3&a.b=1");
        assert_eq!(canonical("/claim?%C3%A9=1&~=2"), "/claim?~=2&%C3%A9=1", "by decoded bytes, not by escapes");
    }

    #[test]
    fn only_unreserved_characters_are_left_bare_in_the_query() {
        assert_eq!(canonical("/claim?goal=a/b:c@d!"), "/claim?goal=a%2Fb%3Ac%40d%21");
        assert_eq!(canonical("/claim?goal=%41%2d%2e%5f%7e"), "/claim?goal=A-._~");
        assert_eq!(canonical("/claim?goal=%zz"), "/claim?goal=%25zz");
        assert_eq!(canonical("/claim?goal=é"), "/claim?goal=%C3%A9");
        assert_eq!(canonical("/claim?goal=a=b?c"), "/claim?goal=a%3Db%3Fc");
    }

    #[test]
    fn blank_values_are_kept_and_empty_segments_are_not() {
        assert_eq!(canonical("/claim?a"), "/claim?a=");
        assert_eq!(canonical("/claim?a="), "/claim?a=");
        assert_eq!(canonical("/claim?=a"), "/claim?=a");
        assert_eq!(canonical("/claim?="), "/claim?=");
        assert_eq!(canonical("/claim?&&a=1&&"), "/claim?a=1");
        assert_eq!(canonical("/claim?"), "/claim");
        assert_eq!(canonical("/claim?&"), "/claim");
        assert_eq!(canonical(""), "");
    }

    #[test]
    fn a_space_in_the_query_has_two_writings_and_a_plus_has_one() {
        for target in ["/claim?goal=my+goal", "/claim?goal=my%20goal"] {
            assert_eq!(canonical(target), "/claim?goal=my%20goal");
            assert_eq!(canonical_path_form(target).as_deref(), Some(&b"/claim?goal=my+goal"[..]));
        }
        assert_eq!(canonical("/claim?goal=1%2B1"), "/claim?goal=1%2B1");
        for target in ["/claim?goal=1%2B1", "/my%20key", "/my+key", "/claim"] {
            assert_eq!(canonical_path_form(target), None, "{target}");
        }
        assert_eq!(canonical_path_form("/a%20b?c+d=e").as_deref(), Some(&b"/a b?c+d=e"[..]));
    }

    #[test]
    fn the_bus_acts_on_the_pairs_that_were_signed() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            query_pairs("/claim?goal=my+goal&&b&a=%2B%20%c3%a9%zz&b=2"),
            Ok(vec![pair("goal", "my goal"), pair("b", ""), pair("a", "+ é%zz"), pair("b", "2")])
        );
        assert_eq!(query_pairs("/claim"), Ok(vec![]));
        assert_eq!(query_pairs("/claim?goal=%ff"), Err(InvalidUtf8));
        assert_eq!(query_pairs("/claim?%ff=1"), Err(InvalidUtf8));
    }

    #[test]
    fn a_path_that_reads_as_a_query_or_as_more_fields_is_ambiguous() {
        assert_eq!(canonical_path("/set/a%3Fb=c"), canonical_path("/set/a?b=c"));
        for target in ["/set/a%3Fb=c", "/set/a%3Fb=%25C3%25A9", "/set/a%3Fb=c+d", "/set/a%3F%3Fb=", "/set/%3Fa=%3F="] {
            assert!(is_ambiguous(target), "{target}");
        }
        for target in ["/set/a%0A1700000000", "/set/a%0Ab%0A1700000000%0Ac", "/set/a%0a+1.5e9%20?b=c"] {
            assert!(is_ambiguous(target), "{target}");
        }
        let queries = ["/set/a?b=c", "/set/a?b%3Fc=%0A", "/set/a%3Fc=1&b=2", "/set/a%3Fb=c?d=e"];
        let paths = ["/set/a", "/set/really%3F", "/set/a%3Fb", "/set/a%3Fb=c/d", "/set/a%3Fb=%ff"];
        let lines = ["/set/a%0Ab", "/set/a%0A", "/1", "1"];
        for target in queries.iter().chain(&paths).chain(&lines) {
            assert!(!is_ambiguous(target), "{target}");
        }
    }
}
