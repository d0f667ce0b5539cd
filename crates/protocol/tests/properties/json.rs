//! The JSON tools against `serde_json`, over values that are written down in random ways.
//!
//! Numbers are small integers here, since `serde_json` reads larger ones as floats. What it cannot hold at all has tests
//! of its own beside the code.

use intent_bus_protocol::json::{canonical, compact, depth, is_object};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::Choices;

fn values() -> impl Strategy<Value = Value> {
    let characters = prop::sample::select("ab\"\\/[]{}:, \n\t\0\u{1f}\u{7f}".chars().collect::<Vec<_>>());
    let texts = vec(characters, 0..4).prop_map(String::from_iter);
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..30_i64).prop_map(Value::from),
        texts.clone().prop_map(Value::from),
    ];
    leaves.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((texts.clone(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes the value with random white space, order of members and escapes.
fn spell(value: &Value, choices: &mut Choices<'_>) -> String {
    const SPACES: [&str; 6] = ["", "", "", " ", "\n\t", "\r "];
    let text = match value {
        Value::String(text) => spell_string(text, choices),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| spell(item, choices)).collect();
            format!("[{}{}]", SPACES[choices.below(6)], items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if !members.is_empty() {
                let first = choices.below(members.len());
                members.rotate_left(first);
            }
            if choices.below(2) == 0 {
                members.reverse();
            }
            let members: Vec<_> = members
                .into_iter()
                .map(|(name, value)| {
                    let name = spell_string(name, choices);
                    format!("{}{name}{}:{}", SPACES[choices.below(6)], SPACES[choices.below(6)], spell(value, choices))
                })
                .collect();
            format!("{{{}{}}}", members.join(","), SPACES[choices.below(6)])
        }
        scalar => scalar.to_string(),
    };
    format!("{}{text}{}", SPACES[choices.below(6)], SPACES[choices.below(6)])
}

fn spell_string(text: &str, choices: &mut Choices<'_>) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match (c, choices.below(3)) {
            (c, 0) => out.extend(["\\u", &format!("{:04x}", u32::from(c))]),
            ('/', 1) => out.push_str("\\/"),
            (c, _) => {
                let quoted = Value::from(c.to_string()).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
    out + "\""
}

fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..60)
}

proptest! {
    #[test]
    fn texts_of_one_value_have_one_canonical_text(value in values(), one in choices(), other in choices()) {
        let one = canonical(&spell(&value, &mut Choices::from(&one)));
        let other = canonical(&spell(&value, &mut Choices::from(&other)));
        prop_assert_eq!(&one, &other);
        let text = one.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value), "{}", text);
        prop_assert_eq!(canonical(&text), Ok(text.clone()));
        prop_assert_eq!(compact(&text), text);
    }

    #[test]
    fn texts_of_two_values_have_two(one in values(), other in values(), choices in choices()) {
        let text = |value: &Value| canonical(&spell(value, &mut Choices::from(&choices)));
        prop_assert_eq!(text(&one) == text(&other), one == other);
    }

    #[test]
    fn a_compact_text_says_the_same_in_fewer_bytes(value in values(), choices in choices()) {
        let text = spell(&value, &mut Choices::from(&choices));
        let short = compact(&text);
        prop_assert_eq!(serde_json::from_str::<Value>(&short).ok(), Some(value));
        prop_assert_eq!(compact(&short), short);
    }

    #[test]
    fn a_pretty_text_is_compacted_as_serde_json_would(value in values()) {
        prop_assert_eq!(compact(&format!("{value:#}")), value.to_string());
    }

    #[test]
    fn depth_and_kind_are_those_of_the_value(value in values(), choices in choices()) {
        let text = spell(&value, &mut Choices::from(&choices));
        prop_assert_eq!(depth(&text), levels(&value));
        prop_assert_eq!(is_object(&text), value.is_object());
    }

    #[test]
    fn what_is_not_json_does_no_harm(text in prop_oneof![".{0,30}", r#"[\[\]{}",:\\u0-9a-dé\ue000 ]{0,30}"#]) {
        let _ = (depth(&text), compact(&text), canonical(&text), is_object(&text));
    }
}
