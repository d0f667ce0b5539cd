//! What the document says by numbers and patterns is what the code goes by; what it refers to is there.

use std::collections::BTreeSet;

use intent_bus_protocol::{limits, names};
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{Described, build, refusals};
use crate::domain::scopes::Scope;

fn field(document: &Value, schema: &str, field: &str) -> Value {
    document["components"]["schemas"][schema]["properties"][field].clone()
}

#[test]
fn ranges_and_defaults_are_those_of_the_protocol() {
    let document = build();
    let range = |schema, name| {
        let field = field(&document, schema, name);
        (field["minimum"].as_f64(), field["maximum"].as_f64(), field["default"].as_f64())
    };
    let whole = |range: std::ops::RangeInclusive<i32>, default: Option<i32>| {
        (Some(f64::from(*range.start())), Some(f64::from(*range.end())), default.map(f64::from))
    };
    assert_eq!(range("NewIntent", "priority"), whole(limits::PRIORITY, Some(limits::PRIORITY_DEFAULT)));
    assert_eq!(range("NewIntent", "max_attempts"), whole(limits::MAX_ATTEMPTS, Some(limits::MAX_ATTEMPTS_DEFAULT)));
    let backoff = (Some(*limits::BACKOFF.start()), Some(*limits::BACKOFF.end()), Some(limits::BACKOFF_DEFAULT));
    assert_eq!(range("NewIntent", "backoff_base"), backoff);
    assert_eq!(range("NewValue", "ttl"), whole(limits::TTL, Some(limits::TTL_DEFAULT)));
    assert_eq!(range("ExtendBody", "seconds"), whole(limits::EXTEND, None));
    assert_eq!(field(&document, "NewIntent", "goal")["maxLength"], json!(limits::GOAL_MAX));
    for (schema, name) in [("NewIntents", "intents"), ("FulfillManyBody", "claims"), ("FailManyBody", "claims")] {
        let list = field(&document, schema, name);
        let count = (list["minItems"].clone(), list["maxItems"].clone());
        assert_eq!(count, (json!(limits::BATCH.start()), json!(limits::BATCH.end())), "{schema}");
    }
    let parameters = document["paths"]["/claim"]["post"]["parameters"].as_array().cloned().unwrap_or_default();
    for (name, range) in [("limit", limits::BATCH), ("wait", limits::WAIT)] {
        let schema =
            parameters.iter().find(|parameter| parameter["name"] == name).map(|parameter| &parameter["schema"]);
        let (least, most) = (schema.map(|schema| &schema["minimum"]), schema.map(|schema| &schema["maximum"]));
        assert_eq!((least, most), (Some(&json!(range.start())), Some(&json!(range.end()))), "{name}");
    }
}

#[test]
fn names_have_the_patterns_of_the_protocol() {
    let document = build();
    let parameters = document["paths"]["/claim"]["post"]["parameters"].as_array().cloned().unwrap_or_default();
    let namespace = parameters.iter().find(|parameter| parameter["name"] == "namespace").cloned().unwrap_or_default();
    assert_eq!(namespace["schema"]["pattern"], names::NAMESPACE_PATTERN);
    assert_eq!(namespace["schema"]["default"], limits::NAMESPACE_DEFAULT);
    for schema in ["NewIntent", "Purge"] {
        assert_eq!(field(&document, schema, "namespace")["pattern"], names::NAMESPACE_PATTERN, "{schema}");
    }
    for name in ["target_worker", "required_capability"] {
        assert_eq!(field(&document, "NewIntent", name)["pattern"], names::LABEL_PATTERN, "{name}");
    }
}

#[test]
fn what_must_come_together_are_fields_of_the_body() {
    let document = build();
    for (schema, how) in [("NewKey", "oneOf"), ("Purge", "anyOf"), ("NewReach", "anyOf"), ("NewLimits", "anyOf")] {
        let whole = &document["components"]["schemas"][schema];
        let known = whole["properties"].as_object().cloned().unwrap_or_default();
        let either = whole[how].as_array().cloned().unwrap_or_default();
        assert_eq!(either.len(), 2, "{schema}");
        for alternative in either {
            let required = alternative["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let narrowed = alternative["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
            let fields: Vec<&str> = required.chain(narrowed.map(String::as_str)).collect();
            assert!(
                !fields.is_empty() && fields.iter().all(|field| known.contains_key(*field)),
                "{schema}: {fields:?}"
            );
        }
    }
}

#[test]
fn what_a_key_may_be_narrowed_to_is_what_there_is() {
    let document = build();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Scope"]["enum"], json!(Scope::ALL.map(Scope::as_str)));
    assert_eq!(schemas["NamespaceName"]["pattern"], names::NAMESPACE_PATTERN);
    for schema in ["NewKey", "NewReach"] {
        assert_eq!(field(&document, schema, "scopes")["items"]["$ref"], "#/components/schemas/Scope", "{schema}");
        let namespaces = field(&document, schema, "namespaces");
        assert_eq!(namespaces["items"]["$ref"], "#/components/schemas/NamespaceName", "{schema}");
    }
}

#[test]
fn a_refusal_that_a_handler_describes_names_codes_of_its_status() {
    let described = json!(Described::openapi());
    let operations =
        described["paths"].as_object().into_iter().flatten().filter_map(|(_, path)| path.as_object()).flatten();
    let mut refusals = 0;
    for (_, operation) in operations {
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            let text = response["description"].as_str().unwrap_or_default();
            let codes: Vec<_> = refusals::named_in(text).collect();
            let all_known = text.matches('`').count() == 2 * codes.len();
            assert!(!codes.is_empty() && all_known, "{} {status}: {text}", operation["operationId"]);
            assert!(codes.iter().all(|code| code.http_status().to_string() == *status), "{}", operation["operationId"]);
            refusals += 1;
        }
    }
    assert!(refusals > 20);
}

#[test]
fn what_is_referred_to_is_there_and_names_are_given_once() {
    let document = build();
    let (mut references, mut operations) = (Vec::new(), Vec::new());
    collect(&document, "$ref", &mut references);
    collect(&document["paths"], "operationId", &mut operations);
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    // Links name operations too, each of which must be there.
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, path)| path.as_object())
        .flatten()
        .filter_map(|(_, operation)| operation["operationId"].as_str().map(str::to_owned))
        .collect();
    let count = document["paths"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(described.len(), count, "one operation to a path, each by a name of its own");
    assert!(operations.iter().all(|name| described.contains(name)), "{operations:?}");
}

fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}
