//! One writing for all JSON texts that say the same, to compare them by.
//!
//! The result is for comparing only: it is never stored as a payload and never sent.

use super::is_space;

/// How deeply a text may nest for [`canonical`]. Payloads are refused long before, at [`crate::limits::MAX_DEPTH`].
pub const MAX_CANONICAL_DEPTH: usize = 128;

/// The text nests more deeply than [`MAX_CANONICAL_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("JSON nested more than {MAX_CANONICAL_DEPTH} levels deep")]
pub struct TooDeep;

/// Rewrites a valid JSON text so that two texts become equal if they differ in white space, in the order of members, or
/// in how the characters of their strings are escaped.
///
/// Numbers are compared as they are written: `1.0` is not `1`, and nothing is lost of `1e400`. Members with the same name
/// keep their order. A lone surrogate stays what it is, as an escape.
///
/// # Errors
/// [`TooDeep`], because each level costs a copy of what is in it.
pub fn canonical(json: &str) -> Result<String, TooDeep> {
    let mut out = String::with_capacity(json.len());
    let mut open: Vec<Container> = Vec::new();
    let mut rest = json.trim_start_matches(is_space);
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'{' | b'[' => {
                if open.len() == MAX_CANONICAL_DEPTH {
                    return Err(TooDeep);
                }
                out.push(char::from(first));
                open.push(if first == b'{' { Container::object() } else { Container::Array });
                1
            }
            b'}' | b']' => {
                if let Some(container) = open.pop() {
                    container.close(&mut out);
                }
                out.push(char::from(first));
                1
            }
            b',' => {
                if let Some(container) = open.last_mut() {
                    container.end_member(out.len());
                }
                out.push(',');
                1
            }
            b'"' => {
                let start = out.len();
                let length = super::string_length(rest);
                write_string(&rest[1..length], &mut out);
                if let Some(container) = open.last_mut() {
                    container.start_member(start, out.len());
                }
                length
            }
            // A colon, a number or a word: as it is, up to what ends it.
            _ => {
                let length = rest.find(|c| is_space(c) || "{}[],\"".contains(c)).unwrap_or(rest.len());
                out.push_str(&rest[..length]);
                length
            }
        };
        rest = rest[length..].trim_start_matches(is_space);
    }
    Ok(out)
}

/// An array or object whose end has not been reached.
enum Container {
    Array,
    Object {
        members: Vec<Member>,
        /// Whether the last member is still being written.
        in_member: bool,
    },
}

/// Where a member of an object stands in the output: `"name":value`, without a comma.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

impl Container {
    const fn object() -> Self {
        Self::Object { members: Vec::new(), in_member: false }
    }

    /// Takes note of a string: the first one in a member of an object is its name.
    fn start_member(&mut self, start: usize, name_end: usize) {
        if let Self::Object { members, in_member } = self
            && !*in_member
        {
            *in_member = true;
            members.push(Member { start, name_end, end: name_end });
        }
    }

    fn end_member(&mut self, end: usize) {
        if let Self::Object { members, in_member } = self
            && *in_member
        {
            *in_member = false;
            if let Some(last) = members.last_mut() {
                last.end = end;
            }
        }
    }

    /// Sorts the members that stand at the end of `out` by name. Names are unique in their canonical writing, so it does
    /// not matter that the writing is compared and not its meaning.
    fn close(mut self, out: &mut String) {
        self.end_member(out.len());
        let Self::Object { members, .. } = self else {
            return;
        };
        let name = |member: &Member| &out[member.start..member.name_end];
        if members.is_sorted_by(|left, right| name(left) <= name(right)) {
            return;
        }
        let mut sorted = members.clone();
        sorted.sort_by(|left, right| name(left).cmp(name(right)));
        let texts: Vec<&str> = sorted.iter().map(|member| &out[member.start..member.end]).collect();
        let text = texts.join(",");
        out.truncate(members[0].start);
        out.push_str(&text);
    }
}

/// Writes a string in which `"`, `\` and control characters are escaped in one way, and nothing else is. `literal` starts
/// after the opening quote and includes the closing one.
fn write_string(literal: &str, out: &mut String) {
    out.push('"');
    let mut rest = literal.strip_suffix('"').unwrap_or(literal);
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let length = write_escape(rest, out);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Writes the character that the escape at the start of `text` stands for, and returns the escape's length.
fn write_escape(text: &str, out: &mut String) -> usize {
    let simple = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
        _ => return write_unicode_escape(text, out),
    };
    write_char(simple, out);
    2
}

fn write_unicode_escape(text: &str, out: &mut String) -> usize {
    let Some(first) = utf16_unit(text) else {
        // Not JSON; all that matters is to get ahead.
        out.push('\\');
        return 1;
    };
    // A second escape counts only if it completes a surrogate pair; 0 completes none.
    let second = utf16_unit(&text[6..]).unwrap_or(0);
    if let Some(Ok(c)) = char::decode_utf16([first, second]).next() {
        write_char(c, out);
        6 * c.len_utf16()
    } else {
        write_escaped(first, out);
        6
    }
}

