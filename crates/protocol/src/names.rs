//! Which texts may name a namespace, a worker, a capability or a request.
//!
//! Lengths and characters only. What a name refers to, and who may use it, is the server's business.

/// [`is_namespace`] as a regular expression, for API documents.
pub const NAMESPACE_PATTERN: &str = "^[A-Za-z0-9_.-]{1,64}$";

/// [`is_label`] as a regular expression, for API documents.
pub const LABEL_PATTERN: &str = "^[A-Za-z0-9_.:-]{1,64}$";

/// [`is_request_id`] as a regular expression, for API documents.
pub const REQUEST_ID_PATTERN: &str = "^[A-Za-z0-9_.:-]{1,128}$";

/// Whether the text may name a namespace: 1–64 of `A-Z a-z 0-9 _ . -`.
#[must_use]
pub fn is_namespace(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Whether the text may name a worker or a capability: as a namespace, and `:` too.
#[must_use]
pub fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain_or_colon)
}

/// Whether a client's request id may be taken over: 1–128 of `A-Z a-z 0-9 _ . : -`, so that it cannot break a log line.
#[must_use]
pub fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(is_plain_or_colon)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn is_plain_or_colon(byte: u8) -> bool {
    is_plain(byte) || byte == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_admits_its_characters_and_no_other() {
        for byte in 0..=u8::MAX {
            let text = char::from(byte).to_string();
            let plain = byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            assert_eq!(is_namespace(&text), plain, "{byte:#x} in a namespace");
            assert_eq!(is_label(&text), plain || byte == b':', "{byte:#x} in a label");
            assert_eq!(is_request_id(&text), plain || byte == b':', "{byte:#x} in a request id");
        }
    }

    #[test]
    fn a_name_is_neither_empty_nor_too_long() {
        for (is_valid, longest) in [(is_namespace as fn(&str) -> bool, 64), (is_label, 64), (is_request_id, 128)] {
            assert!(!is_valid(""));
            assert!(is_valid(&"a".repeat(longest)));
            assert!(!is_valid(&"a".repeat(longest + 1)));
        }
    }

    #[test]
    fn letters_that_only_look_like_ascii_are_refused() {
        assert!(!is_namespace("dеfault"), "a Cyrillic e");
        assert!(!is_label("gpu\n"));
        assert!(!is_request_id("id "));
    }
}
