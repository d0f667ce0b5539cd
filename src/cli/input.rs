//! What a command is given to send: as an argument, out of a file, or on standard input.

use std::{
    fs,
    io::{self, Read},
};

use intent_bus_client::RawValue;

use super::{exit::Failure, output};

/// How files that some editors write begin, and no JSON does.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// How text in UTF-16 begins: what `>` of Windows PowerShell writes.
const UTF_16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// A text, and where it is from.
pub(super) struct Input {
    text: String,
    from: String,
}

impl Input {
    /// `@FILE` is what is in the file, `-` what comes on standard input, either without the line feed at its end: `get` prints
    /// one, and so does `echo`. Anything else is itself, and called `what`.
    pub(super) fn read(argument: &str, what: &str) -> Result<Self, Failure> {
        let (text, from) = match argument.strip_prefix('@') {
            Some(file) => (decoded(fs::read(file), file)?, file),
            None if argument == "-" => {
                let mut bytes = Vec::new();
                let taken = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
                (decoded(taken, "standard input")?, "standard input")
            }
            None => (argument.to_owned(), what),
        };
        Ok(Self { text, from: from.to_owned() })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// As JSON, byte for byte.
    pub(super) fn json(&self) -> Result<Box<RawValue>, Failure> {
        let Self { text, from } = self;
        if text.trim().is_empty() {
            return Err(Failure::usage(format!(
                "{from} is empty, which is no JSON. Nothing is null, or {{}}, or \"\"."
            )));
        }
        if text.starts_with(BYTE_ORDER_MARK) {
            let advice = "Save it as UTF-8 without one.";
            return Err(Failure::usage(format!("{from} is no JSON: it begins with a byte order mark. {advice}")));
        }
        serde_json::from_str(text).map_err(|error| Failure::usage(pointed_out(text, from, &error)))
    }
}

fn decoded(bytes: io::Result<Vec<u8>>, from: &str) -> Result<String, Failure> {
    let bytes = bytes.map_err(|error| Failure::usage(format!("{from} cannot be read: {error}.")))?;
    if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Failure::usage(format!("{from} is UTF-16. Save it as UTF-8 without a byte order mark.")));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{from} is not UTF-8: byte {} is of something else.", at + 1))
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The fault, the line that it is in, and a mark under it.
fn pointed_out(text: &str, from: &str, error: &serde_json::Error) -> String {
    /// Bytes that are shown before the mark.
    const BEFORE: usize = 60;
    /// Bytes that are shown behind it.
    const AFTER: usize = 20;
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().as_bytes();
    // A column counts bytes, and the fault may stand within a letter or behind the end.
    let at = error.column().min(line.len());
    let (before, after) = line.split_at(at);
    let shown = |bytes: &[u8]| output::printable(&String::from_utf8_lossy(bytes));
    let before = shown(&before[at.saturating_sub(BEFORE)..]);
    let after = shown(&after[..after.len().min(AFTER)]);
    let mark = before.chars().count().max(1);
    format!("{from} is no JSON: {error}\n  {before}{after}\n  {:>mark$}", "^")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_taken_byte_for_byte() {
        for text in [r#"{ "n": 1e400, "s":"\ud800" }"#, "-5", "null", r#""$(reboot) 'x' \n""#] {
            assert_eq!(Input::read(text, "the payload").unwrap().json().unwrap().get(), text);
        }
    }

    #[test]
    fn one_line_feed_at_the_end_is_no_part_of_what_is_read() {
        for (given, text) in [("a\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", "")] {
            assert_eq!(decoded(Ok(given.into()), "a file").unwrap(), text, "{given:?}");
        }
        assert_eq!(Input::read("a\n", "the value").unwrap().text(), "a\n", "of an argument it is");
    }

    #[test]
    fn what_an_editor_or_a_shell_put_around_it_is_named() {
        let told = |bytes: &[u8]| {
            let read = decoded(Ok(bytes.to_vec()), "a.json");
            let json = read.and_then(|text| Input { text, from: "a.json".to_owned() }.json());
            json.unwrap_err().message().to_owned()
        };
        for bytes in [b"".as_slice(), b"\n", b" \n\t"] {
            assert!(told(bytes).starts_with("a.json is empty"), "{bytes:?}");
        }
        assert!(told(b"\xef\xbb\xbf{}").contains("byte order mark"));
        assert!(told(b"\xff\xfe{\0}\0").contains("UTF-16"));
        assert!(told(b"{\"a\": \"\xe9\"}").contains("not UTF-8: byte 8"));
    }

    #[test]
    fn what_is_no_json_is_pointed_at() {
        let text = "{\n  \"é\": 1,\n  \"b\" 2\n}";
        let error = serde_json::from_str::<Box<RawValue>>(text).unwrap_err();
        assert_eq!(
            pointed_out(text, "the payload", &error),
            "the payload is no JSON: expected `:` at line 3 column 7\n    \"b\" 2\n        ^"
        );
        for text in ["{", "\"é", "{'a': 1}", "é"] {
            let error = serde_json::from_str::<Box<RawValue>>(text).unwrap_err();
            assert!(pointed_out(text, "-", &error).ends_with('^'), "{text}");
        }
    }
}
