//! Tools for JSON as text: how deep it is, what it is, and whether two texts say the same.
//!
//! A payload goes out byte for byte as it came in, so nothing here turns a number into a float or a string into Rust's
//! `String`: `1e400`, 31-digit integers and lone surrogates are valid JSON and must survive. Validation is `serde_json`'s
//! (a `RawValue` is valid by construction). On a text that is not JSON these functions return nonsense, but they return.

mod canonical;

pub use canonical::{MAX_CANONICAL_DEPTH, TooDeep, canonical};

/// How deeply arrays and objects nest: 0 for a scalar, 1 for `[]`, 2 for `{"a":[]}`.
#[must_use]
pub fn depth(json: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    outside_strings(json, |byte| match byte {
        b'{' | b'[' => {
            now += 1;
            deepest = deepest.max(now);
        }
        b'}' | b']' => now = now.saturating_sub(1),
        _ => {}
    });
    deepest
}

/// The same text without the white space outside its strings.
#[must_use]
pub fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || is_space(c)) {
        let (plain, tail) = rest.split_at(start);
        out.push_str(plain);
        let string = string_length(tail);
        out.push_str(&tail[..string]);
        rest = tail[string..].trim_start_matches(is_space);
    }
    out + rest
}

/// Whether the text is an object.
#[must_use]
pub fn is_object(json: &str) -> bool {
    json.trim_start_matches(is_space).starts_with('{')
}

/// JSON's white space, which is less than Rust's.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Calls `each` for every byte that is not part of a string.
fn outside_strings(json: &str, mut each: impl FnMut(u8)) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            _ => each(byte),
        }
    }
}

/// The length of the string literal that `json` starts with, quotes included; 0 if it starts with something else.
fn string_length(json: &str) -> usize {
    if !json.starts_with('"') {
        return 0;
    }
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.map_or(json.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_containers_and_not_what_strings_look_like() {
        for (json, expected) in [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#""\"[""#, 0),
            (r#""\\""#, 0),
            ("[]", 1),
            ("{}", 1),
            ("[[],[]]", 2),
            (r#"{"a":[]}"#, 2),
            (r#"{"a":"\\","b":[{}]}"#, 3),
            (r#"{"[":"]{"}"#, 1),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }

    #[test]
    fn depth_needs_no_stack() {
        let deep = "[".repeat(500_000) + &"]".repeat(500_000);
        assert_eq!(depth(&deep), 500_000);
    }

    #[test]
    fn compact_removes_white_space_outside_strings_and_nothing_else() {
        assert_eq!(compact(" {\t\"a b\" :\r\n[ 1 , 2.50 ] } "), r#"{"a b":[1,2.50]}"#);
        assert_eq!(compact(r#" " \" \\ " "#), r#"" \" \\ ""#);
        assert_eq!(compact(r#"["\\" , " "]"#), r#"["\\"," "]"#);
        assert_eq!(compact("\n1e400\n"), "1e400");
        assert_eq!(compact(""), "");
        assert_eq!(compact(r#""\ud800 \u0000 \/""#), r#""\ud800 \u0000 \/""#);
        assert_eq!(compact("\"\u{a0}é\""), "\"\u{a0}é\"");
    }

    #[test]
    fn an_object_is_told_from_everything_else() {
        assert!(is_object("{}") && is_object(" \r\n\t{\"a\":1}"));
        for json in ["[]", "1", "null", r#""{}""#, "", "  ", "\u{a0}{}"] {
            assert!(!is_object(json), "{json:?}");
        }
    }
}
