//! JSON for people: broken into lines, with every literal as it came in. Nothing is parsed into numbers and back.

/// Broken into lines and indented. What is no JSON comes out as something of the same characters.
pub(super) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut chars = json.chars().filter(|c| !c.is_ascii_control()).peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                out.push('"');
                while let Some(within) = chars.next() {
                    out.push(within);
                    match within {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(char);
                while chars.next_if_eq(&' ').is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' => {}
            _ => out.push(char),
        }
    }
    out
}

/// Payloads are no deeper than ten levels; text that is no JSON must not indent without end.
fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(20)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_stay_as_they_are() {
        let json = r#"{"a":1e400,"b":[0.10,"x, {y}: \"z\" \\",{}, [ ]],"ü":"\ud800","c":{"d":null}}"#;
        let lines = [
            "{",
            "  \"a\": 1e400,",
            "  \"b\": [",
            "    0.10,",
            r#"    "x, {y}: \"z\" \\","#,
            "    {},",
            "    []",
            "  ],",
            "  \"ü\": \"\\ud800\",",
            "  \"c\": {",
            "    \"d\": null",
            "  }",
            "}",
        ];
        assert_eq!(pretty(json), lines.join("\n"));
        assert_eq!(pretty(&pretty(json)), lines.join("\n"));
    }

    #[test]
    fn what_is_no_json_breaks_nothing() {
        for text in ["", "\"", "\"\\", "]]]", "[[[[", "{,:", "plain", "\u{1f600}"] {
            pretty(text);
        }
        assert!(pretty(&"[".repeat(10_000)).len() < 10_000 * 50);
    }
}