/// The value of `\uXXXX` at the start of the text.
fn utf16_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` would take "+041".
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

fn write_char(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        // JSON allows no control character to stand for itself.
        '\0'..='\u{1f}' => write_escaped(c as u16, out),
        _ => out.push(c),
    }
}

fn write_escaped(unit: u16, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(char::from_digit(u32::from(unit >> shift & 15), 16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        canonical(left) == canonical(right)
    }

    #[test]
    fn white_space_and_the_order_of_members_make_no_difference() {
        assert_eq!(canonical(" { \"b\" : [ 1 , 2 ] , \"a\" : null } ").as_deref(), Ok(r#"{"a":null,"b":[1,2]}"#));
        assert!(same(r#"{"x":{"b":1,"a":2},"w":0}"#, r#"{"w":0,"x":{"a":2,"b":1}}"#));
        assert!(same(r#"[{"b":"a","a":"b"}]"#, "[\t{\"a\":\r\"b\",\n\"b\":\"a\"}]"));
        assert_eq!(canonical("{ }").as_deref(), Ok("{}"));
        assert_eq!(canonical(r#"{"a":1,"":0,"ab":2}"#).as_deref(), Ok(r#"{"":0,"a":1,"ab":2}"#));
    }

    #[test]
    fn the_order_of_elements_and_of_repeated_members_matters() {
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#));
        assert!(same(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#));
        assert!(same(r#"{"a":1,"b":0,"a":2}"#, r#"{"a":1,"a":2,"b":0}"#));
        assert!(same(r#"{"a":1,"\u0061":2}"#, r#"{"\u0061":1,"a":2}"#));
    }

    #[test]
    fn numbers_are_what_is_written() {
        for number in
            ["1e400", "-0", "1.10", "1E+2", "1234567890123456789012345678901", "0.1000000000000000055511151231"]
        {
            assert_eq!(canonical(number).as_deref(), Ok(number));
            assert_eq!(canonical(&format!("[ {number} ]")), Ok(format!("[{number}]")));
        }
        assert!(!same("1.0", "1"));
        assert!(!same("1e2", "1E2"));
        assert!(!same("[12]", "[1,2]"));
        assert!(!same("1", "\"1\""));
    }

    #[test]
    fn a_character_is_the_same_however_it_is_escaped() {
        for (one, other) in [
            (r#""\u0041\u00e9""#, r#""Aé""#),
            (r#""\/""#, r#""/""#),
            (r#""\n\t\b\f\r""#, r#""\u000a\u0009\u0008\u000C\u000D""#),
            (r#""\u0022\u005c""#, r#""\"\\""#),
            (r#""\ud83d\ude80""#, r#""🚀""#),
            (r#""\uD83D\uDE80""#, r#""\ud83d\ude80""#),
            (r#"{"\u0062":1,"a":2}"#, r#"{"a":2,"b":1}"#),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
        assert_eq!(canonical(r#""\u0000""#).as_deref(), Ok(r#""\u0000""#));
    }

    #[test]
    fn escapes_that_only_look_alike_stay_apart() {
        for (one, other) in [
            (r#""\\u0041""#, r#""A""#),
            (r#""\\n""#, r#""\n""#),
            (r#""\u0000""#, r#""""#),
            (r#""\ud83d""#, r#""\ud83e""#),
            (r#""\ud83d\ude80""#, r#""\ude80\ud83d""#),
            (r#""\ud83d-\ude80""#, r#""\ud83d\ude80""#),
            (r#""\ud83d""#, r#""\\ud83d""#),
        ] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn lone_surrogates_survive_as_escapes() {
        for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800A""#, r#""\udc00\ud800""#] {
            assert_eq!(canonical(text).as_deref(), Ok(text));
        }
        assert!(same(r#""\uDFFF""#, r#""\udfff""#));
        assert_eq!(canonical(r#""\ud800\ud83d\ude80\udc00""#).as_deref(), Ok(r#""\ud800🚀\udc00""#));
        assert_eq!(canonical(r#""\ud800\n""#).as_deref(), Ok(r#""\ud800\u000a""#));
        assert_eq!(canonical(r#"{"\ud800":1,"a":2}"#).as_deref(), Ok(r#"{"\ud800":1,"a":2}"#));
    }

    #[test]
    fn a_text_that_is_too_deep_is_refused_and_not_walked() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(canonical(&nested(MAX_CANONICAL_DEPTH)), Ok(nested(MAX_CANONICAL_DEPTH)));
        assert_eq!(canonical(&nested(MAX_CANONICAL_DEPTH + 1)), Err(TooDeep));
        assert_eq!(canonical(&nested(500_000)), Err(TooDeep));
        assert_eq!(canonical(&"{\"a\":".repeat(100_000)), Err(TooDeep));
        assert!(canonical(&vec!["[]"; 1000].join(",")).is_ok(), "side by side is not deep");
    }
}
