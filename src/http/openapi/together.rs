//! Which fields of a body must or must not come together. Each field is described where it is read; this is added to it.

use serde_json::{Value, json};

/// Adds it to the schemas.
pub(super) fn complete(schemas: &mut Value) {
    let none = json!({"type": "null"});
    schemas["NewKey"]["oneOf"] = json!([
        {
            "description": "Of a new tenant.",
            "required": ["owner"],
            "properties": {"owner": {"type": "string"}, "tenant": none},
        },
        {
            "description": "Of a tenant that there is, whose limits stay.",
            "required": ["tenant"],
            "properties": {
                "tenant": {"type": "integer"},
                "owner": none,
                "rate_limit_per_minute": none,
                "max_open_intents": none,
            },
        },
    ]);
    schemas["Purge"]["anyOf"] = json!([
        {"required": ["confirm"], "properties": {"confirm": {"const": true}}},
        {"required": ["dry_run"], "properties": {"dry_run": {"const": true}}},
    ]);
    schemas["NewReach"]["anyOf"] = one_of_them(["scopes", "namespaces"]);
    schemas["NewLimits"]["anyOf"] = one_of_them(["rate_limit_per_minute", "max_open_intents"]);
}

/// At least one of two fields.
fn one_of_them(fields: [&str; 2]) -> Value {
    fields.map(|field| json!({"required": [field]})).into()
}
