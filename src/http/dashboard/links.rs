//! Queries of links within the dashboard.

use std::fmt::Write;

/// A value of a query: everything but letters, digits, `-`, `.`, `_` is escaped, so that it means the same in HTML, too.
pub(super) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A query of these pairs, without those that are empty. Begins with `?`, unless it is empty.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "{}{name}={}", if out.is_empty() { '?' } else { '&' }, encode(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_value_is_left_that_means_something_in_a_link_or_in_html() {
        assert_eq!(
            query(&[("goal", "a&b=\"<ü>' +"), ("namespace", ""), ("n", "x-1")]),
            "?goal=a%26b%3D%22%3C%C3%BC%3E%27%20%2B&n=x-1"
        );
        assert_eq!(query(&[("a", "")]), "");
    }
}
